"""``partyline migrate``: moves everything stored from SQLite to PostgreSQL, or back."""

import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from mcp_node.log.mark import MARK, read_mark
from mcp_node.log.sqlite.schema import DATABASE, explain
from mcp_node.storage import POSTGRES_VERSIONS, SCHEMA
from mcp_node.transfer.sqlite import SqliteStore
from mcp_node.transfer.transfer import Moved, Say, transfer
from proto.errors import ConfigurationError
from proto.keyfile import open_data_dir
from proto.settings import Settings
from serving.process.lockfile import LockFile

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"

_SCHEMES: Final = ("postgresql://", "postgres://")
_PASSWORD: Final = (
    "warning: other users of this machine can see the password in the arguments of this command;"
    " set PARTYLINE_STORE, and write postgresql instead of the address"
)


def migrate(settings: Settings, *, source: str, target: str, say: Say) -> None:
    """Move everything stored.

    Args:
        settings: the data directory, and the address and schema of PostgreSQL.
        source: ``sqlite``, or ``postgresql``, or the address of PostgreSQL.
        target: the other one.
        say: prints a line.

    Raises:
        ConfigurationError: a side is not usable, is in use, or the copy differs. Everything that
            was copied stays, and the next call continues.
    """
    if (source == SQLITE) == (target == SQLITE):
        raise ConfigurationError("--from or --to must be sqlite, and the other one postgresql")
    given, side = ("--from", source) if target == SQLITE else ("--to", target)
    address, given = _address(settings, given, side)
    data_dir = open_data_dir(settings.data_dir)
    with LockFile(data_dir / "mcp.lock", "mcp_node"):
        try:
            moved = _moved(settings, data_dir, address, given, to_sqlite=target == SQLITE, say=say)
        except KeyboardInterrupt:
            raise ConfigurationError("stopped; the same command continues") from None
        except sqlite3.Error as error:
            raise ConfigurationError(explain(data_dir / DATABASE, error)) from None
    for line in _summary(moved, settings, data_dir, to_sqlite=target == SQLITE):
        say(line)


def _moved(
    settings: Settings, data_dir: Path, address: str, given: str, *, to_sqlite: bool, say: Say
) -> Moved:
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict

        from mcp_node.log.postgres.schema import complaint
        from mcp_node.transfer.postgres import PostgresStore
    except ImportError:
        raise ConfigurationError(
            "PostgreSQL needs its driver: pip install 'partyline[cluster]'"
        ) from None
    try:
        if given != "PARTYLINE_STORE" and "password" in conninfo_to_dict(address):
            say(_PASSWORD)
        with ExitStack() as opened:
            postgres = PostgresStore(address, settings.store_schema, POSTGRES_VERSIONS)
            opened.enter_context(closing(postgres))
            lite = opened.enter_context(closing(SqliteStore(data_dir, SCHEMA)))
            source, target = (postgres, lite) if to_sqlite else (lite, postgres)
            say(f"From {source.name} to {target.name}.")
            return transfer(source, target, SCHEMA, read_mark(data_dir / MARK), say)
    except psycopg.Error as error:
        raise ConfigurationError(complaint(error, given)) from None


def _address(settings: Settings, given: str, side: str) -> tuple[str, str]:
    """The address of PostgreSQL, and which setting or argument has it."""
    if side == POSTGRESQL:
        if settings.store is None:
            raise ConfigurationError(
                "set PARTYLINE_STORE to the address of PostgreSQL, postgresql://USER@HOST/DATABASE"
            )
        return settings.store.get_secret_value(), "PARTYLINE_STORE"
    if not side.startswith(_SCHEMES):
        raise ConfigurationError(
            f"{given} must be sqlite, postgresql, or an address that begins with postgresql://"
        )
    return side, given


def _summary(moved: Moved, settings: Settings, data_dir: Path, *, to_sqlite: bool) -> list[str]:
    done = "Was moved before" if moved.was_complete else "Moved"
    schema = settings.store_schema
    if to_sqlite:
        steps = [
            "Next: unset PARTYLINE_STORE, then start mcp_node.",
            f"The schema {schema} of PostgreSQL is unchanged. Keep it until you trust the copy,"
            f" then remove it (DROP SCHEMA {schema} CASCADE).",
        ]
    else:
        steps = [
            "Next: start mcp_node with PARTYLINE_STORE set to this database.",
            f"{data_dir / DATABASE} is unchanged and no longer used. Keep it until you trust the"
            " copy, then remove it. Keep the other files in that directory: they are keys.",
        ]
    return [
        f"{done}: {moved.tables} tables, with {moved.messages:,} messages in"
        f" {moved.sessions:,} sessions; no difference.",
        *steps,
    ]
