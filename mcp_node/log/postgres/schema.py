"""The tables in PostgreSQL: made, migrated, and the opening of the log noted.

Everything here runs in one transaction under the log's lock, while other nodes may be running.
"""

import re
import time
import zlib
from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg import sql

from mcp_node.log.epoch import known_id
from mcp_node.log.interface import KEPT_STARTS, Log, Start
from mcp_node.log.mark import Mark
from mcp_node.log.migrations import Step
from mcp_node.log.postgres.connection import PostgresConnection
from mcp_node.log.postgres.identity import LOCK_LOG, LogMoving, settle, share
from mcp_node.log.postgres.statements import PORTABLE_FUNCTIONS, defined
from proto.errors import ConfigurationError

NEWER_VERSIONS: Final = 1
"""How much newer than this node's the tables may be: during an upgrade of several nodes, the first
one that is new migrates them while others still run, and may start again."""

# The last transaction of each node: its number, the server's timeline, whether a synchronous
# standby confirmed it, when (`mcp_node.log.postgres.batches`).
_BATCHES: Final = (
    """
    CREATE TABLE IF NOT EXISTS batches (node TEXT PRIMARY KEY, number BIGINT NOT NULL)
    WITH (fillfactor = 10)
    """,
    "ALTER TABLE batches ADD COLUMN IF NOT EXISTS timeline TEXT",
    "ALTER TABLE batches ADD COLUMN IF NOT EXISTS synchronous BOOLEAN",
    "ALTER TABLE batches ADD COLUMN IF NOT EXISTS at TIMESTAMPTZ NOT NULL DEFAULT now()",
)
# Whether a schema belongs to this user, a superuser, or a role that this user is a member of; and
# whether somebody else may create objects in it.
_OWNED: Final = """
    SELECT owner.oid = me.oid OR owner.rolsuper
            OR (NOT me.rolsuper AND pg_has_role(owner.oid, 'USAGE')),
        EXISTS (
            SELECT FROM aclexplode(nspacl)
            WHERE privilege_type = 'CREATE' AND grantee NOT IN (owner.oid, me.oid)
        )
    FROM pg_namespace
    JOIN pg_roles AS owner ON owner.oid = nspowner
    JOIN pg_roles AS me ON me.rolname = current_user
    WHERE nspname = ?
"""
_VERSION: Final = "SELECT value FROM meta WHERE name = 'schema'"
_SAVE_VERSION: Final = """
    INSERT INTO meta VALUES ('schema', ?)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""


# libpq gives an error of connecting only as text, in the server's language.
_REFUSED: Final = re.compile(
    r"does not exist|authentication failed|no password supplied|certificate|SSL|pg_hba|auth"
)


def lock_number(schema: str) -> int:
    """The number of the advisory lock under which the log of a schema is written."""
    return (0x50414C << 32) | zlib.crc32(schema.encode())


def prepare(
    connection: PostgresConnection,
    schema: str,
    versions: Sequence[Sequence[Step]],
    mark: Mark | None,
) -> Log:
    """Make or migrate the tables, and tell which log they hold.

    A head below the mark of the same epoch means that messages are gone, such as those that a
    standby never got: ids will be given out again, so the log gets a new epoch.

    Args:
        connection: outside a transaction.
        schema: made if it is missing.
        versions: the steps of each schema version.
        mark: the last one that this node wrote.

    Raises:
        ConfigurationError: the tables are of a newer version, or of a partyline migrate that has
            not finished.
        LogMoving: a partyline migrate is under way.
        psycopg.Error: the database refuses.
    """
    share(connection, lock_number(schema))
    with connection.raw.transaction():
        connection.execute(LOCK_LOG, (lock_number(schema),))
        migrate(connection, schema, versions)
        return _identify(connection, mark)


def stored_version(connection: PostgresConnection) -> int:
    """The schema version of the tables, 0 if there are none."""
    (found,) = connection.execute("SELECT to_regclass('meta') IS NOT NULL").fetchone()
    row = connection.execute(_VERSION).fetchone() if found else None
    return 0 if row is None else int(row[0])


def migrate(
    connection: PostgresConnection, schema: str, versions: Sequence[Sequence[Step]]
) -> None:
    """Make or migrate the tables, in the caller's transaction.

    Args:
        connection: the writer's.
        schema: made if it is missing.
        versions: the steps of each schema version.

    Raises:
        ConfigurationError: the tables are of a newer version, or others could change the schema.
        psycopg.Error: the database refuses.
    """
    if (owned := connection.execute(_OWNED, (schema,)).fetchone()) is None:
        connection.raw.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    else:
        _check_owner(schema, *owned)
    version = stored_version(connection)
    if version > len(versions) + NEWER_VERSIONS:
        raise ConfigurationError(
            f"the tables in schema {schema} of PARTYLINE_STORE have version {version}, this"
            f" Partyline knows {len(versions)}; install the newer Partyline"
        )
    if version >= len(versions):
        return
    for function in PORTABLE_FUNCTIONS:
        connection.raw.execute(function)
    for steps in versions[version:]:
        for step in steps:
            if isinstance(step, str):
                connection.execute(defined(step))
            else:
                step(connection)
    for statement in _BATCHES:
        connection.execute(statement)
    connection.execute(_SAVE_VERSION, (str(len(versions)),))


def _check_owner(schema: str, ours: bool, others_create: bool) -> None:
    """Refuse a schema in which others can put functions and tables that this node would use."""
    if not ours:
        raise ConfigurationError(
            f"schema {schema} of PARTYLINE_STORE belongs to another user, who could read and change"
            " everything in it; make this user its owner, or set PARTYLINE_STORE_SCHEMA"
        )
    if others_create:
        raise ConfigurationError(
            f"others may create objects in schema {schema} of PARTYLINE_STORE; revoke that, or set"
            " PARTYLINE_STORE_SCHEMA to a schema of its own"
        )


def _identify(connection: PostgresConnection, mark: Mark | None) -> Log:
    found = settle(connection, known_id(connection, mark))
    connection.execute("INSERT INTO starts VALUES (?, ?)", (time.time(), found.head))
    connection.execute(
        "DELETE FROM starts WHERE at <= (SELECT at FROM starts ORDER BY at DESC OFFSET ? LIMIT 1)",
        (KEPT_STARTS,),
    )
    rows = connection.execute("SELECT at, head FROM starts ORDER BY at").fetchall()
    return Log(found.epoch, found.head, [Start(*row) for row in rows])


def is_away(error: psycopg.Error) -> bool:
    """Whether the server may answer in a while: it is down, starts, or is about to be promoted."""
    if isinstance(error, LogMoving):
        return False
    if error.sqlstate:
        return error.sqlstate.startswith(("57P", "080")) or error.sqlstate == "25006"
    return isinstance(error, psycopg.OperationalError) and not _REFUSED.search(str(error))


def complaint(error: psycopg.Error, given: str = "PARTYLINE_STORE") -> str:
    """What is wrong with the database, without its address, which may hold a password.

    Args:
        error: from connecting or from a statement.
        given: the setting or argument that has the address.
    """
    if isinstance(error, LogMoving):
        return f"{given}: partyline migrate is moving the log; start mcp_node afterwards"
    text = str(error)
    if error.sqlstate == "42501":
        return f"{given}: this user may not create the schema; grant CREATE on the database"
    if error.sqlstate:
        return f"{given}: the server refuses ({type(error).__name__})"
    # libpq gives an error of connecting only as text, in the server's language.
    if re.search(r'database ".*" does not exist', text):
        return f"{given}: there is no such database; create it"
    if "authentication failed" in text or re.search(r'role ".*" does not exist', text):
        return f"{given}: the server refuses this user or password"
    return f"{given}: the server cannot be reached, or refuses; check host, port and user"
