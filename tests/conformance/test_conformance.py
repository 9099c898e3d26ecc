"""The whole suite, and every client: only when asked, as they install npm packages (124 MB)."""

import asyncio
import os

import pytest

from tests.conformance.__main__ import run_all
from tests.conformance.clients.__main__ import use_all
from tests.conformance.judge import expectations, judge
from tests.conformance.packages import CannotRun, Packages, install

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("CONFORMANCE"), reason="set CONFORMANCE=1 (installs npm packages)"
    ),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def packages() -> Packages:
    try:
        return install()
    except CannotRun as error:
        pytest.skip(str(error))


def test_the_official_suite_finds_what_is_expected(packages: Packages) -> None:
    expected = expectations()
    for report in asyncio.run(run_all(packages)):
        assert list(judge(report, expected)) == []


def test_clients_of_other_makers_list_call_and_hear(packages: Packages) -> None:
    assert asyncio.run(use_all(packages)) == 0
