"""Removes deleted content from the write-ahead log.

A commit only appends to the WAL, so older versions of a page, deleted content included, stay in it
until the file is truncated or overwritten. Automatic checkpoints run only once the WAL has grown,
which on a quiet server can take days.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from proto.errors import Unavailable

ERASE_SECONDS: Final = 5.0
"""Delay from a deletion to the checkpoint, and between attempts. Deletions share a checkpoint."""


class Eraser:
    """Truncates the WAL soon after each request, and retries until that succeeds.

    Args:
        checkpoint: tries to truncate the WAL and returns whether it did.
        pause: delay in seconds before each attempt.
    """

    def __init__(
        self, checkpoint: Callable[[], Awaitable[bool]], pause: float = ERASE_SECONDS
    ) -> None:
        self._checkpoint = checkpoint
        self._pause = pause
        self._requested = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="eraser")

    def request(self) -> None:
        """Request a checkpoint, after content was deleted."""
        self._requested.set()

    async def close(self) -> None:
        """Stop; closing the database removes the WAL. Idempotent."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            await self._requested.wait()
            await asyncio.sleep(self._pause)
            self._requested.clear()
            done = False
            with suppress(Unavailable):
                done = await self._checkpoint()
            if not done:
                self._requested.set()
