"""One pair for all attacks, at LOG_LEVEL=DEBUG; at its end its logs must hold no secret.

With PARTYLINE_TEST_STORE=postgresql it is a cluster's: agents and viewers are at different pairs.
"""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests import nats_server, postgres
from tests.cluster import KEYS, Cluster
from tests.nats_server import NatsServer
from tests.pair import Pair
from tests.security.secrets_in_logs import assert_quiet


@asynccontextmanager
async def _attacked(**settings: Any) -> AsyncIterator[Pair]:
    if not postgres.wanted() or nats_server.PROGRAM is None:
        async with Pair(**settings) as both:
            yield both
            assert_quiet(both)
        return
    with tempfile.TemporaryDirectory(prefix="pl-") as name:
        directory, every = Path(name), (*KEYS, "signing.key")
        where = postgres.store_settings(directory)
        async with (
            NatsServer(directory) as nats,
            Cluster(directory, nats=nats, keys=every, **where, **settings) as all_,
        ):
            yield all_.crossed()
            for each in all_.pairs:
                assert_quiet(each)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def pair() -> AsyncIterator[Pair]:
    """Both nodes, wanting tokens. Tests make rooms of their own in it."""
    async with _attacked(LOG_LEVEL="DEBUG", LOG_POLL_SECONDS="0.2") as both:
        yield both


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def open_pair() -> AsyncIterator[Pair]:
    """Both nodes with AUTH=off, speaking JSON in their logs."""
    async with _attacked(auth="off", LOG_LEVEL="DEBUG", LOG_FORMAT="json") as both:
        yield both
