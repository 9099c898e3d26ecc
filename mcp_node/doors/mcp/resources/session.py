"""The resources of sessions: what get_session and get_messages return, at a URI.

They are not listed: a list would show names chosen by participants where clients show the server's
own texts. list_sessions lists them, and argument completion helps to type their ids.

Reading a resource does not mark messages as read: clients read resources by themselves, perhaps
without showing them to an agent.
"""

from typing import Any

import msgspec
from fastmcp import FastMCP

from mcp_node.doors.mcp.errors import component_errors
from mcp_node.doors.mcp.identity import current_principal
from mcp_node.doors.mcp.tools.results import marked
from mcp_node.services import Services
from mcp_node.sessions.checks import check_page
from mcp_node.sessions.uris import MESSAGES, SESSION
from proto.messages import Principal
from serving.http.identity import Identity

JSON = "application/json"


def add_session_resources(mcp: FastMCP, services: Services, identity: Identity) -> None:
    """Add the resource templates of sessions to a server."""

    @mcp.resource(SESSION, name="session", mime_type=JSON)
    async def session(id: str) -> str:
        """What a session is for, and its 20 most recent messages, as get_session gives them."""
        with component_errors():
            return as_json(await session_view(services, current_principal(identity), id))

    @mcp.resource(MESSAGES, name="messages", mime_type=JSON)
    async def messages(id: str) -> str:
        """The newest 50 messages of a session, oldest first, as get_messages gives them."""
        with component_errors():
            return as_json(await messages_view(services, current_principal(identity), id))


async def session_view(services: Services, principal: Principal, session_id: str) -> dict[str, Any]:
    """The result of get_session, without marking messages as read."""
    view = await services.inbox.get_session(principal, session_id, mark_read=False)
    view["unread"] = await services.inbox.unread(principal, session_id)
    return marked(view)


async def messages_view(
    services: Services, principal: Principal, session_id: str
) -> dict[str, Any]:
    """The result of get_messages, without marking messages as read."""
    query = check_page(session_id)
    page = await services.inbox.get_messages(principal, query, mark_read=False)
    page["unread"] = await services.inbox.unread(principal, session_id)
    return marked(page)


def as_json(result: dict[str, Any]) -> str:
    """The text of a resource."""
    return msgspec.json.encode(result).decode()
