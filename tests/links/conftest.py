"""One pair for all tests of links, at LOG_LEVEL=DEBUG: its logs must hold no secret."""

import itertools
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.rooms import make_room
from tests.pair import Pair
from tests.security.secrets_in_logs import assert_quiet

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def pair() -> AsyncIterator[Pair]:
    """Both nodes, wanting tokens. Tests make rooms of their own in it, and leave it running."""
    async with Pair(
        LOG_LEVEL="DEBUG", LOG_POLL_SECONDS="0.2", MAX_LINKS_PER_PRINCIPAL=1000
    ) as both:
        yield both
        assert_quiet(both)
        for node in (both.mcp, both.ws):
            assert not re.search(r"[A-Za-z0-9_-]{43}", node.output()), "a code was logged"


@pytest.fixture
async def room(pair: Pair) -> str:
    """A session nobody else uses."""
    return await make_room(pair, f"room-{next(_numbers)}")
