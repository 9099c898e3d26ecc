"""What commands ask of the running mcp_node, with the deployment's own service token."""

from typing import Any

import httpx

from proto.errors import ConfigurationError
from proto.keyfile import bridge_key, open_data_dir
from proto.settings import Settings
from proto.tokens import TO_MCP_NODE, mint_service


def ask_mcp_node(
    settings: Settings, method: str, path: str, body: dict[str, Any] | None = None
) -> Any:
    """The JSON mcp_node answers with.

    Args:
        settings: where it is, and the key.
        method: of the request.
        path: under its address.
        body: sent as JSON, if given.

    Raises:
        ConfigurationError: it does not run, or did not do it; the text says which.
    """
    key = bridge_key(open_data_dir(settings.data_dir))
    try:
        answer = httpx.request(
            method,
            f"{settings.mcp_address}{path}",
            json=body,
            headers={"Authorization": f"Bearer {mint_service(key, TO_MCP_NODE)}"},
            timeout=5.0,
            trust_env=False,
        )
    except httpx.HTTPError:
        raise ConfigurationError(
            f"mcp_node does not answer at {settings.mcp_address}; start it first"
        ) from None
    if not answer.is_success:
        raise ConfigurationError(f"mcp_node refused it ({_why(answer)})")
    try:
        return answer.json()
    except ValueError:
        raise ConfigurationError(f"what answers at {settings.mcp_address} is no mcp_node") from None


def _why(answer: httpx.Response) -> str:
    """The problem's words, in which no input is repeated, or the bare status."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return str(answer.status_code)
