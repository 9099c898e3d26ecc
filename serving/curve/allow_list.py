"""The clients that a bridge over tcp accepts: a file of public keys, and this deployment's own.

A line contains one key (64 hex digits); text after a ``#`` is a comment.
"""

import logging
from pathlib import Path
from typing import Final

from proto import keyfile
from proto.errors import ConfigurationError, InvalidInput
from serving.curve import keys as curve
from serving.process.lockfile import LockFile

FILE: Final = "curve-allowed"

logger = logging.getLogger(__name__)

_Stamp = tuple[int, int, int] | None


class AllowList:
    """The keys in the file, which is read again when it has changed.

    Attributes:
        own: the key of this data directory's mcp_node, which is always accepted.

    Raises:
        ConfigurationError: a key file is not usable, or a line of the list is not a key.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE
        self._data_dir = data_dir
        self.own = curve.client_keys(data_dir).public
        self._stamp = self._now()
        self._listed = self._read()

    def __contains__(self, key: str) -> bool:
        """Whether a key is accepted. While the file is not usable, only `own` is."""
        return key == self.own or key in self.listed()

    def listed(self) -> frozenset[str]:
        """The keys in the file; none while it is not usable, which is logged as an error."""
        stamp = self._now()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._listed = self._read()
            except ConfigurationError as error:
                logger.error("the bridge accepts only this deployment's own mcp_node: %s", error)
                self._listed = frozenset()
        return self._listed

    def add(self, key: str) -> None:
        """Add a key.

        Raises:
            ConfigurationError: the file cannot be written, or another process is changing it.
        """
        with LockFile(self._data_dir / "keys.lock", "partyline keys"):
            if key not in self._read():
                self._write([*self._lines(), key])

    def remove(self, key: str) -> None:
        """Remove a key: what its owner sends is refused from now on.

        Raises:
            InvalidInput: it is not in the list.
            ConfigurationError: as `add`.
        """
        if key == self.own:
            raise InvalidInput("this deployment's own mcp_node is always let in")
        with LockFile(self._data_dir / "keys.lock", "partyline keys"):
            if key not in self._read():
                raise InvalidInput("that key is not in the allow-list")
            self._write([line for line in self._lines() if _key_of(line) != key])

    def _now(self) -> _Stamp:
        """A value that changes with the file's content, inode or permissions."""
        try:
            state = self._path.stat(follow_symlinks=False)
        except OSError:
            return None
        return state.st_ctime_ns, state.st_ino, state.st_size

    def _lines(self) -> list[str]:
        try:
            return keyfile.read_private(self._path).decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []

    def _read(self) -> frozenset[str]:
        keys = filter(None, map(_key_of, self._lines()))
        try:
            return frozenset(map(curve.parse_key, keys))
        except InvalidInput:
            raise ConfigurationError(
                f"{self._path}: a line is not a key of 64 hex digits; correct it"
            ) from None

    def _write(self, lines: list[str]) -> None:
        keyfile.replace(self._path, "".join(f"{line}\n" for line in lines).encode())


def _key_of(line: str) -> str:
    return line.partition("#")[0].strip().lower()
