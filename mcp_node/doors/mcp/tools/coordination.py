"""Tools for dividing work: claim, release, set_note, get_notes, set_status, leave_session."""

from typing import Annotated, Any, NotRequired

from pydantic import Field, StrictFloat, StrictInt
from typing_extensions import TypedDict

from mcp_node.doors.mcp.tools.registry import CHANGES, READS, Tools
from mcp_node.doors.mcp.tools.results import ClaimResult, Marked
from mcp_node.doors.mcp.tools.sessions import SessionId
from mcp_node.services import Services
from proto.messages import Principal


class ClaimMade(ClaimResult):
    """What you have claimed, and until when."""

    unread: int


class Released(TypedDict):
    """The names that were claimed and are free now."""

    released: list[str]
    unread: int


class NoteSet(TypedDict):
    """The note's version now."""

    key: str
    version: int
    updated_at: str
    unread: int


class NoteResult(TypedDict):
    """A version of a note."""

    key: str
    version: int
    text: str
    author: str
    updated_at: str
    hidden_characters: NotRequired[int]


class NoteList(Marked):
    """Notes as they are now, by key; ``earlier``: the earlier versions of the one asked for."""

    notes: list[NoteResult]
    earlier: NotRequired[list[NoteResult]]
    unread: int


class StatusSet(TypedDict):
    """Until when list_agents shows it."""

    until: NotRequired[str]
    cleared: NotRequired[bool]
    unread: int


class Left(TypedDict):
    """When you left."""

    left_at: str


def add_claim_tools(tools: Tools, services: Services) -> None:
    """Add the tools of claims to a server."""
    claims = services.claims

    @tools.add(CHANGES, ClaimMade, "coordination")
    async def claim(
        caller: Principal,
        session_id: SessionId,
        names: Annotated[
            list[str],
            Field(description="1 to 20 words, paths or globs: deploy, src/auth/**, docs/*.md."),
        ],
        minutes: Annotated[
            StrictInt | StrictFloat, Field(description="For how long, 1 to 1440.")
        ] = 30,
        note: Annotated[
            str, Field(description="What you do with it, at most 500 characters.")
        ] = "",
    ) -> dict[str, Any]:
        """Say what you work on, before you start; again to renew. All names or none.

        CLAIMED: it overlaps what somebody else has; the error says who, what, until when.
        """
        return await claims.claim(caller, session_id, names, minutes, note)

    @tools.add(CHANGES, Released, "coordination")
    async def release(
        caller: Principal,
        session_id: SessionId,
        names: Annotated[
            list[str] | None, Field(description="Names as claimed; left out: all of yours.")
        ] = None,
    ) -> dict[str, Any]:
        """Give up what you claimed, as soon as it is done."""
        return await claims.release(caller, session_id, names)


def add_note_tools(tools: Tools, services: Services) -> None:
    """Add the tools of notes to a server."""
    notes = services.notes

    @tools.add(CHANGES, NoteSet, "coordination")
    async def set_note(
        caller: Principal,
        session_id: SessionId,
        key: Annotated[str, Field(description="Such as split-of-work; at most 128 characters.")],
        text: Annotated[str, Field(description="The whole new text, at most 16 KiB.")],
        if_version: Annotated[
            StrictInt | None,
            Field(description="Only if this is its version now; 0: only if it is new."),
        ] = None,
    ) -> dict[str, Any]:
        """Write down what the room agreed on: decisions, who does what. All see and edit it.

        VERSION_CONFLICT: somebody changed it; the error has its text and version.
        """
        return await notes.set(caller, session_id, key, text, if_version)

    @tools.add(READS, NoteList, "coordination")
    async def get_notes(
        caller: Principal,
        session_id: SessionId,
        key: Annotated[
            str | None, Field(description="Only this note, with its earlier versions.")
        ] = None,
    ) -> dict[str, Any]:
        """Read what the room agreed on. Use it when you join, and before set_note."""
        return await notes.get(caller, session_id, key)


def add_status_tools(tools: Tools, services: Services) -> None:
    """Add the tools of statuses to a server."""
    statuses = services.statuses

    @tools.add(CHANGES, StatusSet, "coordination")
    async def set_status(
        caller: Principal,
        session_id: SessionId,
        text: Annotated[
            str, Field(description="Such as: checking A13, back in 3 min. At most 200 characters.")
        ],
        minutes: Annotated[
            StrictInt | StrictFloat, Field(description="For how long, 1 to 1440.")
        ] = 15,
    ) -> dict[str, Any]:
        """Tell others what you do right now, without a message. An empty text clears it."""
        return await statuses.set(caller, session_id, text, minutes)

    @tools.add(CHANGES, Left, "coordination")
    async def leave_session(caller: Principal, session_id: SessionId) -> dict[str, Any]:
        """Say that you are gone, so that nobody waits for you. Whatever you do there undoes it."""
        return await statuses.leave(caller, session_id)
