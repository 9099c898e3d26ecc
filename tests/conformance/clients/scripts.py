"""The TypeScript clients: scripts that say in a line of JSON what each step gave."""

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from tests.conformance.clients.step import Step
from tests.conformance.packages import Packages

HERE: Final = Path(__file__).resolve().parent
STEP_SECONDS: Final = 30.0


class Script:
    """A client that runs as a process of its own.

    Args:
        packages: installed.
        name: of the file here.
        arguments: of the script.
        where: url, token and session, as the scripts want them: MCP_URL, MCP_TOKEN, MCP_SESSION.
    """

    def __init__(self, packages: Packages, name: str, *arguments: str, **where: str) -> None:
        folder = packages.folder / "scripts"  # a script finds packages in the folders above it
        shutil.copytree(HERE, folder, ignore=only_scripts, dirs_exist_ok=True)
        self._command = [str(packages.node), str(folder / name), *arguments]
        self._environment = os.environ | {f"MCP_{key.upper()}": where[key] for key in where}

    async def steps(self) -> AsyncGenerator[dict[str, Any], None]:
        """What it says, until it ends.

        Raises:
            AssertionError: it ended badly.
            TimeoutError: it said nothing for `STEP_SECONDS`.
        """
        process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None and process.stderr is not None
        try:
            while line := await asyncio.wait_for(process.stdout.readline(), STEP_SECONDS):
                yield json.loads(line)
            errors = await asyncio.wait_for(process.stderr.read(), STEP_SECONDS)
            code = await asyncio.wait_for(process.wait(), STEP_SECONDS)
            assert code == 0, f"exit code {code}: {errors.decode()}"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def only_scripts(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if not name.endswith(".mjs")}


async def use_script(
    script: Script, protocol: str, session_id: str, speak: Callable[[bool], Awaitable[list[str]]]
) -> list[Step]:
    """Run a script; have somebody else speak in its session when it waits, and when it listens.

    Args:
        script: the client.
        protocol: the version it is to agree on.
        session_id: its session.
        speak: as another agent, after the script waits if that is true; what was said.
    """
    steps = []
    said: list[str] = []
    seen: dict[str, dict[str, Any]] = {}
    async with contextlib.aclosing(script.steps()) as found_steps:
        async for found in found_steps:
            name = found.pop("step")
            seen[name] = found
            if name in ("waiting", "subscribed"):
                said += await speak(name == "waiting")
            steps.append(Step(name, ", ".join(shown(value) for value in found.values())))
    assert seen["connected"] == {"protocol": protocol, "server": "partyline"}
    assert {"create_session", "add_message", "get_messages"} <= set(seen["listed"]["tools"])
    assert seen["read"] == {"contents": ["hello from TypeScript"]}
    assert seen["refused"]["refused"].startswith("SESSION_NOT_FOUND: ")
    assert seen["woken"] == {"outcome": "messages", "contents": said[:1]}
    assert seen["heard"]["contents"] == said[1:]
    assert set(seen["heard"]["updates"]) == {f"session://{session_id}/messages"}
    return steps


def shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
