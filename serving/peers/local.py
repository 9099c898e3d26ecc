"""Unix sockets in the data directory, for requests between processes of one machine.

Only this user can enter the data directory, so both client and server of a socket in it are this
user's processes. No token is needed, and no other program can intercept one by listening on our
port. Both sides still check, because the directory's permissions can be changed.
"""

import contextlib
import os
import socket
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

import httpx

from proto.errors import ConfigurationError
from serving.http.asgi import Scope
from serving.http.protocol import LimitedHttp
from serving.http.unsent import Unsent

PEER: Final = "partyline.peer"
"""Key in ``scope["extensions"]``, true if the caller is a process of this deployment."""

LOCAL_URL: Final = "http://localhost"
"""Base URL of requests over a Unix socket."""

_CREDENTIALS: Final = struct.Struct("3i")
"""pid, uid, gid"""


class UnsafePeer(httpx.TransportError):
    """The peer cannot be authenticated; the text says why, for the log."""


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A Unix socket that listens at ``path`` for the duration of a block, mode 0600.

    The socket of a killed process is replaced, so the caller must hold the node's lock file.

    Raises:
        ConfigurationError: it cannot be created, or there is a file that is not a socket.
    """
    bound = socket.socket(socket.AF_UNIX)
    try:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise ConfigurationError(f"{path} is not a socket; remove it")
            path.unlink()
        bound.bind(os.fspath(path))
        path.chmod(0o600)
        bound.listen(2_048)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise ConfigurationError(f"{path} cannot be listened on: {error.strerror}") from None
    except ConfigurationError:
        bound.close()
        raise
    try:
        yield bound
    finally:
        bound.close()
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def is_peer(scope: Scope) -> bool:
    """Whether a request is from a process of this deployment: over its Unix socket, or signed."""
    return bool(scope.get("extensions", {}).get(PEER))


class LocalHttp(LimitedHttp):
    """One HTTP connection over a Unix socket: of this user only, with no deadlines for requests.

    Its limit of unsent bytes is separate, so that clients of the port cannot exhaust it.
    """

    unsent: ClassVar[Unsent] = Unsent(seconds=30.0, rate=16_384.0, most_bytes=128 * 1_048_576)

    def connection_made(self, transport: Any) -> None:
        """Accept a connection; abort it if the peer is another user."""
        super().connection_made(transport)
        if _peer_uid(transport.get_extra_info("socket")) != os.geteuid():
            transport.abort()

    def on_headers_complete(self) -> None:
        """Mark the request in its scope as a peer's, before the app sees it."""
        scope: Any = self.scope
        scope.setdefault("extensions", {})[PEER] = True
        super().on_headers_complete()

    def _should_upgrade_to_ws(self) -> bool:
        return False

    def _start_deadline(self, seconds: float, then: Callable[[], None]) -> None:
        """No deadline, and not counted as silent."""


def check_socket(path: Path) -> None:
    """Refuse a socket that another user may have created.

    Raises:
        FileNotFoundError: there is none.
        UnsafePeer: it is not a socket, it or its directory belongs to another user, or others may
            write to the directory.
    """
    directory, found = path.parent.lstat(), path.lstat()
    us = os.geteuid()
    if directory.st_uid != us or directory.st_mode & 0o022 or not stat.S_ISDIR(directory.st_mode):
        raise UnsafePeer(f"{path.parent} is open to others: chmod 700 it")
    if found.st_uid != us or not stat.S_ISSOCK(found.st_mode):
        raise UnsafePeer(f"{path} is not this user's socket")


class LocalTransport(httpx.AsyncHTTPTransport):
    """Requests over a Unix socket; `httpx.ConnectError` if nobody listens on it."""

    def __init__(self, path: Path, limits: httpx.Limits) -> None:
        super().__init__(uds=os.fspath(path), limits=limits, verify=False)  # no TLS
        self._path = path

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        _check_before_connecting(self._path)
        return await super().handle_async_request(request)


class BlockingTransport(httpx.HTTPTransport):
    """`LocalTransport` for the command line."""

    def __init__(self, path: Path) -> None:
        super().__init__(uds=os.fspath(path), verify=False)  # no TLS
        self._path = path

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        _check_before_connecting(self._path)
        return super().handle_request(request)


def _check_before_connecting(path: Path) -> None:
    try:
        check_socket(path)
    except OSError:
        raise httpx.ConnectError("nobody listens there") from None


def _peer_uid(connected: Any) -> int:
    """The peer's user id. Without SO_PEERCRED only the directory protects the socket."""
    if not hasattr(socket, "SO_PEERCRED"):
        return os.geteuid()
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[1])
