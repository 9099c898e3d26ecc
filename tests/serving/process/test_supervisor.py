"""The supervisor over real processes; its own process is real too."""

import asyncio
import os
import pty
import re
import signal
import sys
import textwrap
from contextlib import asynccontextmanager, suppress

import psutil
import pytest

from serving.process.supervisor import Backoff
from tests.waiting import PATIENCE

SUPERVISE = """
import asyncio, signal, sys
from serving.process.supervisor import Child, Supervisor
from mcp_node.commands.console import Console
grace, *programs = sys.argv[1:]
console = Console(sys.stdout)
names = ["mcp", "ws"]
children = [Child(name, [sys.executable, "-c", p]) for name, p in zip(names, programs)]
supervisor = Supervisor(
    children, console.line, grace_seconds=float(grace), environment={"PYTHONUNBUFFERED": "1"}
)
console.on_closed = lambda: supervisor.stop(1)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup
sys.exit(asyncio.run(supervisor.run()))
"""

SUPERVISE_NEEDED = """
import asyncio, sys
from pathlib import Path
from serving.process.supervisor import Child, Supervisor
commands = [[sys.executable, "-u", "-c", program] for program in sys.argv[2:]]
children = [
    Child("db", commands[0], {"SIZE": "7"}, directory=Path("/"), needed=True),
    Child("a", commands[1]),
    Child("b", commands[2]),
]
def say(name, text):
    print(f"{name} | {text}", flush=True)
sys.exit(asyncio.run(Supervisor(children, say).run()))
"""

POLITE = """
import os, signal
def end(number, frame):
    print("got", signal.Signals(number).name)
    raise SystemExit(0)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)
print("pid", os.getpid())
while True:
    signal.pause()
"""
DEAF = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("pid", os.getpid())
while True:
    signal.pause()
"""


class Supervised:
    """A running supervisor: its lines as they come, and its end.

    Attributes:
        lines: what it has printed but who its children are.
        pids: of the children it has started, by name, in order.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.pids: dict[str, list[int]] = {}

    def _keep(self, line: str) -> None:
        if found := re.fullmatch(r"(\w+) +\| process (\d+)", line):
            self.pids.setdefault(found[1], []).append(int(found[2]))
        else:
            self.lines.append(line)

    async def line(self, pattern: str) -> re.Match[str]:
        """The next line that matches."""
        async with asyncio.timeout(PATIENCE):
            while raw := await self.process.stdout.readline():
                line = raw.decode().rstrip("\n")
                self._keep(line)
                if found := re.fullmatch(pattern, line):
                    return found
        pytest.fail(f"no line like {pattern!r} in {self.lines}")

    async def pid(self, name: str) -> int:
        return int((await self.line(rf"{name} +\| pid (\d+)"))[1])

    async def end(self) -> int:
        """The exit code, once it has ended; the rest of its lines are in `lines`."""
        async with asyncio.timeout(PATIENCE):
            rest = await self.process.stdout.read()
            for line in rest.decode().splitlines():
                self._keep(line)
            return await self.process.wait()


@asynccontextmanager
async def supervised(*programs: str, grace: float = 5.0, script: str = SUPERVISE):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", script, str(grace), *map(textwrap.dedent, programs)),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield Supervised(process)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


async def has_ended(*pids: int) -> None:
    """Wait until none of the processes runs (what an init has not reaped does not)."""
    async with asyncio.timeout(PATIENCE):
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                    await asyncio.sleep(0.01)


async def test_every_line_of_a_child_carries_its_name():
    program = "import sys; print('one'); print('two', file=sys.stderr); print('no end', end='')"
    async with supervised(program + "; sys.exit(2)") as run:
        assert await run.end() == 2
    assert run.lines[:3] == ["mcp | one", "mcp | two", "mcp | no end"]


async def test_the_process_of_a_child_is_printed_each_time_it_starts():
    async with supervised(POLITE) as run:
        pids = [await run.pid("mcp")]
        os.kill(pids[0], signal.SIGKILL)
        pids.append(await run.pid("mcp"))
        assert run.pids == {"mcp": pids}


async def test_a_child_can_neither_steer_the_terminal_nor_stall_with_an_endless_line():
    program = r"""
        import sys
        print("\x1b[31mred\x07\r")
        print("x" * 200_000)
        sys.stdout.buffer.write(b"\xff\n")
        sys.exit(2)
    """
    async with supervised(program) as run:
        run.process.stdout._limit = 1 << 20
        assert await run.end() == 2
    assert run.lines[0] == r"mcp | \x1b[31mred\x07"
    assert sum(line.count("x") for line in run.lines[1:-2]) == 200_000
    assert run.lines[-2:] == ["mcp | �", "mcp | refused to start; stopping everything"]


async def test_a_killed_child_is_started_again_with_back_off_while_the_other_stays():
    async with supervised(POLITE, POLITE) as run:
        pids = {await run.pid("(?:mcp|ws)"), await run.pid("(?:mcp|ws)")}
        name = {int(line.split()[-1]): line.split()[0] for line in run.lines}
        victim = next(pid for pid in pids if name[pid] == "ws")
        clock = asyncio.get_running_loop().time
        for pause in ("0.5", "1"):
            killed = clock()
            os.kill(victim, signal.SIGKILL)
            await run.line(rf"ws  \| was ended by SIGKILL; starting again in {pause} s")
            successor = await run.pid("ws ")
            assert clock() - killed >= float(pause)
            assert successor != victim
            victim = successor
        survivor = next(pid for pid in pids if name[pid] == "mcp")
        assert psutil.pid_exists(survivor)
        run.process.terminate()
        assert await run.end() == 0


async def test_a_child_that_exits_by_itself_is_started_again():
    async with supervised("print('here')") as run:
        await run.line(r"mcp \| exited with code 0; starting again in 0.5 s")
        await run.line(r"mcp \| here")


async def test_a_child_that_refuses_its_configuration_stops_everything(tmp_path):
    os.mkfifo(cue := tmp_path / "cue")
    refusing = f"import sys; open({str(cue)!r}).read(); print('port 1: say why'); sys.exit(2)"
    async with supervised(POLITE, refusing) as run:
        polite = await run.pid("mcp")
        await asyncio.to_thread(cue.write_text, "")
        assert await run.end() == 2
    assert "ws  | port 1: say why" in run.lines
    assert "ws  | refused to start; stopping everything" in run.lines
    assert "mcp | got SIGTERM" in run.lines
    await has_ended(polite)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_one_signal_ends_all_before_the_grace_is_over_with_exit_code_0(number):
    async with supervised(POLITE, POLITE, grace=2 * PATIENCE) as run:
        pids = [await run.pid(".*"), await run.pid(".*")]
        run.process.send_signal(number)
        assert await run.end() == 0
    assert sorted(run.lines[2:]) == ["mcp | got SIGTERM", "ws  | got SIGTERM"]
    await has_ended(*pids)


async def test_what_others_need_ends_after_them_and_has_its_own_directory_and_variables():
    needed = 'import os; print(os.getcwd(), os.environ["SIZE"])\n' + POLITE
    async with supervised(needed, POLITE, POLITE, script=SUPERVISE_NEEDED) as run:
        pids = [await run.pid(".*") for _ in range(3)]
        assert "db | / 7" in run.lines
        run.process.terminate()
        assert await run.end() == 0
    ends = [line for line in run.lines if "got SIGTERM" in line]
    assert sorted(ends[:2]) == ["a | got SIGTERM", "b | got SIGTERM"]
    assert ends[2:] == ["db | got SIGTERM"]
    await has_ended(*pids)


async def test_ctrl_c_reaches_children_once_and_as_sigterm():
    """A terminal sends SIGINT to its whole foreground group."""
    async with supervised(POLITE, POLITE) as run:
        await run.pid(".*")
        await run.pid(".*")
        os.killpg(run.process.pid, signal.SIGINT)
        os.killpg(run.process.pid, signal.SIGINT)
        assert await run.end() == 0
    assert sorted(run.lines[2:]) == ["mcp | got SIGTERM", "ws  | got SIGTERM"]


async def test_ctrl_c_again_and_again_changes_nothing():
    async with supervised(POLITE) as run:
        await run.pid(".*")
        while run.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(run.process.pid, signal.SIGINT)
            await asyncio.sleep(0.001)
        assert await run.end() == 0


async def test_a_child_that_does_not_listen_is_killed_after_the_grace():
    async with supervised(DEAF, POLITE, grace=0.3) as run:
        pids = [await run.pid(".*"), await run.pid(".*")]
        run.process.terminate()
        assert await run.end() == 0
    await has_ended(*pids)


async def test_what_a_child_leaves_behind_ends_with_it():
    """Also when it holds the child's output open."""
    leaving = f"""
        import os, signal, subprocess, sys
        subprocess.Popen([sys.executable, "-c", {DEAF!r}])
        signal.pause()
    """
    async with supervised(leaving) as run:
        grandchild = await run.pid("mcp")
        run.process.terminate()
        assert await run.end() == 0
    await has_ended(grandchild)


async def test_the_supervisor_stops_when_nobody_takes_its_output():
    chatty = "import time\nwhile True: print('more'); time.sleep(0.01)"
    async with supervised(chatty) as run:
        await run.line(r"mcp \| more")
        run.process.stdout._transport.close()
        async with asyncio.timeout(PATIENCE):
            assert await run.process.wait() == 1


async def test_a_command_that_cannot_be_started_is_tried_again():
    script = SUPERVISE.replace("sys.executable", "'/nowhere/python'")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, "5", ""), stdout=asyncio.subprocess.PIPE
    )
    run = Supervised(process)
    try:
        await run.line(r"mcp \| cannot be started: No such file or directory")
        await run.line(r"mcp \| exited with code 71; starting again in 0.5 s")
    finally:
        process.terminate()
    assert await run.end() == 0


@pytest.mark.parametrize(("no_color", "expected"), [("", True), ("1", False)])
async def test_names_are_coloured_on_a_terminal_only(no_color, expected):
    ours, theirs = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SUPERVISE, "5", "import sys; print('hello'); sys.exit(2)"),
            stdout=theirs,
            env={**os.environ, "NO_COLOR": no_color},
        )
        assert await process.wait() == 2
        shown = os.read(ours, 65_536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert ("\x1b[36mmcp |\x1b[0m hello" in shown) is expected
    assert ("mcp | hello" in shown) is not expected


def test_back_off_doubles_to_its_bound_and_starts_over_after_a_long_life():
    backoff = Backoff()
    assert [backoff.pause(1.0) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert backoff.pause(30.0) == 0.5
    assert backoff.pause(29.9) == 1
