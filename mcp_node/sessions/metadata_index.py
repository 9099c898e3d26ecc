"""The index of metadata: which messages have a value under a key of their metadata.

The table ``metadata_fields`` has a row for each top-level key of a message's metadata whose value
is a text, a number, a boolean or null. The row has a digest of key and value, so its size is
bounded, and the audience key of the message, so that a reader's query reads only rows of messages
that it may see.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from mcp_node.log.sql import Connection, numbers
from mcp_node.log.transaction import Companion, Transaction
from proto.messages import Message
from proto.visibility import audience_key

MAX_FIELDS: Final = 50
"""The most fields of one message that are indexed, the first of them; without a limit one message
of 16 KiB could take thousands of rows."""

INSERT: Final = (
    "INSERT INTO metadata_fields (session_id, audience, digest, message_id) VALUES (?, ?, ?, ?)"
)
ERASE: Final = "DELETE FROM metadata_fields WHERE message_id = ?"
PRUNE: Final = f"DELETE FROM metadata_fields WHERE message_id IN {numbers(':ids')}"

_EMPTY: Final = b"{}"
_PAGE: Final = 1_000
_STORED: Final = (
    "SELECT id, session_id, audience, metadata FROM messages"
    " WHERE id > ? AND metadata <> '{}' ORDER BY id LIMIT ?"
)


def digests(fields: Mapping[str, Any]) -> Iterator[str]:
    """A digest for each field whose value is a text, a number, a boolean or null.

    Equal numbers have equal digests: 1 and 1.0 are the same value, ``true`` is another.
    """
    for key, value in fields.items():
        if value is None or isinstance(value, str | int | float):
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            said = json.dumps([key, value]).encode()
            yield hashlib.blake2b(said, digest_size=16).hexdigest()


class MetadataIndex(Companion):
    """Keeps ``metadata_fields`` in step with the log."""

    def __init__(self) -> None:
        self._new: list[tuple[str, str, str, int]] = []

    def added(self, message: Message) -> None:
        """Collect the fields of a new message."""
        metadata = bytes(message.metadata)
        if metadata != _EMPTY and message.about is None:
            key = audience_key(message.visibility, message.principal, message.sender_type)
            self._new += _rows(message.id, message.session_id, key, metadata)

    def erasing(self, transaction: Transaction, message: Message) -> None:
        """Delete the fields of a deleted message."""
        transaction.write(ERASE, (message.id,))

    def editing(self, transaction: Transaction, message: Message, edit: Message) -> None:
        """Replace the fields of an edited message."""
        transaction.write(ERASE, (message.id,))
        key = audience_key(message.visibility, message.principal, message.sender_type)
        self._new += _rows(message.id, message.session_id, key, bytes(edit.metadata))

    def pruning(self, transaction: Transaction, ids: str) -> None:
        """Delete the fields of pruned messages."""
        transaction.write(PRUNE, {"ids": ids})

    def finish(self, connection: Connection) -> None:
        """Insert the collected fields."""
        if self._new:
            new, self._new = self._new, []
            connection.executemany(INSERT, new)

    def forget(self) -> None:
        """Drop the fields of a transaction that was rolled back."""
        self._new.clear()


def index_stored(connection: Connection) -> None:
    """Migration step: index the metadata of all messages."""
    last = 0
    while rows := connection.execute(_STORED, (last, _PAGE)).fetchall():
        last = rows[-1][0]
        connection.executemany(
            INSERT,
            [
                field
                for message_id, session_id, audience, metadata in rows
                for field in _rows(message_id, session_id, audience, metadata.encode())
            ],
        )


def _rows(
    message_id: int, session_id: str, audience: str, metadata: bytes
) -> list[tuple[str, str, str, int]]:
    fields = dict(zip(digests(msgspec.json.decode(metadata)), range(MAX_FIELDS), strict=False))
    return [(session_id, audience, digest, message_id) for digest in fields]
