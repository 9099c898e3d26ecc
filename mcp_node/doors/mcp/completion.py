"""Completion of session ids in arguments of prompts and resource templates."""

from typing import Final

import mcp_types
from fastmcp import FastMCP
from fastmcp.server.completions import CompletionReference

from mcp_node.doors.mcp.errors import protocol_errors
from mcp_node.doors.mcp.identity import current_principal
from mcp_node.doors.mcp.prompts import PROMPTS
from mcp_node.sessions.sessions import Sessions
from mcp_node.sessions.uris import MESSAGES, SESSION
from serving.http.identity import Identity

_LOOKED_AT: Final = 100
"""How many of the latest active sessions are searched for an id."""


def add_completion(mcp: FastMCP, sessions: Sessions, identity: Identity) -> None:
    """Complete ids of sessions that the caller may enter, the latest active first."""

    @mcp.completion
    async def complete(
        reference: CompletionReference,
        argument: mcp_types.CompletionArgument,
        context: mcp_types.CompletionContext | None,
    ) -> list[str]:
        if not _wants_session(reference, argument.name):
            return []
        with protocol_errors():
            found = await sessions.list_sessions(current_principal(identity), _LOOKED_AT)
        ids = [str(session["session_id"]) for session in found]
        return [id_ for id_ in ids if id_.startswith(argument.value)]


def _wants_session(reference: CompletionReference, argument: str) -> bool:
    if isinstance(reference, mcp_types.PromptReference):
        return reference.name in PROMPTS and argument == "session_id"
    return reference.uri in (SESSION, MESSAGES) and argument == "id"
