"""One pair for the whole folder; at its end neither log may hold a trace or a secret."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fuzz.fuzzing import TIMES
from tests.pair import Pair
from tests.security.secrets_in_logs import assert_quiet


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """More examples may take longer, each test for itself."""
    for item in items:
        if "tests/fuzz/" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(300 * TIMES))


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def pair() -> AsyncIterator[Pair]:
    """Both nodes, wanting tokens."""
    async with Pair(LOG_LEVEL="DEBUG", LOG_POLL_SECONDS="0.2") as both:
        yield both
        for node in (both.mcp, both.ws):
            assert node.process is not None and node.process.poll() is None
            assert "Traceback" not in node.output(), node.output()
        assert_quiet(both)
