"""``python -m bench.node``: mcp_node as it is, plus the tools measurements need.

=====================  =====================================================================
tool                   what it does
=====================  =====================================================================
``noop``               nothing, without arguments: the least a call can cost on this server
``noop_like_add``      nothing, with the arguments and the answer of add_message
``commit_times``       since it was last asked: message id, when its COMMIT returned in the
                       writer's thread, when the event loop announced it (CLOCK_MONOTONIC ns)
``reach``              one message, in a session of its own, at a place far ahead in the log: ids
                       that `bench.bridge` makes up then lie within the log, as real ones do
``fill``               as many messages of 256 characters in a session, many to a commit
=====================  =====================================================================

Everything else is the product's own code, run by its own `mcp_node.app.run`: names in its modules
are wrapped here, and nothing in it knows of this file.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastmcp import FastMCP

from mcp_node import app
from mcp_node.doors.mcp.tools.messages import Level
from mcp_node.doors.mcp.tools.registry import ADDS
from mcp_node.doors.mcp.tools.results import MessageAdded
from mcp_node.doors.mcp.tools.sessions import Metadata, SessionId
from mcp_node.log.interface import Database
from mcp_node.log.postgres.batches import Batches
from mcp_node.log.sqlite import commits
from mcp_node.log.transaction import Committed, Transaction
from mcp_node.services import Services
from mcp_node.sessions.rows import INSERT_SESSION, session_row
from proto.messages import Message, Session, Visibility, encode_metadata, utc_now
from proto.settings import Settings
from proto.toolsets import Toolset
from serving.http.identity import Identity
from serving.process.server import run_node

FAR_AHEAD = 10_000_000
FILL_BATCH = 500

_committed: dict[int, int] = {}
_announced: dict[int, int] = {}
_stores: list[Database] = []

_app: Any = app
_engines: tuple[Any, ...] = (commits, Batches)
_make_server, _open_store = _app.make_server, _app.open_store


class _Reach:
    """A write: a message with the id `FAR_AHEAD`."""

    size = 0

    def apply(self, transaction: Transaction) -> None:
        nobody, session = ("bench", "bench", "bench"), "bench-far-ahead"
        empty = encode_metadata(None)
        made = Session(session, "bench", empty, "bench", utc_now())
        transaction.write(INSERT_SESSION, session_row(made))
        public = Visibility.PUBLIC
        transaction.add(Message(FAR_AHEAD, 0, session, *nobody, "", public, utc_now(), empty, None))


class _Fill:
    """A write: many messages at the end of a session."""

    size = 0

    def __init__(self, session_id: str, count: int) -> None:
        self._session_id = session_id
        self._count = count

    def apply(self, transaction: Transaction) -> None:
        who, empty, now = ("bench", "bench", "bench"), encode_metadata(None), utc_now()
        for _ in range(self._count):
            id_, prev = transaction.last() + 1, transaction.last_of(self._session_id) or 0
            content = f"Message {id_} ".ljust(256, ".")
            transaction.add(
                Message(
                    id_, prev, self._session_id, *who, content, Visibility.PUBLIC, now, empty, None
                )
            )


def _timed(commit: Callable[..., Committed]) -> Callable[..., Committed]:
    def timed_commit(*arguments: Any) -> Committed:
        committed = commit(*arguments)
        now = time.monotonic_ns()
        _committed.update((message.id, now) for message in committed.messages)
        return committed

    return timed_commit


def _note_announced(messages: Sequence[Message]) -> None:
    now = time.monotonic_ns()
    _announced.update((message.id, now) for message in messages)


async def _open_watched_store(data_dir: Path, settings: Settings) -> Database:
    store: Database = await _open_store(data_dir, settings)
    store.on_commit(_note_announced)  # before the publisher's
    _stores.append(store)
    return store


def _make_bench_server(
    services: Services, identity: Identity, toolsets: frozenset[Toolset]
) -> FastMCP:
    mcp: FastMCP = _make_server(services, identity, toolsets)

    @mcp.tool(annotations=ADDS)
    async def noop() -> dict[str, Any]:
        """Do nothing."""
        return {}

    @mcp.tool(annotations=ADDS)
    async def noop_like_add(
        session_id: SessionId,
        content: str,
        visibility: Level = "public",
        metadata: Metadata = None,
        parent_message_id: int | None = None,
    ) -> MessageAdded:
        """Do nothing, with add_message's arguments and answer."""
        return {"message_id": 1, "timestamp": "2026-11-23T21:30:00.000000Z", "unread": 0}

    @mcp.tool
    async def commit_times() -> dict[str, Any]:
        """When messages were committed and announced."""
        times = [[id_, at, _announced.get(id_, 0)] for id_, at in _committed.items()]
        _committed.clear()
        _announced.clear()
        return {"times": times}

    @mcp.tool
    async def reach() -> dict[str, Any]:
        """Have the log reach far ahead."""
        await _stores[0].write(_Reach())
        return {}

    @mcp.tool
    async def fill(session_id: SessionId, count: int) -> dict[str, Any]:
        """Add many messages."""
        for start in range(0, count, FILL_BATCH):
            await _stores[0].write(_Fill(session_id, min(FILL_BATCH, count - start)))
        return {}

    return mcp


if __name__ == "__main__":
    _app.make_server = _make_bench_server
    _app.open_store = _open_watched_store
    for engine in _engines:
        engine.commit = _timed(engine.commit)
    sys.exit(run_node(app.run))
