"""REST routes of notes."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mcp_node.doors.rest.caller import Caller
from mcp_node.doors.rest.documents import WRITING, SessionId, documented
from mcp_node.services import Services


class NoteBody(BaseModel):
    """A note's new text."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str = Field(description="At most 16 KiB.")
    if_version: int | None = Field(
        None, description="Only if this is its version now; 0: only if there is none yet."
    )


class NoteMade(BaseModel):
    """The note's version now."""

    key: str
    version: int
    updated_at: str


class NoteAnswer(NoteMade):
    """A version of a note.

    ``hidden_characters``: how many of its text nobody sees, if there are any.
    """

    text: str
    author: str
    hidden_characters: int = 0


class NotesAnswer(BaseModel):
    """Notes as they are now, by key."""

    notes: list[NoteAnswer]


class NoteVersions(NotesAnswer):
    """One note, and its earlier versions, the newest first."""

    earlier: list[NoteAnswer]


def make_notes_api(services: Services) -> APIRouter:
    """The routes of notes, under /api/sessions/{session_id}."""
    notes = services.notes
    router = APIRouter(prefix="/api/sessions/{session_id}", tags=["rooms"])

    @router.get(
        "/notes",
        summary="The notes of a session",
        response_model=NotesAnswer,
        response_model_exclude_unset=True,
        responses=documented(404, 503),
    )
    async def get_notes(caller: Caller, session_id: SessionId) -> dict[str, Any]:
        return await notes.get(caller, session_id)

    @router.get(
        "/notes/{key:path}",
        summary="A note with its earlier versions",
        response_model=NoteVersions,
        response_model_exclude_unset=True,
        responses=documented(404, 503),
    )
    async def get_note(caller: Caller, session_id: SessionId, key: str) -> dict[str, Any]:
        return await notes.get(caller, session_id, key)

    @router.put(
        "/notes/{key:path}",
        summary="Write a note",
        description="If it has another version than if_version, it is refused (VERSION_CONFLICT);"
        " error.version and error.text are what it is now.",
        response_model=NoteMade,
        responses=documented(404, 409, *WRITING),
    )
    async def set_note(
        caller: Caller, session_id: SessionId, key: str, body: NoteBody
    ) -> dict[str, Any]:
        return await notes.set(caller, session_id, key, body.text, body.if_version)

    return router
