"""Keeps processes running: starts them, prefixes what they say, starts again what dies, ends all.

A child that exits with `REFUSED` will not run however often it is started: it has said why, and
everything stops. A child that ends in any other way, 0 included, is started again after a pause
that doubles from one short life to the next.

Each child leads a session of its own. So Ctrl-C in a terminal reaches the supervisor alone,
which tells every child once, with SIGTERM; and what a child leaves behind ends with it.
"""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

REFUSED: Final = 2
"""Exit code of a node whose configuration is wrong."""

MAX_LINE_BYTES: Final = 65_536
"""A longer line of a child is printed in pieces."""

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Child:
    """A process to keep running: the name before its lines, and its command."""

    name: str
    command: Sequence[str]


class Backoff:
    """How long to wait before the next start.

    Args:
        first: seconds after the first short life.
        longest: seconds at most; each short life in a row doubles the pause up to it.
        reset_after: a life of that many seconds or more makes the next pause the first again.
    """

    def __init__(
        self, *, first: float = 0.5, longest: float = 30.0, reset_after: float = 30.0
    ) -> None:
        self._first = first
        self._longest = longest
        self._reset_after = reset_after
        self._next = first

    def pause(self, lived: float) -> float:
        """Seconds to wait after a life of ``lived`` seconds."""
        if lived >= self._reset_after:
            self._next = self._first
        pause = self._next
        self._next = min(self._next * 2, self._longest)
        return pause


class Supervisor:
    """Runs children until it is told to stop.

    Args:
        children: what to run, all at once.
        say: takes a child's name and one line of text without its end.
        backoff: makes the pauses of one child.
        grace_seconds: from SIGTERM to SIGKILL.
        environment: added to the environment of every child.
        lifeline: what children print goes where ours does, unchanged; and their standard input is
            a pipe that ends when this process does, however it dies.
    """

    def __init__(
        self,
        children: Iterable[Child],
        say: Callable[[str, str], None],
        *,
        backoff: Callable[[], Backoff] = Backoff,
        grace_seconds: float = 5.0,
        environment: Mapping[str, str] | None = None,
        lifeline: bool = False,
    ) -> None:
        self._children = list(children)
        self._say = say
        self._backoff = backoff
        self._grace = grace_seconds
        self._environment = {**os.environ, **(environment or {})}
        self._lifeline = os.pipe() if lifeline else None
        self._stopping = asyncio.Event()
        self._code = 0

    def stop(self, code: int = 0) -> None:
        """End every child; `run` returns ``code``. Of several calls the first counts."""
        if not self._stopping.is_set():
            self._code = code
            self._stopping.set()

    async def run(self) -> int:
        """Run the children until `stop`, SIGTERM, SIGINT or SIGHUP, or until one refuses.

        Returns:
            The exit code for this process: 0 when it was told to stop, else `REFUSED`. By then
            every child has ended. Cancelled, it kills them.
        """
        with _stop_signals(self.stop):
            async with asyncio.TaskGroup() as group:
                for child in self._children:
                    group.create_task(self._keep(child), name=f"keep {child.name}")
        return self._code

    async def _keep(self, child: Child) -> None:
        backoff = self._backoff()
        clock = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            started = clock()
            ending = await self._live(child)
            if self._stopping.is_set():
                return
            if ending == REFUSED:
                self._say(child.name, "refused to start; stopping everything")
                self.stop(REFUSED)
                return
            pause = backoff.pause(clock() - started)
            self._say(child.name, f"{_in_words(ending)}; starting again in {pause:g} s")
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()

    async def _live(self, child: Child) -> int:
        """One life of a child, from start to end; its return code."""
        async with _output(lambda line: self._say(child.name, line), self._lifeline) as sink:
            stdin = self._lifeline[0] if self._lifeline else asyncio.subprocess.DEVNULL
            try:
                process = await asyncio.create_subprocess_exec(
                    *child.command,
                    stdin=stdin,
                    stdout=sink,
                    stderr=sink,
                    env=self._environment,
                    start_new_session=True,
                )
            except OSError as error:
                self._say(child.name, f"cannot be started: {error.strerror}")
                return os.EX_OSERR
            finally:
                if sink is not None:
                    os.close(sink)
            if sink is not None:  # a person reads it: this is whom a signal is for
                self._say(child.name, f"process {process.pid}")
            try:
                await self._until_it_ends(process)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                ending = await process.wait()
        return ending

    async def _until_it_ends(self, process: asyncio.subprocess.Process) -> None:
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                with suppress(ProcessLookupError):
                    process.terminate()
                await asyncio.wait({ended}, timeout=self._grace)
        finally:
            ended.cancel()
            stopping.cancel()


class _stop_signals:
    """While it is entered, the signals that ask a process to end call ``stop``.

    Once one came, the process ends, and another of them changes nothing: a second Ctrl-C in its
    last moments would make a failure of a good end.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._tell = stop
        self._told = False
        self._signals = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup leaves it
            self._signals.append(signal.SIGHUP)

    def __enter__(self) -> None:
        for number in self._signals:
            asyncio.get_running_loop().add_signal_handler(number, self._stop)

    def __exit__(self, *exception: object) -> None:
        for number in self._signals:
            asyncio.get_running_loop().remove_signal_handler(number)
            if self._told:
                signal.signal(number, signal.SIG_IGN)

    def _stop(self) -> None:
        self._told = True
        self._tell()


@asynccontextmanager
async def _output(say: Callable[[str], None], lifeline: object = None) -> AsyncIterator[int | None]:
    """A pipe's writing end for a child; what comes out of it is said line by line.

    None, for our own output, if the child has a lifeline.

    A pipe of our own, because asyncio's would keep `Process.wait` waiting for any grandchild that
    holds it. The caller closes the end it got. On leaving, what was written is said, but nobody
    waits for a writer that outlived the child.
    """
    if lifeline:
        yield None
        return
    ours, theirs = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb", buffering=0)
    )
    saying = asyncio.create_task(_say_lines(reader, say))
    try:
        yield theirs
    finally:
        await asyncio.wait({saying}, timeout=1.0)
        transport.close()
        await saying


async def _say_lines(reader: asyncio.StreamReader, say: Callable[[str], None]) -> None:
    rest = b""
    while chunk := await reader.read(MAX_LINE_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            say(_printable(line))
        if len(rest) >= MAX_LINE_BYTES:
            say(_printable(rest))
            rest = b""
    if rest:
        say(_printable(rest))


def _printable(line: bytes) -> str:
    """Text that cannot steer a terminal, whatever a child printed."""
    text = line.decode("utf-8", "replace").removesuffix("\r")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _in_words(ending: int) -> str:
    if ending >= 0:
        return f"exited with code {ending}"
    try:
        return f"was ended by {signal.Signals(-ending).name}"
    except ValueError:
        return f"was ended by signal {-ending}"
