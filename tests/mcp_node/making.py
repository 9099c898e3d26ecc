"""Messages, sessions and readers for the tests of the store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from mcp_node.log.interface import Database
from mcp_node.sessions.new import NewMessage, NewSession
from mcp_node.storage import open_store
from proto.messages import ANONYMOUS, Audience, Visibility, encode_metadata
from proto.settings import Settings
from tests import postgres
from tests.mcp_node import storing

CLAUDE = Audience("claude-main", "claude")
CODEX = Audience("codex-1", "codex")
ADMIN = Audience("root", "ops", is_admin=True)
NOBODY = Audience(ANONYMOUS, ANONYMOUS)

NO_METADATA = msgspec.Raw(b"{}")


def new_message(
    session_id: str = "room",
    content: str = "hello",
    *,
    author: Audience = CLAUDE,
    sender: str | None = None,
    visibility: Visibility = Visibility.PUBLIC,
    metadata: dict[str, Any] | None = None,
    parent: int | None = None,
) -> NewMessage:
    return NewMessage(
        session_id,
        author,
        sender or author.agent_id,
        content,
        visibility,
        encode_metadata(metadata),
        parent,
    )


def new_session(session_id: str = "room", purpose: str = "to talk") -> NewSession:
    return NewSession(session_id, purpose, NO_METADATA, "claude-main")


@asynccontextmanager
async def opened(data_dir: Path, **settings: Any) -> AsyncIterator[Database]:
    """The store of a directory, closed whatever happens."""
    if postgres.wanted():
        settings = {**postgres.store_settings(data_dir), **settings}
    store = await open_store(data_dir, Settings(data_dir=data_dir, **settings))
    try:
        yield store
    finally:
        await store.close()


async def everything(store: Database, session_id: str = "room") -> list[int]:
    """The ids of a session, unfiltered."""
    page = await storing.log_page(store, session_id, after=0, limit=100_000, audience=None)
    return [message.id for message in page.messages]
