"""Pairs that tests share, and rooms of their own in them."""

import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.rooms import make_room
from tests.pair import Pair
from tests.waiting import until

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def pair() -> AsyncIterator[Pair]:
    """Both nodes, with tokens; tests leave them running."""
    async with Pair() as running:
        yield running


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def open_pair() -> AsyncIterator[Pair]:
    """Both nodes, AUTH=off; tests leave them running."""
    async with Pair(auth="off") as running:
        yield running


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def http_pair() -> AsyncIterator[Pair]:
    """Both nodes with BRIDGE=http; tests leave them running."""
    async with Pair(BRIDGE="http") as running:
        yield running


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def workers() -> AsyncIterator[Pair]:
    """Both nodes, ws_node with two workers; tests that kill them mend them."""
    async with Pair(WS_WORKERS=2, METRICS_LOOPBACK=True) as running:
        yield running


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def _killable() -> AsyncIterator[Pair]:
    async with Pair(LOG_POLL_SECONDS=0.2) as running:
        yield running


@pytest.fixture
async def killable(_killable: Pair) -> AsyncIterator[Pair]:
    """Both nodes, ready, for tests that kill and stop them; the next test gets them mended."""
    nodes = (_killable.mcp, _killable.ws)
    for node in nodes:
        if node.process is None or node.process.poll() is not None:
            node.spawn()
    for node in nodes:
        await node.answers()
    await until(_killable.joined)
    before = [len(node.output()) for node in nodes]
    yield _killable
    for node, start in zip(nodes, before, strict=True):
        print(f"--- {node.module}\n{node.output()[start:]}")


@pytest.fixture
def name() -> str:
    """A session id nobody else uses."""
    return f"room-{next(_numbers)}"


@pytest.fixture
async def room(pair: Pair, name: str) -> str:
    """A new session of the pair that stays."""
    return await make_room(pair, name)
