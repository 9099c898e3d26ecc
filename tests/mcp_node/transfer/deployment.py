"""A deployment that has something of every feature, and what its users see of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp_node.commands.migrate import migrate
from mcp_node.log.interface import Database
from mcp_node.services import Services, make_services
from mcp_node.storage import open_store
from mcp_node.transfer.transfer import Say
from proto.errors import PartylineError
from proto.keyfile import open_data_dir
from proto.messages import Message, Principal
from proto.settings import Settings, load_settings
from tests import postgres
from tests.mcp_node import storing

BOTH = frozenset({"read", "write"})
FUTURE = 4_000_000_000
ALICE = Principal("alice", "claude", BOTH, None, FUTURE, "a", 1)
BOB = Principal("bob", "codex", BOTH, None, FUTURE, "b", 1)
ROOT = Principal("root", "ops", BOTH | {"admin"}, None, FUTURE, "r", 1)
EVERYBODY = (ALICE, BOB, ROOT)

DIRECTIONS = [("sqlite", "postgresql"), ("postgresql", "sqlite")]


def settings_of(data_dir: Path, engine: str) -> Settings:
    """The settings of a deployment in a directory; the schema in PostgreSQL is the directory's."""
    store = postgres.store_settings(data_dir) if engine == "postgresql" else {}
    return load_settings(data_dir=data_dir, ws_port=8081, **store)


@asynccontextmanager
async def running(data_dir: Path, engine: str) -> AsyncIterator[tuple[Database, Services]]:
    """The store of a directory on either engine, and the services on it."""
    settings = settings_of(open_data_dir(data_dir), engine)
    store = await open_store(data_dir, settings)
    try:
        yield store, make_services(store, settings)
    finally:
        await store.close()


def move(data_dir: Path, source: str, target: str, say: Say = lambda line: None) -> None:
    """``partyline migrate``, in this process. Blocks."""
    settings = settings_of(data_dir, "postgresql")
    migrate(settings, source=source, target=target, say=say)


async def moved(data_dir: Path, source: str, target: str) -> list[str]:
    """The same without blocking; the lines it printed."""
    lines: list[str] = []
    await asyncio.to_thread(move, data_dir, source, target, lines.append)
    return lines


async def fill(able: Services, count: int = 30) -> str:
    """Use every feature; the code of a live link."""
    for name in ("room", "other", "closed", "limited"):
        await able.sessions.create_session(ALICE, f"to talk in {name} — é", name, {"n": 1.5})
    said = [(await write(able, n)).id for n in range(count)]
    await able.sessions.add_message(BOB, "room", "a reply", parent_message_id=said[0])
    await able.sessions.add_message(ROOT, "room", "for admins", "admin_only")
    await able.sessions.add_message(ALICE, "closed", "the end", speaking_as="reviewer")
    await able.deletion.delete_message(ALICE, "room", said[0])
    await able.moderation.close_session(ALICE, "closed")
    await able.moderation.update_session(ROOT, "limited", messages_per_minute=7, agent_messages=2)
    await storing.read(able, BOB, "room", limit=5)
    await able.waits.wait(ALICE, "room", timeout_seconds=1, wanted="calls")
    await able.readers.save()
    for n in range(5):  # not in the order of the keys
        await able.memory.set(ALICE, f"key {9 - n}", {"value": [n, "é"]}, "room" if n % 2 else None)
    await able.memory.set(BOB, "short", 1, expires_in=86_400)
    await able.claims.claim(ALICE, "room", ["src/é/**", "deploy"], 1_440, "a note\\.")
    for text in ("one", "two — é"):
        await able.notes.set(BOB, "room", "split of work", text)
    await able.statuses.set(ALICE, "room", "busy — é", 1_440)
    await able.statuses.leave(BOB, "other")
    minted = await able.links.mint_live(ALICE, "room", write=True)
    await able.links.redeem(minted.url.partition("#code=")[2])
    await able.links.mint_login()
    revoked = await able.links.mint_live(BOB, "other")
    await able.links.revoke(revoked.link.link_id)
    return minted.url.partition("#code=")[2]


async def write(able: Services, n: int) -> Message:
    """Write the message of a number in ``room``; again, it is a retry."""
    who, level = EVERYBODY[n % 3], ("public", "private", "agent_only")[n % 7 % 3]
    text = f"number {n} for @bob and @alice/reviewer:\t\\.\n'ünïcode' \U0001f600 \\N"
    return await able.sessions.add_message(
        who, "room", text, level, {"n": n, "zero": "\\u0000"}, idempotency_key=f"key {n}"
    )


async def write_together(able: Services) -> range:
    """Write some messages together in ``room``; again, it is a retry."""
    together = [{"content": "one of two"}, {"content": "two of two"}]
    return (await able.sessions.add_messages(ALICE, "room", together, "together")).ids


async def seen(store: Database, able: Services) -> dict[str, Any]:
    """What the users of a deployment see. The first look makes them known to the sessions."""
    for _ in range(2):
        found = await _look(store, able)
    return found


async def _look(store: Database, able: Services) -> dict[str, Any]:
    found: dict[str, Any] = {"epoch": store.epoch}
    for who in EVERYBODY:
        name = who.agent_id
        found[f"{name}: sessions"] = await able.inbox.list_sessions(who, 50)
        for session in ("room", "other", "closed", "limited"):
            found[f"{name}: {session}"] = await storing.read(
                able, who, session, after=0, limit=200, mark_read=False
            )
            found[f"{name}: claims in {session}"] = await able.claims.list(who, session)
            found[f"{name}: notes in {session}"] = await able.notes.get(who, session)
            found[f"{name}: unread {session}"] = await able.inbox.unread(who, session)
        for query in ("number", "unicode numbr", "reply"):
            found[f"{name}: {query}"] = await able.search.search_messages(who, query, limit=50)
        found[f"{name}: memory"] = await able.memory.newest(who)
    found["receipts"] = [await _receipts(able, id_) for id_ in range(1, 40)]
    found["links"] = await able.links.newest()
    found["revocations"] = await storing.revocations(store)
    found["heads"] = await storing.heads(store, 0)
    return found


async def _receipts(able: Services, message_id: int) -> Any:
    """Without the times when somebody was last seen, which every look changes."""
    try:
        found = await able.roster.receipts(ROOT, "room", message_id)
    except PartylineError as error:
        return error.code
    return found["given"], found["mentioned"], {each["name"] for each in found["not_given"]}
