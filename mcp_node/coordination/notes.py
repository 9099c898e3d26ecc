"""Notes: what the participants of a session agreed on, under keys, with earlier versions."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from mcp_node.coordination.note_rows import SetNote, current_notes, versions
from mcp_node.log.interface import Database
from mcp_node.sessions import reads
from mcp_node.sessions.authorization import Rights, entered, named
from mcp_node.sessions.checks import check_id, check_printable
from proto.errors import InvalidInput, TooLarge
from proto.messages import Principal
from proto.strictjson import check_text

KEY_CHARS: Final = 128
TEXT_BYTES: Final = 16_384


class Notes:
    """Reads and writes the notes of sessions. Methods raise as those of `Sessions` do.

    Args:
        database: where notes are stored.
        rights: counts the writes.
        seen: called when a principal was active in a session.
    """

    def __init__(
        self, database: Database, rights: Rights, seen: Callable[[Principal, str], None]
    ) -> None:
        self._database = database
        self._rights = rights
        self._seen = seen

    async def set(
        self, principal: Principal, session_id: Any, key: Any, text: Any, if_version: Any = None
    ) -> dict[str, Any]:
        """Write a note; its earlier text stays readable. Durable when this returns.

        Args:
            principal: who writes.
            session_id: the session.
            key: 1 to 128 printable characters.
            text: at most 16 KiB, not only white space.
            if_version: only if this is the note's version; 0: only if there is none yet.

        Raises:
            VersionConflict: the note has another version.
            SessionClosed: the session is closed.
            RateLimited: too many writes, or too many notes.
        """
        self._rights.may_write(principal)
        named(principal, "writing of notes")
        name = entered(principal, session_id, "write")
        operation = SetNote(
            name,
            check_printable(key, "key", KEY_CHARS),
            _check_text(text),
            principal.agent_id,
            check_id(if_version, "if_version"),
        )
        note = await self._database.write(operation)
        self._seen(principal, name)
        return {"key": note.key, "version": note.version, "updated_at": note.updated_at}

    async def get(self, principal: Principal, session_id: Any, key: Any = None) -> dict[str, Any]:
        """All notes of a session, by key; or one, with its earlier versions, the newest first.

        Raises:
            NoteNotFound: there is no note under that key.
        """
        name = entered(principal, session_id, "read")
        wanted = None if key is None else check_printable(key, "key", KEY_CHARS)
        await self._database.read(partial(reads.session, session_id=name))
        self._seen(principal, name)
        if wanted is None:
            found = await self._database.read(partial(current_notes, session_id=name))
            return {"notes": [note.shown() for note in found]}
        found = await self._database.read(partial(versions, session_id=name, key=wanted))
        current, *earlier = [note.shown() for note in found]
        return {"notes": [current], "earlier": earlier}


def _check_text(text: Any) -> str:
    if not isinstance(text, str):
        raise InvalidInput("text must be a string.")
    check_text(text, "text")
    if len(text.encode()) > TEXT_BYTES:
        raise TooLarge(f"text has more than {TEXT_BYTES} bytes.", "Split it over several keys.")
    if not text.strip():
        raise InvalidInput("text is empty.")
    return text
