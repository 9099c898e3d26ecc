"""``partyline revoke``: takes tokens back, through the running mcp_node."""

import httpx

from proto.errors import ConfigurationError
from proto.keyfile import bridge_key, open_data_dir
from proto.settings import Settings
from proto.tokens import TO_MCP_NODE, mint_service


def revoke(settings: Settings, *, token_id: str | None, agent_id: str | None) -> str:
    """Take back one token, or all an agent has been issued until now; what there is to say.

    Raises:
        ConfigurationError: mcp_node does not run, or did not do it.
    """
    key = bridge_key(open_data_dir(settings.data_dir))
    try:
        answer = httpx.post(
            f"{settings.mcp_url}/api/revocations",
            json={"token_id": token_id, "agent_id": agent_id},
            headers={"Authorization": f"Bearer {mint_service(key, TO_MCP_NODE)}"},
            timeout=5.0,
            trust_env=False,
        )
    except httpx.HTTPError:
        raise ConfigurationError(
            f"mcp_node does not answer at {settings.mcp_url}; start it first"
        ) from None
    if answer.status_code != 201:
        raise ConfigurationError(f"mcp_node refused it ({answer.status_code})")
    what = f"token {token_id}" if token_id else f"every token {agent_id} has had until now"
    return f"Revoked {what}: refused at once, open connections end within 3 s."
