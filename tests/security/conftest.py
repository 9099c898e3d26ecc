"""One pair for all attacks, at LOG_LEVEL=DEBUG; at its end its logs must hold no secret."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.pair import Pair
from tests.security.secrets_in_logs import assert_quiet


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def pair() -> AsyncIterator[Pair]:
    """Both nodes, wanting tokens. Tests make rooms of their own in it."""
    async with Pair(LOG_LEVEL="DEBUG", LOG_POLL_SECONDS="0.2") as both:
        yield both
        assert_quiet(both)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def open_pair() -> AsyncIterator[Pair]:
    """Both nodes with AUTH=off, speaking JSON in their logs."""
    async with Pair(auth="off", LOG_LEVEL="DEBUG", LOG_FORMAT="json") as both:
        yield both
        assert_quiet(both)
