"""``log.mark``: the last durable id, stored outside the database.

If the database is replaced by an older copy, its last id is below the mark of the same epoch. The
file is JSON, ``{"epoch": "…", "id": 42}``. It is written within a second after a commit, and never
before it, so the mark is never ahead of what is durable.
"""

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import msgspec

MARK_DELAY: Final = 0.5
"""Seconds from a commit to its mark. Commits within that time share one write."""

logger = logging.getLogger(__name__)


class Mark(msgspec.Struct, frozen=True):
    """An epoch, and an id that is durable in that log."""

    epoch: str
    id: Annotated[int, msgspec.Meta(ge=0)]


def read_mark(path: Path) -> Mark | None:
    """Read a mark; None if the file is missing or invalid."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Mark)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        logger.warning("%s cannot be read and is ignored", path)
        return None


def write_mark(path: Path, mark: Mark) -> None:
    """Replace the file atomically: after a power cut it holds the old mark or the new one.

    Raises:
        OSError: the directory cannot be written.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
        file.write(msgspec.json.encode(mark))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


class MarkKeeper:
    """Writes the mark within a second after each commit, in a thread.

    Args:
        path: the file.
        on_disk: the mark in the file now.
        current: the mark it should hold; `advance` moves it.
    """

    def __init__(self, path: Path, on_disk: Mark | None, current: Mark) -> None:
        self._path = path
        self._on_disk = on_disk
        self._current = current
        self._moved = asyncio.Event()
        self._closing = asyncio.Event()
        if on_disk != current:
            self._moved.set()
        self._task = asyncio.create_task(self._run(), name="log.mark")

    def advance(self, last_id: int) -> None:
        """Record that ``last_id`` is durable."""
        self._current = Mark(self._current.epoch, last_id)
        self._moved.set()

    async def close(self) -> None:
        """Write the last mark. Idempotent."""
        self._closing.set()
        self._moved.set()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        while not self._closing.is_set():
            await self._moved.wait()
            self._moved.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(MARK_DELAY):
                    await self._closing.wait()
            await self._write()

    async def _write(self) -> None:
        mark = self._current
        if mark == self._on_disk:
            return
        try:
            await asyncio.to_thread(write_mark, self._path, mark)
        except OSError as error:
            logger.warning("%s cannot be written: %s", self._path, error.strerror)
        else:
            self._on_disk = mark
