"""The README is run: its walk-through as typed, and its output compared with what it shows."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from pathlib import Path

from tests.pair import Pair
from tests.waiting import until

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STAMPS = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"), "<day>"),
    (re.compile(r"Token [0-9a-f]{32}"), "Token <id>"),
]


def normal(text: str) -> list[str]:
    for pattern, name in STAMPS:
        text = pattern.sub(name, text)
    return [line for line in text.splitlines() if line.strip()]


def test_the_readmes_two_commands_are_targets_and_what_ci_runs() -> None:
    commands = [text.strip() for kind, text in BLOCK.findall(README) if kind == "sh"]
    assert commands[:2] == ["make run", "make test"]
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^run: .*\n\t.*partyline up", makefile, re.MULTILINE)
    assert re.search(r"^test: .*\n\t.*pytest", makefile, re.MULTILINE)
    assert "make test" in (ROOT / ".ci/run").read_text()


def test_what_the_readme_links_to_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


async def test_the_readmes_walk_through_prints_what_it_shows(tmp_path: Path) -> None:
    walk = README.split("## A walk-through")[1].split("\n## ")[0]
    blocks = BLOCK.findall(walk)
    async with Pair(tmp_path) as pair:
        script = tmp_path / "walk.sh"
        output = tmp_path / "output"
        (tmp_path / "hello.py").write_text(
            retargeted(next(text for kind, text in blocks if kind == "python"), pair)
        )
        (tmp_path / ".venv").symlink_to(sys.prefix)
        shown = [line for kind, text in blocks if kind == "output" for line in normal(text)]
        commands = [retargeted(text.strip(), pair) for kind, text in blocks if kind == "sh"]
        script.write_text(paced(commands, output))
        with output.open("wb") as printed:
            shell = await asyncio.create_subprocess_exec(
                "bash",
                "-eu",
                str(script),
                cwd=tmp_path,
                env={**os.environ, **pair.environment},
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )
        try:
            assert await asyncio.wait_for(shell.wait(), 120) == 0, output.read_text()
            await until(lambda: rest(output.read_text(), shown) is not None)
        finally:
            with contextlib.suppress(ProcessLookupError):  # it has cleaned up
                os.killpg(shell.pid, signal.SIGKILL)
        assert rest(output.read_text(), shown) == ""


def rest(printed: str, shown: list[str]) -> str | None:
    """What was printed besides the lines shown; None while one of them is missing.

    Two processes write to one terminal: what they print is fixed, who comes first is not.
    """
    text = "\n".join(normal(printed))
    for line in shown:
        if line not in text:
            return None
        text = text.replace(line, "", 1)
    return text.strip()


def retargeted(text: str, pair: Pair) -> str:
    """A block with this pair's ports in place of the default ones."""
    return text.replace("23456", str(pair.mcp_port)).replace("8081", str(pair.ws_port))


def paced(commands: list[str], output: Path) -> str:
    """The commands, each ending its line, and the watcher given time to be there."""
    wait = f"until grep -q 'watching demo' {output}; do sleep 0.05; done"
    lines = []
    for command in commands:
        lines.append(command)
        if command.endswith("&"):
            lines.append(wait)
    return "\n".join(lines)
