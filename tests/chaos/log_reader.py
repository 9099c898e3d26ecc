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


def read_log(data_dir: Path) -> list[Logged]:
    """Every message, ascending by id."""
    address = f"file:{data_dir / 'partyline.db'}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as database:
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
