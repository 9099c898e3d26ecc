"""A part of a measurement that runs as a process of its own, so that nothing else holds it up.

It prints ``ready`` once it is, and what it found as one line of JSON at its end.
"""

import asyncio
import json
import subprocess
import sys
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

READY = "ready"


class Child:
    """``python -m module arguments``."""

    def __init__(self, module: str, *arguments: object) -> None:
        self._command = [sys.executable, "-m", module, *map(str, arguments)]

    async def __aenter__(self) -> Self:
        """Start it and wait until it is ready."""
        self._start()
        try:
            line = await asyncio.to_thread(self._lines.readline)
            if line.strip() != READY:
                raise RuntimeError(f"{self._command} did not start")
        except BaseException:
            self._end()
            raise
        return self

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._lines = self._process.stdout

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def tell(self, *words: object) -> None:
        """Write a line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()

    async def found(self) -> Any:
        """What it printed at its end."""
        return json.loads(await asyncio.to_thread(self._lines.readline))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Make sure it is gone."""
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._lines.close()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()


def report(found: object) -> None:
    """Print one line as the child: `READY`, or what was found as JSON."""
    print(found if found == READY else json.dumps(found), flush=True)
