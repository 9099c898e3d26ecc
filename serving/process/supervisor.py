"""Supervises processes: starts them, prefixes their output, restarts them, stops them.

If a child exits with `REFUSED`, all children are stopped: its configuration is wrong, and a
restart would not help. A child that ends in any other way, with code 0 too, is restarted after a
pause. The pause doubles with each short run.

Each child is the leader of its own process session. So Ctrl-C in a terminal reaches only the
supervisor, which sends SIGTERM to each child once; and processes that a child leaves behind are
killed with its process group.
"""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

REFUSED: Final = 2
"""Exit code of a node whose configuration is wrong."""

MAX_LINE_BYTES: Final = 65_536
"""Longer lines of a child are split."""

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Child:
    """A process to keep running.

    Attributes:
        name: the prefix of its output.
        command: the program and its arguments.
        environment: added to the supervisor's.
        user: the user that runs it, if another one; then also the group, as numbers.
        group: see ``user``.
        directory: its working directory, if another one.
        needed: whether others need it: it is stopped after all that are not needed have ended.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: int | None = None
    group: int | None = None
    directory: Path | None = None
    needed: bool = False


class Backoff:
    """The pauses between restarts of a child.

    Args:
        first: the first pause, in seconds; it doubles with each short run in a row.
        longest: the longest pause, in seconds.
        reset_after: after a run of that many seconds or more, the next pause is ``first`` again.
    """

    def __init__(
        self, *, first: float = 0.5, longest: float = 30.0, reset_after: float = 30.0
    ) -> None:
        self._first = first
        self._longest = longest
        self._reset_after = reset_after
        self._next = first

    def pause(self, lived: float) -> float:
        """Seconds to wait after a run of ``lived`` seconds."""
        if lived >= self._reset_after:
            self._next = self._first
        pause = self._next
        self._next = min(self._next * 2, self._longest)
        return pause


class Supervisor:
    """Runs children until it is told to stop.

    Args:
        children: the processes; all run at once.
        say: prints a child's name and one line of text, given without its line break.
        backoff: creates the `Backoff` of one child.
        grace_seconds: from SIGTERM to SIGKILL.
        environment: added to the environment of every child.
        lifeline: if true, children inherit our output unchanged, and their standard input is a
            pipe that is closed when this process ends, in whatever way.
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
        self._unneeded = asyncio.Event()
        """Set when the children have ended that need others."""
        self._code = 0

    def stop(self, code: int = 0) -> None:
        """Stop every child; `run` returns ``code``. Only the first call has an effect."""
        if not self._stopping.is_set():
            self._code = code
            self._stopping.set()

    async def run(self) -> int:
        """Run the children until `stop`, SIGTERM, SIGINT or SIGHUP, or until one refuses to start.

        On cancellation the children are killed. When it returns, every child has ended.

        Returns:
            The exit code for this process: 0 if it was told to stop, else `REFUSED`.
        """
        with _stop_signals(self.stop):
            async with asyncio.TaskGroup() as group:
                keeping = {
                    group.create_task(self._keep(child), name=f"keep {child.name}"): child
                    for child in self._children
                }
                users = [task for task, child in keeping.items() if not child.needed]
                if users:
                    await asyncio.wait(users)
                self._unneeded.set()
        return self._code

    async def _keep(self, child: Child) -> None:
        backoff = self._backoff()
        clock = asyncio.get_running_loop().time
        stopping = self._unneeded if child.needed else self._stopping
        while not stopping.is_set():
            started = clock()
            ending = await self._live(child, stopping)
            if stopping.is_set():
                return
            if ending == REFUSED and not child.needed:
                self._say(child.name, "refused to start; stopping everything")
                self.stop(REFUSED)
                return
            pause = backoff.pause(clock() - started)
            self._say(child.name, f"{_in_words(ending)}; starting again in {pause:g} s")
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await stopping.wait()

    async def _live(self, child: Child, stopping: asyncio.Event) -> int:
        """Run a child once; its return code."""
        async with _output(lambda line: self._say(child.name, line), self._lifeline) as sink:
            stdin = self._lifeline[0] if self._lifeline else asyncio.subprocess.DEVNULL
            owner: dict[str, Any] = {}
            if child.user is not None:
                owner = {"user": child.user, "group": child.group, "extra_groups": ()}
            try:
                process = await asyncio.create_subprocess_exec(
                    *child.command,
                    stdin=stdin,
                    stdout=sink,
                    stderr=sink,
                    env={**self._environment, **child.environment},
                    cwd=child.directory,
                    start_new_session=True,
                    **owner,
                )
            except OSError as error:
                self._say(child.name, f"cannot be started: {error.strerror}")
                return os.EX_OSERR
            finally:
                if sink is not None:
                    os.close(sink)
            if sink is not None:  # for a person who wants to send it a signal
                self._say(child.name, f"process {process.pid}")
            try:
                await self._until_it_ends(process, stopping)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                ending = await process.wait()
        return ending

    async def _until_it_ends(
        self, process: asyncio.subprocess.Process, stopping: asyncio.Event
    ) -> None:
        ended = asyncio.create_task(process.wait())
        stop = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({ended, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                with suppress(ProcessLookupError):
                    process.terminate()
                await asyncio.wait({ended}, timeout=self._grace)
        finally:
            ended.cancel()
            stop.cancel()


class _stop_signals:
    """Context manager: signals that ask the process to end call ``stop``.

    After the first one they are ignored for good: a second Ctrl-C during shutdown would otherwise
    turn a clean exit into a failure.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._tell = stop
        self._told = False
        self._signals = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
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
    """The writing end of a pipe for a child's output, which is printed line by line.

    None if the child has a lifeline: it inherits our output.

    With asyncio's own pipe, `Process.wait` would also wait for any grandchild that holds it. The
    caller closes the writing end. On exit, what was written is printed, without waiting for
    writers that outlived the child.
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
    """A child's line as text, with control characters escaped to protect the terminal."""
    text = line.decode("utf-8", "replace").removesuffix("\r")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _in_words(ending: int) -> str:
    if ending >= 0:
        return f"exited with code {ending}"
    try:
        return f"was ended by {signal.Signals(-ending).name}"
    except ValueError:
        return f"was ended by signal {-ending}"
