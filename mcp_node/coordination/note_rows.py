"""Notes as rows: each version of a note is one; the highest version is the note's text now."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from mcp_node.log.sql import Connection
from mcp_node.log.transaction import Transaction
from mcp_node.sessions.states import SessionStates
from proto.errors import NoteNotFound, RateLimited, SessionClosed, SessionNotFound, VersionConflict
from proto.hidden import hidden_characters
from proto.messages import utc_now

MOST_NOTES: Final = 100
"""The most notes of a session."""

KEPT_VERSIONS: Final = 50
"""The most versions of a note that are kept."""

_COLUMNS: Final = "key, version, text, principal, at"
_CURRENT: Final = (
    f"SELECT {_COLUMNS} FROM notes WHERE session_id = ? AND version = (SELECT max(version)"
    " FROM notes AS every WHERE every.session_id = notes.session_id AND every.key = notes.key)"
    " ORDER BY key"
)
_VERSIONS: Final = (
    f"SELECT {_COLUMNS} FROM notes WHERE session_id = ? AND key = ? ORDER BY version DESC LIMIT ?"
)
_COUNT: Final = "SELECT count(DISTINCT key) FROM notes WHERE session_id = ?"
_INSERT: Final = (
    "INSERT INTO notes (session_id, key, version, text, principal, at) VALUES (?, ?, ?, ?, ?, ?)"
)
_DELETE_OLD: Final = "DELETE FROM notes WHERE session_id = ? AND key = ? AND version <= ?"


class Note(msgspec.Struct, frozen=True):
    """One version of a note.

    Attributes:
        key: of the note.
        version: 1, 2, 3 …
        text: what it says.
        author: the principal that wrote this version.
        updated_at: when, a timestamp.
    """

    key: str
    version: int
    text: str
    author: str
    updated_at: str

    def shown(self) -> dict[str, Any]:
        """The version as tools and REST show it."""
        shown = msgspec.structs.asdict(self)
        if hidden := hidden_characters(self.text):
            shown["hidden_characters"] = hidden
        return shown


class SetNote:
    """Add a version of a note.

    Args:
        session_id: the session.
        key: of the note.
        text: its new text.
        author: the principal.
        if_version: the version that it must have, 0: none; None: any.
    """

    def __init__(
        self, session_id: str, key: str, text: str, author: str, if_version: int | None
    ) -> None:
        self._where = (session_id, key)
        self._text = text
        self._author = author
        self._if_version = if_version
        self.size = 512 + len(text.encode())

    def apply(self, transaction: Transaction) -> Note:
        """Write the version and return it.

        Raises:
            SessionNotFound: there is no such session.
            SessionClosed: the session is closed.
            VersionConflict: the note has another version than ``if_version``.
            RateLimited: the session has as many notes as it may have.
        """
        session_id, key = self._where
        state = transaction.companion(SessionStates).of(transaction, session_id)
        if state is None:
            raise SessionNotFound
        if state.closed:
            raise SessionClosed
        row = transaction.read(_VERSIONS, (*self._where, 1)).fetchone()
        current = Note(key, 0, "", "", "") if row is None else Note(*row)
        if self._if_version not in (None, current.version):
            raise VersionConflict(note=current.shown() if current.version else {"version": 0})
        if row is None and transaction.read(_COUNT, (session_id,)).fetchone()[0] >= MOST_NOTES:
            raise RateLimited(
                f"This session has {MOST_NOTES} notes, the most there can be.",
                "Put it into a note that exists (get_notes shows them).",
            )
        new = Note(key, current.version + 1, self._text, self._author, utc_now())
        transaction.write(
            _INSERT, (session_id, key, new.version, new.text, new.author, new.updated_at)
        )
        transaction.write(_DELETE_OLD, (*self._where, new.version - KEPT_VERSIONS))
        return new


def current_notes(connection: Connection, session_id: str) -> list[Note]:
    """The notes of a session as they are now, by key."""
    return _notes(connection.execute(_CURRENT, (session_id,)).fetchall())


def versions(connection: Connection, session_id: str, key: str) -> list[Note]:
    """The kept versions of a note, the newest first.

    Raises:
        NoteNotFound: there is no note under that key.
    """
    found = _notes(connection.execute(_VERSIONS, (session_id, key, KEPT_VERSIONS)).fetchall())
    if not found:
        raise NoteNotFound
    return found


def _notes(rows: Sequence[Sequence[Any]]) -> list[Note]:
    return [Note(*row) for row in rows]
