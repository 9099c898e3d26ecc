"""Paths of a deployment's Unix sockets, and the endpoint of the bridge."""

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from proto.errors import ConfigurationError
from proto.keyfile import open_data_dir, read_or_make

MAX_SOCKET_PATH: Final = 100
"""The system allows about 107 bytes in the path of a Unix socket; this leaves a margin."""


def bridge_endpoint(data_dir: Path, configured: str = "", worker: int = 0) -> str:
    """The ZeroMQ endpoint of the bridge, for one of ws_node's workers.

    It is ``configured`` if given, else the path of ``bridge.sock`` (see `socket_path`).
    Worker 0 uses that endpoint, worker N ``bridge-N.sock``, or the port N above.

    Raises:
        ConfigurationError: the configured path is too long for a socket, the port is too high, or
            others can write to the socket's directory and so replace the socket.
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
    """The endpoint at which a worker of ws_node receives from its siblings.

    Raises:
        ConfigurationError: as `socket_path`.
    """
    return f"ipc://{socket_path(data_dir, f'worker-{worker}.sock')}"


def socket_path(data_dir: Path, name: str) -> Path:
    """The path of a Unix socket of this deployment.

    It is in the data directory; if that path is too long for a socket, in XDG_RUNTIME_DIR or a
    private directory whose path is stored in ``bridge.dir``.

    Raises:
        ConfigurationError: others can write to that directory.
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
    """The file name of worker N's socket; worker 0 has ``name`` itself."""
    path = Path(name)
    return f"{path.stem}-{worker}{path.suffix}" if worker else name


def _new_socket_dir() -> bytes:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    short = runtime if 0 < len(os.fsencode(runtime)) < MAX_SOCKET_PATH - 40 else None
    return os.fsencode(tempfile.mkdtemp(prefix="partyline-", dir=short or "/tmp"))
