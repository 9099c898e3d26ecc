"""Pairs that tests share. Tests that stop or kill a node take a pair of their own."""

import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.crowd import make_room
from tests.pair import Pair

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pair() -> AsyncIterator[Pair]:
    """Both nodes, with tokens."""
    async with Pair() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def open_pair() -> AsyncIterator[Pair]:
    """Both nodes, AUTH=off."""
    async with Pair(auth="off") as running:
        yield running


@pytest.fixture
def name() -> str:
    """A session id nobody else uses."""
    return f"room-{next(_numbers)}"


@pytest.fixture
async def room(pair: Pair, name: str) -> str:
    """A new session of the shared pair."""
    return await make_room(pair, name)
