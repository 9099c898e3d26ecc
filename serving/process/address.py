"""The address of a running node: a file in the data directory, for nodes with port 0.

``mcp.address`` and ``ws.address`` contain one line, such as ``http://127.0.0.1:40123``. A node
writes its file when it has its port, and holds a lock (flock) on it until it ends. So the file of
a killed node, which is not locked, is not mistaken for an address. A clean stop removes the file.
"""

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from proto.errors import ConfigurationError
from proto.settings import Settings

MAX_BYTES: Final = 512

Name = Literal["mcp", "ws"]


class AddressFile:
    """A node's address, published for the duration of a block.

    Args:
        data_dir: the data directory. Acquire the node's lock file first: there must be one writer.
        name: of the node.
        url: of the node.
    """

    def __init__(self, data_dir: Path, name: Name, url: str) -> None:
        self._path = address_path(data_dir, name)
        self._url = url
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Write the file; it is locked before it is visible.

        Raises:
            ConfigurationError: it cannot be written.
        """
        try:
            self._descriptor, temporary = tempfile.mkstemp(
                prefix=f".{self._path.name}-", dir=self._path.parent
            )
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(self._descriptor, f"{self._url}\n".encode())
            os.replace(temporary, self._path)
        except OSError as error:
            raise ConfigurationError(f"{self._path} cannot be made: {error.strerror}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove it."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._descriptor)


def address_path(data_dir: Path, name: Name) -> Path:
    """The path of a node's address file."""
    return data_dir / f"{name}.address"


def running_url(data_dir: Path, name: Name) -> str | None:
    """The URL of the node that runs with this data directory; None if none runs."""
    return _read(address_path(data_dir, name), running=True)


def former_port(data_dir: Path, name: Name) -> int:
    """The port of a node that was killed, for the next one to try first; 0 if there is none."""
    url = _read(address_path(data_dir, name), running=False)
    try:
        return (urlsplit(url).port or 0) if url else 0
    except ValueError:
        return 0


def with_ports(settings: Settings) -> Settings:
    """The settings, with the ports of running nodes in place of 0.

    The port of a node that does not run stays 0.
    """
    found = {}
    if not settings.mcp_port and (url := running_url(settings.data_dir, "mcp")):
        found["mcp_port"] = urlsplit(url).port
    if not settings.ws_port and (url := running_url(settings.data_dir, "ws")):
        found["ws_port"] = urlsplit(url).port
    return settings.model_copy(update=found) if found else settings


def _read(path: Path, *, running: bool) -> str | None:
    """The file's line; None unless the state of its writer is ``running``."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if _locked(descriptor) is not running:
            return None
        return os.read(descriptor, MAX_BYTES).decode("ascii", "replace").strip() or None
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
