"""The data directory and its secret files: each is created once, by the process that starts first.

==============  =====  ============================================================
file            mode   content
==============  =====  ============================================================
signing.key     0600   Ed25519 private key, PEM (PKCS 8); read by mcp_node and the CLI
signing.pub     0600   its public key, PEM
bridge.key      0600   64 hex digits: signs requests between nodes on different machines
digests.key     0600   64 hex digits: keys the digests of erased messages; mcp_node only
bridge.dir      0600   directory of the sockets, if another one (`proto.endpoints`)
==============  =====  ============================================================

For a bridge over tcp and for NATS also these, created and read by `serving.curve` and
`serving.bus.nkeys`:

================  =====  ==============================================================
curve-server.key  0600   64 hex digits: CURVE secret key of ws_node
curve-client.key  0600   64 hex digits: CURVE secret key of mcp_node
curve-allowed     0600   public keys that ws_node accepts besides that of curve-client.key
curve-trusted     0600   public key of the ws_node to send to, if not curve-server.key's
nats-mcp.key      0600   seed of the nkey with which mcp_node proves itself to nats-server
nats-ws.key       0600   the same of ws_node
================  =====  ==============================================================

Files are created atomically (a temporary file, then ``link``). Both nodes may start at the same
time: one creates the file, the other reads it.
"""

import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from proto.errors import ConfigurationError

_SECRET_DIGITS: Final = 64
_SECRET: Final = re.compile(rb"[0-9a-f]{64}")


def open_data_dir(path: Path) -> Path:
    """Create the data directory if it is missing; refuse one that others could modify.

    Args:
        path: absolute.

    Raises:
        ConfigurationError: it is a symlink, not a directory, another user's, writable by group
            or others, or cannot be created or written.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = path.lstat()
    except OSError as error:
        raise ConfigurationError(
            f"data directory {path}: {error.strerror}; set PARTYLINE_DATA_DIR to another"
        ) from None
    if stat.S_ISLNK(state.st_mode):
        raise ConfigurationError(f"data directory {path} is a symlink; give the real path")
    if state.st_uid != os.geteuid():
        raise ConfigurationError(f"data directory {path} belongs to another user")
    if state.st_mode & 0o022:
        raise ConfigurationError(f"data directory {path} is writable by others: chmod 700 it")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"data directory {path} cannot be written; set PARTYLINE_DATA_DIR to another"
        )
    if state.st_mode & 0o077:
        path.chmod(0o700)
    return path


def open_key_dir(data_dir: Path, key_dir: Path | None) -> Path:
    """The directory of ``signing.*``, ``bridge.key`` and ``digests.key``.

    Args:
        data_dir: opened with `open_data_dir`.
        key_dir: another directory, which may be read-only; None: ``data_dir``.

    Raises:
        ConfigurationError: it is missing, another user's, or writable by group or others.
    """
    if key_dir is None:
        return data_dir
    try:
        state = key_dir.stat()
    except OSError as error:
        raise ConfigurationError(f"PARTYLINE_KEY_DIR {key_dir}: {error.strerror}") from None
    if not stat.S_ISDIR(state.st_mode):
        raise ConfigurationError(f"PARTYLINE_KEY_DIR {key_dir} is not a directory")
    if state.st_uid not in (os.geteuid(), 0):
        raise ConfigurationError(f"PARTYLINE_KEY_DIR {key_dir} belongs to another user")
    if state.st_mode & 0o022:
        raise ConfigurationError(f"PARTYLINE_KEY_DIR {key_dir} is writable by others: chmod 700 it")
    return key_dir


def optional_signing_key(key_dir: Path) -> Ed25519PrivateKey | None:
    """The private key that signs tokens; None if only the public one is here.

    Raises:
        ConfigurationError: as `signing_key`.
    """
    if (key_dir / "signing.pub").exists() and not (key_dir / "signing.key").exists():
        return None
    return signing_key(key_dir)


def signing_key(data_dir: Path) -> Ed25519PrivateKey:
    """The private key that signs tokens; created at first use, with ``signing.pub``.

    Raises:
        ConfigurationError: the file is unreadable, open to others, not an Ed25519 key, or not
            the key that ``signing.pub`` belongs to (no token signed with it would verify); or
            there is a ``signing.pub`` alone.
    """
    if (data_dir / "signing.pub").exists() and not (data_dir / "signing.key").exists():
        raise ConfigurationError(
            f"{data_dir} has signing.pub but no signing.key: sign tokens where that is; to make"
            " new keys, delete signing.pub as well"
        )
    raw = read_or_make(data_dir / "signing.key", _new_private_key)
    try:
        key = load_pem_private_key(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{data_dir / 'signing.key'} is not an Ed25519 key")
    with suppress(FileNotFoundError):
        if read_private(data_dir / "signing.pub").strip() != public_pem(key).strip():
            raise ConfigurationError(
                f"{data_dir / 'signing.pub'} does not belong to signing.key; delete signing.pub"
            )
    return key


def public_key(data_dir: Path) -> bytes:
    """The public key that verifies tokens, PEM; created with the private one.

    Raises:
        ConfigurationError: as `signing_key`, or the file is not a public Ed25519 key.
    """
    raw = read_or_make(data_dir / "signing.pub", lambda: public_pem(signing_key(data_dir)))
    try:
        key = load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(f"{data_dir / 'signing.pub'} is not an Ed25519 key; delete it")
    return raw


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """The public half of a key, PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def bridge_key(data_dir: Path) -> bytes:
    """The secret that signs requests between nodes on different machines; created at first use.

    Raises:
        ConfigurationError: the file is unreadable, open to others, or not 64 hex digits.
    """
    return _secret(data_dir / "bridge.key")


def digests_key(data_dir: Path) -> bytes:
    """The secret that keys the digests of erased messages; created at first use.

    Raises:
        ConfigurationError: as `bridge_key`.
    """
    return _secret(data_dir / "digests.key")


def _secret(path: Path) -> bytes:
    raw = read_or_make(path, lambda: secrets.token_hex(_SECRET_DIGITS // 2).encode()).strip()
    if not _SECRET.fullmatch(raw):
        raise ConfigurationError(f"{path} is not {_SECRET_DIGITS} hex digits; delete it")
    return raw


def _new_private_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of a secret file; created atomically if it is missing.

    If several processes create it at once, all return the content of the first.

    Raises:
        ConfigurationError: it cannot be created, or as `read_private`.
    """
    with suppress(FileNotFoundError):
        return read_private(path)
    with _written_beside(path, make()) as temporary, suppress(FileExistsError):
        os.link(temporary, path)
    return read_private(path)


def replace(path: Path, content: bytes) -> None:
    """Replace the content of a secret file atomically; create it if it is missing.

    Raises:
        ConfigurationError: it cannot be written.
    """
    with _written_beside(path, content) as temporary:
        os.replace(temporary, path)


@contextmanager
def _written_beside(path: Path, content: bytes) -> Iterator[str]:
    """A complete temporary file in the same directory, for the duration of a block."""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be made: {error.strerror}") from None


def read_private(path: Path) -> bytes:
    """The content of a secret file.

    Raises:
        FileNotFoundError: there is none.
        ConfigurationError: it is not a regular file, belongs to another user, or others can
            read or write it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        os.close(descriptor)
        raise ConfigurationError(f"{path} is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        if state.st_uid != os.geteuid() or state.st_mode & 0o077:
            raise ConfigurationError(f"{path} must be yours alone: chmod 600 it")
        return file.read()
