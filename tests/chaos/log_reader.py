"""Reads the log for the judge: straight from the database, past all code of the product."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos.agents import checksum
from tests.chaos.judge import Logged

_QUERY = """
SELECT id, prev, session_id, principal, sender, sender_type, visibility, content
FROM messages ORDER BY id
"""


def read_log(data_dir: Path) -> list[Logged]:
    """Every message in a SQLite file, ascending by id."""
    address = f"file:{data_dir / 'partyline.db'}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as database:
        return _logged(database.execute(_QUERY))


def read_postgres(address: str, schema: str = "partyline") -> list[Logged]:
    """Every message in PostgreSQL, ascending by id."""
    with psycopg.connect(address, options=f"-c search_path={schema}") as database:
        return _logged(database.execute(_QUERY))


def _logged(rows: Iterable[Any]) -> list[Logged]:
    return [
        Logged(
            id_,
            prev,
            session_id,
            principal,
            sender_type,
            visibility,
            checksum(sender, sender_type, visibility, content),
        )
        for id_, prev, session_id, principal, sender, sender_type, visibility, content in rows
    ]
