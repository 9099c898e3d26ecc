"""The tool about links for people: get_live_link."""

from typing import Annotated, Any

from pydantic import Field, StrictBool
from typing_extensions import TypedDict

from mcp_node.doors.mcp.tools.registry import ADDS, Tools
from mcp_node.doors.mcp.tools.sessions import SessionId
from mcp_node.services import Services
from proto.messages import Principal, utc


class LiveLink(TypedDict):
    """A link for people; whoever has its url enters with it, so give it to nobody else."""

    url: str
    link_id: str
    expires_at: str
    write: bool
    unread: int


def add_link_tools(tools: Tools, services: Services) -> None:
    """Add the link tools to a server."""
    links = services.links

    @tools.add(ADDS, LiveLink, "core")
    async def get_live_link(
        caller: Principal,
        session_id: SessionId,
        expires_in: Annotated[
            str,
            Field(description="How long it works, 1m to 30d: m, h or d."),
        ] = "24h",
        write: Annotated[StrictBool, Field(description="Whether people may also write.")] = False,
    ) -> dict[str, Any]:
        """Get a link for a person who asks to watch a session in a browser.

        Give it to nobody else: it shows the public messages.
        """
        minted = await links.mint_live(caller, session_id, expires_in, write)
        link = minted.link
        return {
            "url": minted.url,
            "link_id": link.link_id,
            "expires_at": utc(link.expires_at),
            "write": link.may_write,
        }
