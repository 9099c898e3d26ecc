"""One pair for all attacks, at LOG_LEVEL=DEBUG; at its end its logs must hold no secret."""

import os
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.pair import Pair
from tests.security.secrets_in_logs import assert_quiet


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pair() -> AsyncIterator[Pair]:
    """Both nodes, wanting tokens. Tests make rooms of their own in it."""
    previous = os.umask(0)  # what the nodes inherit must not matter
    try:
        context = Pair(LOG_LEVEL="DEBUG", LOG_POLL_SECONDS="0.2")
    finally:
        os.umask(previous)
    async with context as both:
        yield both
        assert_quiet(both)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def open_pair() -> AsyncIterator[Pair]:
    """Both nodes with AUTH=off, speaking JSON in their logs."""
    async with Pair(auth="off", LOG_LEVEL="DEBUG", LOG_FORMAT="json") as both:
        yield both
        assert_quiet(both)
