"""``partyline revoke``: revokes tokens and links, through the running mcp_node."""

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
    """Revoke a token, all tokens issued to an agent until now, or a link; return what to print.

    Raises:
        ConfigurationError: mcp_node is not running, or refused.
    """
    body = {"token_id": token_id, "agent_id": agent_id, "link_id": link_id}
    ask_mcp_node(settings, "POST", REVOCATIONS, body)
    if link_id:
        return (
            f"Revoked link {link_id}. Its code, and the tokens it gave, are refused at once; their"
            " open connections end within 3 s."
        )
    what = f"token {token_id}" if token_id else f"every token issued to {agent_id} until now"
    return (
        f"Revoked {what}, and the links minted with it. They are refused at once; their open"
        " connections end within 3 s."
    )
