"""Where the Unix sockets of a deployment are, and the endpoint of the bridge."""

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from proto.errors import ConfigurationError
from proto.keyfile import open_data_dir, read_or_make

MAX_SOCKET_PATH: Final = 100
"""A Unix socket's path has room for about 107 bytes; stay clear of it."""


def bridge_endpoint(data_dir: Path, configured: str = "", worker: int = 0) -> str:
    """The ZeroMQ endpoint both nodes agree on, for one of ws_node's workers.

    ``configured`` if given; else ``bridge.sock`` in the data directory; where that path is too
    long for a socket, in XDG_RUNTIME_DIR or a private directory that ``bridge.dir`` records.
    Worker 0 has that very endpoint, worker N ``bridge-N.sock``, or the port N above.

    Raises:
        ConfigurationError: the configured path is too long for a socket, the port too high, or
            a socket's directory is not ours alone (any more): whoever can write to it can take
            the socket's place.
    """
    if not configured:
        return f"ipc://{socket_path(data_dir, numbered('bridge.sock', worker))}"
    if configured.startswith("tcp://"):
        address, _, port = configured.rpartition(":")
        if int(port) + worker > 65_535:
            raise ConfigurationError("PARTYLINE_BRIDGE_ENDPOINT: worker N needs the port N above")
        return f"{address}:{int(port) + worker}"
    path = Path(configured.removeprefix("ipc://"))
    path = path.with_name(numbered(path.name, worker))
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise ConfigurationError(
            f"PARTYLINE_BRIDGE_ENDPOINT: a socket's path has at most {MAX_SOCKET_PATH} bytes"
        )
    _check_socket_dir(path.parent)
    return f"ipc://{path}"


def worker_endpoint(data_dir: Path, worker: int) -> str:
    """Where a worker of ws_node hears from its siblings; otherwise as `bridge_endpoint`."""
    return f"ipc://{socket_path(data_dir, f'worker-{worker}.sock')}"


def socket_path(data_dir: Path, name: str) -> Path:
    """Where a Unix socket of this deployment is.

    In the data directory; where that path is too long for a socket, in XDG_RUNTIME_DIR or a
    private directory that ``bridge.dir`` records.

    Raises:
        ConfigurationError: the recorded directory is not ours alone (any more).
    """
    path = data_dir / name
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        recorded = Path(os.fsdecode(read_or_make(data_dir / "bridge.dir", _new_socket_dir)))
        if not recorded.is_absolute() or b"\0" in os.fsencode(recorded):
            raise ConfigurationError(f"{data_dir / 'bridge.dir'} names no directory; delete it")
        path = open_data_dir(recorded) / name
    return path


def _check_socket_dir(path: Path) -> None:
    try:
        state = path.lstat()
    except OSError as error:
        raise ConfigurationError(f"PARTYLINE_BRIDGE_ENDPOINT: {path}: {error.strerror}") from None
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & 0o022:
        raise ConfigurationError(
            f"PARTYLINE_BRIDGE_ENDPOINT: {path} must be a directory of yours that nobody else can"
            " write to"
        )


def numbered(name: str, worker: int) -> str:
    """The name of worker N's socket; worker 0 has the plain one."""
    path = Path(name)
    return f"{path.stem}-{worker}{path.suffix}" if worker else name


def _new_socket_dir() -> bytes:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    short = runtime if 0 < len(os.fsencode(runtime)) < MAX_SOCKET_PATH - 40 else None
    return os.fsencode(tempfile.mkdtemp(prefix="partyline-", dir=short or "/tmp"))
