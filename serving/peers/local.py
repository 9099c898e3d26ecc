"""Unix sockets in the data directory: how the processes of one machine speak to each other.

The data directory lets nobody else in, so whoever connects to a socket in it is this user, and
whoever listens on one is too: no token is needed, and none can be caught by somebody who took a
port of ours. Both sides look all the same, as directories can be opened to others.
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
from serving.http.unread import Unread

PEER: Final = "partyline.peer"
"""Key in ``scope["extensions"]``, true if the caller is a process of this deployment."""

LOCAL_URL: Final = "http://localhost"
"""What requests over a socket are addressed to."""

_CREDENTIALS: Final = struct.Struct("3i")
"""pid, uid, gid"""


class UnsafePeer(httpx.TransportError):
    """Whoever is at the other end may be somebody else; the text says why, for the log."""


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A Unix socket that listens at ``path`` for the length of a block, mode 0600.

    What a process that was killed left there is replaced: hold the node's lock file.

    Raises:
        ConfigurationError: it cannot be made, or something else than a socket is there.
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
    """Whether a request comes from a process of this deployment: by its socket, or signed."""
    return bool(scope.get("extensions", {}).get(PEER))


class LocalHttp(LimitedHttp):
    """One HTTP connection over a Unix socket: of this user alone, and patiently waited for.

    What strangers do at the port uses up nothing here.
    """

    unread: ClassVar[Unread] = Unread(seconds=30.0, rate=16_384.0, most_bytes=128 * 1_048_576)

    def connection_made(self, transport: Any) -> None:
        """A connection; one of another user's is cut."""
        super().connection_made(transport)
        if _peer_uid(transport.get_extra_info("socket")) != os.geteuid():
            transport.abort()

    def on_headers_complete(self) -> None:
        """Say in the scope where the request came from, before the app sees it."""
        scope: Any = self.scope
        scope.setdefault("extensions", {})[PEER] = True
        super().on_headers_complete()

    def _should_upgrade_to_ws(self) -> bool:
        return False

    def _await(self, seconds: float, then: Callable[[], None]) -> None:
        """No deadline, and no place among those who are silent."""


def check_socket(path: Path) -> None:
    """Refuse a socket that somebody else may have put there.

    Raises:
        FileNotFoundError: nothing is there.
        UnsafePeer: it is no socket, or it or its directory is another user's, or others may
            write to the directory.
    """
    directory, found = path.parent.lstat(), path.lstat()
    us = os.geteuid()
    if directory.st_uid != us or directory.st_mode & 0o022 or not stat.S_ISDIR(directory.st_mode):
        raise UnsafePeer(f"{path.parent} is open to others: chmod 700 it")
    if found.st_uid != us or not stat.S_ISSOCK(found.st_mode):
        raise UnsafePeer(f"{path} is not this user's socket")


class LocalTransport(httpx.AsyncHTTPTransport):
    """Requests over a Unix socket of ours; `httpx.ConnectError` if nobody listens."""

    def __init__(self, path: Path, limits: httpx.Limits) -> None:
        super().__init__(uds=os.fspath(path), limits=limits, verify=False)  # no TLS
        self._path = path

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        _look(self._path)
        return await super().handle_async_request(request)


class BlockingTransport(httpx.HTTPTransport):
    """`LocalTransport` for the command line."""

    def __init__(self, path: Path) -> None:
        super().__init__(uds=os.fspath(path), verify=False)  # no TLS
        self._path = path

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        _look(self._path)
        return super().handle_request(request)


def _look(path: Path) -> None:
    try:
        check_socket(path)
    except OSError:
        raise httpx.ConnectError("nobody listens there") from None


def _peer_uid(connected: Any) -> int:
    """The user at the other end, where the system tells; else its directory has to do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return os.geteuid()
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[1])
