"""One line for each thing that tests ask of the store: the operation or the read behind it."""

import time
from functools import partial
from typing import Any

from mcp_node.links import revocations as taken_back
from mcp_node.log.interface import Database
from mcp_node.search.finding import Found, find
from mcp_node.search.rows import Criteria
from mcp_node.search.vocabulary import Vocabulary
from mcp_node.services import Services
from mcp_node.sessions import listing, reads
from mcp_node.sessions.checks import check_page
from mcp_node.sessions.listing import SessionListing
from mcp_node.sessions.new import NewMessage, NewSession
from mcp_node.sessions.operations import AppendMessage, CreateSession
from mcp_node.sessions.reads import Page, PageQuery
from mcp_node.sessions.rows import Entries
from proto.internal_api import Heads, LogPage
from proto.messages import Audience, Message, Principal, Session, Visibility
from proto.revocations import Revocation


async def append(database: Database, message: NewMessage) -> Message:
    return await database.write(AppendMessage(message))


async def create_session(
    database: Database, session: NewSession, most: int | None = None
) -> tuple[Session, bool]:
    return await database.write(CreateSession(session, most))


async def get_session(database: Database, session_id: str) -> Session:
    return await database.read(partial(reads.session, session_id=session_id))


async def list_sessions(
    database: Database,
    audience: Audience,
    *,
    within: frozenset[str] | None,
    limit: int,
    active_since: str | None,
) -> list[SessionListing]:
    wanted = {"within": within, "limit": limit, "active_since": active_since}
    return await database.read(partial(listing.sessions, audience=audience, **wanted))


async def page(
    database: Database,
    session_id: str,
    audience: Audience,
    *,
    after: int | None,
    before: int | None,
    limit: int,
    sender: str | None = None,
    visibility: Visibility | None = None,
    entries: Entries = "none",
) -> Page:
    query = PageQuery(session_id, after, before, limit, after is None, sender, visibility, entries)
    return await database.read(partial(reads.page, audience=audience, query=query))


async def read(
    able: Services, who: Principal, session_id: str = "room", *, mark_read: bool = True, **part: Any
) -> dict[str, Any]:
    query = check_page(session_id, **part)
    return await able.inbox.get_messages(who, query, mark_read=mark_read)


async def view(able: Services, who: Principal, session_id: str = "room") -> dict[str, Any]:
    return await able.inbox.get_session(who, session_id, mark_read=False)


async def search(database: Database, criteria: Criteria) -> Found:
    return await database.read_long(partial(find, vocabulary=Vocabulary(), criteria=criteria))


async def heads(database: Database, after: int) -> Heads:
    return await database.read(partial(reads.heads, epoch=database.epoch, after=after))


async def session_head(database: Database, session_id: str) -> int:
    return await database.read(partial(reads.session_head, session_id=session_id))


async def log_page(
    database: Database, session_id: str, *, after: int, limit: int, audience: Audience | None
) -> LogPage:
    query = PageQuery(session_id, after, None, limit)
    return await database.read(
        partial(reads.log_page, epoch=database.epoch, audience=audience, query=query)
    )


async def revoke(
    database: Database,
    *,
    token_id: str | None,
    agent_id: str | None,
    issued_until: int | None = None,
) -> list[Revocation]:
    until = int(time.time()) if issued_until is None else issued_until
    return await database.write(taken_back.Revoke(token_id, agent_id, until))


async def revocations(database: Database) -> list[Revocation]:
    return await database.read(taken_back.revocations)
