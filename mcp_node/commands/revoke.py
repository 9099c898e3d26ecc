"""``partyline revoke``: takes tokens and links back, through the running mcp_node."""

from mcp_node.commands.service import ask_mcp_node
from proto.internal_api import REVOCATIONS
from proto.settings import Settings


def revoke(
    settings: Settings,
    *,
    token_id: str | None = None,
    agent_id: str | None = None,
    link_id: str | None = None,
) -> str:
    """Take back one token, all an agent has been issued until now, or a link; what to say of it.

    Raises:
        ConfigurationError: mcp_node does not run, or did not do it.
    """
    wish = {"token_id": token_id, "agent_id": agent_id, "link_id": link_id}
    ask_mcp_node(settings, "POST", REVOCATIONS, wish)
    if link_id:
        return (
            f"Revoked link {link_id}: its code is refused at once, and so are the tokens it gave;"
            " their open connections end within 3 s."
        )
    what = f"token {token_id}" if token_id else f"every token {agent_id} has had until now"
    return (
        f"Revoked {what}, and the links minted with it: refused at once, open connections end"
        " within 3 s."
    )
