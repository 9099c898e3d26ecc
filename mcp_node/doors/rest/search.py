"""GET /api/search, with the same search as the tool."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel

from mcp_node.doors.rest.caller import Caller
from mcp_node.doors.rest.documents import FieldsText, Problem
from mcp_node.search.search import Search
from mcp_node.sessions.checks import parse_fields


class HitAnswer(BaseModel):
    """A message that was found; the match stands between « and » in the snippet.

    ``hidden_characters``: how many of the snippet nobody sees, if there are any.
    """

    message_id: int
    session_id: str
    sender: str
    sender_type: str
    timestamp: str
    visibility: str
    snippet: str
    hidden_characters: int | None = None


class SearchAnswer(BaseModel):
    """What was found, newest first; ``corrected``: words searched for in place of mistyped ones."""

    results: list[HitAnswer]
    has_more: bool
    corrected: dict[str, list[str]] | None = None


_MEANINGS: Final = {
    401: "No token, or not a valid one.",
    403: "The token lacks the right, or another site's page asks.",
    404: "No such session that this caller may enter, or no such thread there.",
    413: "The query has too many characters.",
    422: "Something in the request breaks a documented rule.",
    429: "Too many searches of this caller are under way.",
    503: "The log cannot be read; try again.",
}

_Words = Annotated[
    str, Query(description='At most 8 words, all of them needed; "a phrase", begin*.')
]


def make_search_api(search: Search) -> APIRouter:
    """The route under /api."""
    router = APIRouter(prefix="/api", tags=["rooms"])

    @router.get(
        "/search",
        summary="Search messages",
        response_model=SearchAnswer,
        response_model_exclude_none=True,
        responses={
            status: {"model": Problem, "description": meaning}
            for status, meaning in _MEANINGS.items()
        },
    )
    async def search_messages(
        caller: Caller,
        q: _Words,
        session_id: str | None = None,
        sender: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int = 20,
        thread: int | None = None,
        metadata: FieldsText = None,
    ) -> dict[str, Any]:
        fields = parse_fields(metadata)
        return await search.search_messages(
            caller, q, session_id, sender, since, until, limit, thread, fields
        )

    return router
