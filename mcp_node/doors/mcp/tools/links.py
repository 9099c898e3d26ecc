"""The tool about links for people: get_live_link."""

from typing import Annotated

from fastmcp import FastMCP
from pydantic import Field, StrictBool
from typing_extensions import TypedDict

from mcp_node.doors.mcp.errors import tool_errors
from mcp_node.doors.mcp.identity import current_principal
from mcp_node.doors.mcp.tools.sessions import ADDS, SessionId
from mcp_node.services import Services
from proto.messages import utc
from serving.http.identity import Identity


class LiveLink(TypedDict):
    """A link for people; whoever has its url enters with it, so give it to nobody else."""

    url: str
    link_id: str
    expires_at: str
    write: bool
    unread: int


def add_link_tools(mcp: FastMCP, services: Services, identity: Identity) -> None:
    """Add the link tools to a server."""
    links, inbox = services.links, services.inbox

    @mcp.tool(annotations=ADDS)
    async def get_live_link(
        session_id: SessionId,
        expires_in: Annotated[
            str,
            Field(description="How long it works: a number and m, h or d, 1m to 30d."),
        ] = "24h",
        write: Annotated[
            StrictBool, Field(description="Whether people may also write; false: watch only.")
        ] = False,
    ) -> LiveLink:
        """Get a link by which people watch a session in a browser, when a person asks for one.

        Give the url to that person only: whoever has it sees the session's public messages.
        """
        with tool_errors():
            principal = current_principal(identity)
            minted = await links.mint_live(principal, session_id, expires_in, write)
            unread = await inbox.unread(principal, session_id)
        link = minted.link
        return {
            "url": minted.url,
            "link_id": link.link_id,
            "expires_at": utc(link.expires_at),
            "write": link.may_write,
            "unread": unread,
        }
