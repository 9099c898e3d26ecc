"""After a deletion, what was deleted leaves the write-ahead log as well.

A commit only adds to that log: the page that held a text stays in it until it is emptied, which
would otherwise happen when it has grown and begins anew, on a quiet server days later.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from proto.errors import Unavailable

ERASE_SECONDS: Final = 5.0
"""From a deletion to an attempt, and between attempts: deletions in between share one."""


class Eraser:
    """Empties the write-ahead log a while after it was asked to, until that succeeds.

    Args:
        checkpoint: tries it; whether it is empty now.
        pause: seconds before each attempt.
    """

    def __init__(
        self, checkpoint: Callable[[], Awaitable[bool]], pause: float = ERASE_SECONDS
    ) -> None:
        self._checkpoint = checkpoint
        self._pause = pause
        self._wanted = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="eraser")

    def want(self) -> None:
        """Something was deleted."""
        self._wanted.set()

    async def close(self) -> None:
        """Try no more: closing the database empties the log too. Idempotent."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            await asyncio.sleep(self._pause)
            self._wanted.clear()
            done = False
            with suppress(Unavailable):
                done = await self._checkpoint()
            if not done:
                self._wanted.set()
