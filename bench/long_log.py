"""A log of many messages, written straight into the real schema, before a node opens it.

`copy_log` copies it to PostgreSQL as ``partyline migrate`` does, but neither builds the index of
search, which `write_log` does not either, nor compares both sides.

Half of the messages are in one session, the others in thousands of sessions of very different
sizes, all in turn as they would be written. Seven in ten are public. `RARE` speaks three times in
the large session, at its beginning.
"""

import random
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from mcp_node.log.messages import INSERT_MESSAGE
from mcp_node.log.sqlite.schema import prepare
from mcp_node.sessions.rows import INSERT_SESSION
from mcp_node.storage import POSTGRES_VERSIONS, SCHEMA
from mcp_node.transfer.catalogue import catalogue
from mcp_node.transfer.copying import Progress, copy_table
from mcp_node.transfer.postgres import PostgresStore
from mcp_node.transfer.sqlite import SqliteStore
from mcp_node.transfer.store import begin, complete, origin
from proto.messages import utc_now

LARGE = "bench-large"
RARE = "rare"
SENDERS = 8
PER_SESSION = 800
_VISIBILITIES = ("public",) * 7 + ("agent_only", "agent_only", "private", "admin_only")
TALLIES = (
    "INSERT INTO tallies SELECT session_id, audience, count(*), max(id), ?"
    " FROM messages GROUP BY session_id, audience"
)
_QUICKLY = ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -524288")


Text = Callable[[int, str], str]
"""The content of a message, by its id and visibility."""


def _plain(id_: int, _: str) -> str:
    return f"Message {id_} ".ljust(100 + id_ % 200, ".")


def write_log(path: Path, count: int, text: Text = _plain) -> None:
    """Make a database of ``count`` messages of about 200 characters; nothing may have it open.

    Indexes are taken away meanwhile and made again in one go, but not that of search.
    """
    prepare(path, SCHEMA, None)
    sessions = max(2, count // PER_SESSION)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in _QUICKLY:
            connection.execute(pragma)
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'messages' AND type = 'index'"
        ).fetchall()
        connection.execute("BEGIN")
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        now = utc_now()
        names = [LARGE, *(f"bench-{number}" for number in range(1, sessions))]
        connection.executemany(
            INSERT_SESSION, [(name, "bench", "{}", "bench", now) for name in names]
        )
        connection.executemany(INSERT_MESSAGE, _rows(count, names, now, text))
        for _, sql in indexes:
            connection.execute(sql)
        connection.execute(TALLIES, (now,))
        connection.execute("COMMIT")


def copy_log(data_dir: Path, address: str, schema: str) -> None:
    """Copy the database of a data directory to PostgreSQL; no node may use either."""
    say = partial(print, file=sys.stderr)
    with ExitStack() as stack:
        source = stack.enter_context(closing(SqliteStore(data_dir, SCHEMA)))
        target = stack.enter_context(closing(PostgresStore(address, schema, POSTGRES_VERSIONS)))
        tables = catalogue(SCHEMA)
        begin(target, tables, origin(source, None, say))
        progress = Progress(say)
        for table in tables:
            copy_table(source, target, target.columns(source.columns(table)), progress)
        target.prepare_for_use()
        complete(source, target)


def _rows(count: int, sessions: list[str], now: str, text: Text) -> Iterator[tuple[object, ...]]:
    draw = random.Random(7).random
    last = [0] * len(sessions)
    rare = 0
    for id_ in range(1, count + 1):
        number = 0 if id_ % 2 else int(draw() ** 2 * (len(sessions) - 1)) + 1
        agent = int(draw() * SENDERS)
        sender = f"agent-{agent}"
        visibility = _VISIBILITIES[int(draw() * len(_VISIBILITIES))]
        if not number and rare < 3:
            rare, sender, visibility = rare + 1, RARE, "public"
        kind = "codex" if agent % 2 else "claude"
        content = text(id_, visibility)
        yield (
            id_,
            last[number],
            sessions[number],
            sender,
            sender,
            kind,
            content,
            visibility,
            now,
            "{}",
            *[None] * 4,  # neither a reply nor an entry about a message
        )
        last[number] = id_
