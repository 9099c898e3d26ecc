"""Requests of commands to the mcp_node that runs with their data directory."""

from typing import Any

import httpx

from proto.errors import ConfigurationError
from proto.keyfile import open_data_dir
from proto.settings import Settings
from serving.peers.clients import command_client
from serving.peers.local import UnsafePeer

ANSWER_SECONDS = 30.0
"""Timeout of a request. mcp_node works for a second on each; a busy disk may take longer."""


def ask_mcp_node(
    settings: Settings, method: str, path: str, body: dict[str, Any] | None = None
) -> Any:
    """Send a request to mcp_node; return its answer, decoded from JSON.

    Args:
        settings: contain the data directory.
        method: of the request.
        path: of the request.
        body: sent as JSON, if given.

    Raises:
        ConfigurationError: mcp_node is not running, or refused; the text says which.
    """
    data_dir = open_data_dir(settings.data_dir)
    try:
        with command_client(settings, seconds=ANSWER_SECONDS) as client:
            answer = client.request(method, path, json=body)
    except httpx.ConnectError:
        raise ConfigurationError(
            f"no mcp_node is running with the data directory {data_dir}; start it first"
        ) from None
    except UnsafePeer as error:
        raise ConfigurationError(str(error)) from None
    except httpx.HTTPError:
        raise ConfigurationError("mcp_node does not answer; see its log") from None
    if not answer.is_success:
        raise ConfigurationError(f"mcp_node refused the request ({_why(answer)})")
    return answer.json()


def _why(answer: httpx.Response) -> str:
    """The error's message, which repeats no input, or else the status."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return str(answer.status_code)
