"""The tool search_messages."""

from typing import Annotated, Any, NotRequired

from pydantic import Field, StrictInt
from typing_extensions import TypedDict

from mcp_node.doors.mcp.tools.registry import READS, Tools
from mcp_node.doors.mcp.tools.results import Marked
from mcp_node.services import Services
from proto.messages import Principal


class SearchHit(TypedDict):
    """A message that was found; get_messages with after one less than its id shows all of it."""

    message_id: int
    session_id: str
    sender: str
    sender_type: str
    timestamp: str
    visibility: str
    snippet: str
    hidden_characters: NotRequired[int]


class SearchResult(Marked):
    """What was found, newest first; ``corrected``: words searched for in place of mistyped ones.

    ``unread`` is there when one session was searched.
    """

    results: list[SearchHit]
    has_more: bool
    corrected: NotRequired[dict[str, list[str]]]
    unread: NotRequired[int]


def add_search_tools(tools: Tools, services: Services) -> None:
    """Add the search tool to a server."""

    @tools.add(READS, SearchResult, "core")
    async def search_messages(
        caller: Principal,
        query: Annotated[
            str,
            Field(
                description='At most 8 words, in any order; "quoted phrase" as it stands, rout* '
                "for every word that begins so."
            ),
        ],
        session_id: Annotated[
            str | None, Field(description="Only this session. Left out: all.")
        ] = None,
        sender: Annotated[
            str | None,
            Field(description="Only this sender and its sub-agents."),
        ] = None,
        since: Annotated[
            str | None,
            Field(description="Only from this time on: 2026-11-23T21:30:00Z."),
        ] = None,
        until: Annotated[
            str | None,
            Field(description="Only up to this time."),
        ] = None,
        limit: Annotated[StrictInt, Field(description="At most so many, 1 to 100.")] = 20,
        thread: Annotated[
            StrictInt | None,
            Field(description="Only under this message; needs session_id."),
        ] = None,
        metadata: Annotated[
            dict[str, Any] | None, Field(description="Only with this metadata.")
        ] = None,
    ) -> dict[str, Any]:
        """Find what was said before, newest first: a decision, an error, a name, a file.

        Read around a hit with get_messages, after a little less than its message_id.
        """
        return await services.search.search_messages(
            caller, query, session_id, sender, since, until, limit, thread, metadata
        )
