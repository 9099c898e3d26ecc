"""The page's modules in Node, without a browser; tests/browser has the page itself."""

import subprocess
from pathlib import Path

import pytest

from tests.page.node import NODE, needs_node

FILES = sorted(Path(__file__).parent.glob("*.test.js"))

pytestmark = needs_node


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
def test_javascript_tests_pass_in_node(file: Path) -> None:
    command = [str(NODE), "--test", "--test-reporter=tap", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "\nok " in done.stdout


def test_javascript_tests_exist() -> None:
    assert FILES
