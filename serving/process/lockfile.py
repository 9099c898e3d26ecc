"""A lock file: one process of a kind for a data directory."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from proto.errors import ConfigurationError


class LockFile:
    """Held from `acquire` until `release` or the end of the process, however it ends.

    Args:
        path: of the file. The file is not removed; it means nothing while nobody holds the lock.
        owner: name of the holder in the error, such as ``"mcp_node"``.
    """

    def __init__(self, path: Path, owner: str) -> None:
        self._path = path
        self._owner = owner
        self._descriptor = -1

    def acquire(self) -> Self:
        """Acquire the lock, without waiting.

        Raises:
            ConfigurationError: another process holds it, or the file cannot be opened.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._descriptor = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise ConfigurationError(f"{self._path} cannot be opened: {error.strerror}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip()
            self.release()
            raise ConfigurationError(
                f"another {self._owner} (process {holder or 'unknown'}) uses "
                f"{self._path.parent}; stop it, or set PARTYLINE_DATA_DIR"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        return self

    def release(self) -> None:
        """Release the lock; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        """Acquire the lock for a block."""
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release it."""
        self.release()
