"""The keys of a bridge over tcp: CURVE authenticates both sides and encrypts.

ws_node is the server, mcp_node the client. Each has a permanent key pair. Its secret key is a file
in the data directory, created at first use; the public key is derived from it. Keys are printed
and read as 64 hex digits: ZeroMQ's own encoding, Z85, contains characters that shells interpret.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import zmq
from zmq.utils import z85

from proto import keyfile
from proto.errors import ConfigurationError, InvalidInput
from proto.hosts import tcp_host

SERVER_FILE: Final = "curve-server.key"
CLIENT_FILE: Final = "curve-client.key"
TRUSTED_FILE: Final = "curve-trusted"

_KEY: Final = re.compile(r"[0-9a-f]{64}")
_NOT_TO_CONNECT_TO: Final = ("0.0.0.0", "::")
_HEARTBEAT_MS: Final = 5_000
_DEAD_AFTER_MS: Final = 15_000


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A node's permanent keys: the public one as hex digits, the secret one as bytes."""

    public: str
    secret: bytes = field(repr=False)


def parse_key(text: str) -> str:
    """A public key as an operator types it.

    Raises:
        InvalidInput: it is not 64 hex digits.
    """
    key = text.strip().lower()
    if not _KEY.fullmatch(key):
        raise InvalidInput("a key must be 64 hex digits, as partyline keys prints it")
    return key


def server_keys(data_dir: Path) -> KeyPair:
    """The keys of this data directory's ws_node; created at first use.

    Raises:
        ConfigurationError: the file is unreadable, open to others, or does not contain a key.
    """
    return _pair(data_dir / SERVER_FILE)


def client_keys(data_dir: Path) -> KeyPair:
    """The keys of this data directory's mcp_node; as `server_keys`."""
    return _pair(data_dir / CLIENT_FILE)


def trusted_server(data_dir: Path) -> str:
    """The public key of the ws_node that mcp_node sends to: the configured one, or our own.

    Raises:
        ConfigurationError: as `server_keys`.
    """
    path = data_dir / TRUSTED_FILE
    try:
        return _read_key(path, keyfile.read_private(path))
    except FileNotFoundError:
        return server_keys(data_dir).public


def trust_server(data_dir: Path, key: str) -> None:
    """Make mcp_node send to the ws_node with this public key, from its next start on.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    keyfile.replace(data_dir / TRUSTED_FILE, f"{key}\n".encode())


class Credentials:
    """A client's own keys, and the key that it requires of the server.

    Raises:
        ConfigurationError: a key file is not usable, or one can only bind to the endpoint, not
            connect to it.
    """

    def __init__(self, data_dir: Path, endpoint: str) -> None:
        if tcp_host(endpoint) in _NOT_TO_CONNECT_TO:
            raise ConfigurationError(
                f"PARTYLINE_BRIDGE_ENDPOINT: ws_node can listen on {endpoint}, but mcp_node cannot "
                "connect to it; give mcp_node the address of ws_node's machine"
            )
        self._keys = client_keys(data_dir)
        self._server = trusted_server(data_dir)
        self._ipv6 = "[" in endpoint

    def put_on(self, socket: zmq.Socket[Any]) -> None:
        """Configure a socket before it connects. A silent peer is disconnected after 15 s."""
        socket.set(zmq.IPV6, self._ipv6)
        socket.set(zmq.CURVE_SERVERKEY, bytes.fromhex(self._server))
        socket.set(zmq.CURVE_PUBLICKEY, bytes.fromhex(self._keys.public))
        socket.set(zmq.CURVE_SECRETKEY, self._keys.secret)
        socket.set(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
        socket.set(zmq.HEARTBEAT_TIMEOUT, _DEAD_AFTER_MS)
        socket.set(zmq.HEARTBEAT_TTL, _DEAD_AFTER_MS)


def _pair(path: Path) -> KeyPair:
    secret = bytes.fromhex(_read_key(path, keyfile.read_or_make(path, _new_secret)))
    public = z85.decode(zmq.curve_public(z85.encode(secret)))
    return KeyPair(public.hex(), secret)


def _new_secret() -> bytes:
    return z85.decode(zmq.curve_keypair()[1]).hex().encode()


def _read_key(path: Path, content: bytes) -> str:
    text = content.decode("ascii", "replace").strip()
    if not _KEY.fullmatch(text):
        raise ConfigurationError(f"{path} is not 64 hex digits; delete it")
    return text
