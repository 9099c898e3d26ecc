"""HTTP clients of the other node: over its Unix socket, or signed, over tcp to another machine."""

from pathlib import Path

import httpx

from proto import endpoints, keyfile
from proto.settings import Settings
from proto.signing import Audience, Signer
from serving.peers.local import LOCAL_URL, BlockingTransport, LocalTransport
from serving.peers.signed import SigningTransport, tcp_transport


def mcp_socket(data_dir: Path) -> Path:
    """Path of the Unix socket on which mcp_node serves processes of its machine."""
    return endpoints.socket_path(data_dir, "mcp.sock")


def ws_socket(data_dir: Path, worker: int = 0) -> Path:
    """Path of the Unix socket on which a worker of ws_node serves processes of its machine."""
    return endpoints.socket_path(data_dir, endpoints.numbered("ws.sock", worker))


def mcp_client(
    settings: Settings, *, timeout: httpx.Timeout, limits: httpx.Limits
) -> httpx.AsyncClient:
    """A client of mcp_node, for ws_node.

    Raises:
        ConfigurationError: a key or certificate file cannot be used.
    """
    socket = mcp_socket(settings.data_dir)
    return _client(settings, settings.mcp_url, "mcp_node", socket, timeout, limits)


def ws_clients(
    settings: Settings, *, timeout: httpx.Timeout, limits: httpx.Limits
) -> list[httpx.AsyncClient]:
    """Clients of ws_node, one per worker, for mcp_node; otherwise as `mcp_client`."""
    workers = 1 if settings.ws_url else settings.ws_workers
    return [
        _client(
            settings,
            settings.ws_url,
            "ws_node",
            ws_socket(settings.data_dir, worker),
            timeout,
            limits,
        )
        for worker in range(workers)
    ]


def command_client(settings: Settings, *, seconds: float) -> httpx.Client:
    """A blocking client of the data directory's mcp_node, for the command line."""
    transport = BlockingTransport(mcp_socket(settings.data_dir))
    return httpx.Client(base_url=LOCAL_URL, transport=transport, timeout=seconds, trust_env=False)


def _client(
    settings: Settings,
    url: str,
    audience: Audience,
    socket: Path,
    timeout: httpx.Timeout,
    limits: httpx.Limits,
) -> httpx.AsyncClient:
    transport: httpx.AsyncBaseTransport
    if url:
        signer = Signer(keyfile.bridge_key(settings.key_dir or settings.data_dir), audience)
        transport = SigningTransport(tcp_transport(url, settings.ca_file, limits), signer)
    else:
        transport = LocalTransport(socket, limits)
    return httpx.AsyncClient(
        base_url=url or LOCAL_URL, transport=transport, timeout=timeout, trust_env=False
    )
