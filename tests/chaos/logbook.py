"""Reads the log for the judge: straight from the database file, past all code of the product."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.chaos.agents import checksum
from tests.chaos.judge import Logged

_QUERY = """
SELECT id, prev, session_id, principal, sender, sender_type, visibility, content
FROM messages ORDER BY id
"""


def read_epoch(data_dir: Path) -> str:
    """The log's name."""
    with closing(sqlite3.connect(_address(data_dir), uri=True)) as database:
        (epoch,) = database.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
        return str(epoch)


def read_log(data_dir: Path) -> list[Logged]:
    """Every message, ascending by id."""
    with closing(sqlite3.connect(_address(data_dir), uri=True)) as database:
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
            for id_, prev, session_id, principal, sender, sender_type, visibility, content in (
                database.execute(_QUERY)
            )
        ]


def _address(data_dir: Path) -> str:
    return f"file:{data_dir / 'partyline.db'}?mode=ro"
