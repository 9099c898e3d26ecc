"""The MCP Inspector's command line: one process for each request, as a person would use it."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.conformance.clients.step import Step
from tests.conformance.packages import Packages

LAUNCHER: Final = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
REQUEST_SECONDS: Final = 60
SAYS_TOOL_ERROR: Final = 5
"""The Inspector's exit code when a tool's result is an error."""


class Inspector:
    """Its command line with a server in its configuration; the token is in no argument.

    Args:
        packages: installed.
        scratch: an empty directory: its home, so that it leaves nothing elsewhere.
        url: of the MCP endpoint.
        token: to call it with.
        era: of the protocol, ``modern`` or ``legacy``.
    """

    def __init__(self, packages: Packages, scratch: Path, url: str, token: str, era: str) -> None:
        config = scratch / "servers.json"
        headers = {"Authorization": f"Bearer {token}"}
        server = {"type": "streamable-http", "url": url, "headers": headers}
        config.write_text(json.dumps({"mcpServers": {"partyline": server}}), "utf-8")
        self._command = packages.script(LAUNCHER)
        self._command += ["--cli", "--config", str(config), "--server", "partyline"]
        self._command += ["--protocol-era", era]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MCP_")}
        self._environment = environment | {
            "HOME": str(scratch),
            "MCP_INSPECTOR_SECRET_STORE": "memory",
        }
        self._scratch = scratch

    async def ask(self, method: str, *options: str, code: int = 0) -> dict[str, Any]:
        """The JSON it prints for a request.

        Raises:
            AssertionError: it ended with another code.
        """
        answer, _ = await self._run(method, *options, code=code)
        return answer

    async def check_tools(self) -> tuple[dict[str, Any], str]:
        """The tools, and how many schemas it calls wrong (it fails then) or hard on some clients.

        Raises:
            AssertionError: a schema is wrong.
        """
        listed, errors = await self._run("tools/list", "--strict")
        found = re.search(r"\d+ errors?, \d+ warnings?", errors)
        return listed, found[0] if found else "0 errors, 0 warnings"

    async def _run(self, method: str, *options: str, code: int = 0) -> tuple[dict[str, Any], str]:
        done = await asyncio.to_thread(
            subprocess.run,
            [*self._command, "--method", method, *options],
            cwd=self._scratch,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=REQUEST_SECONDS,
        )
        assert done.returncode == code, f"{method}: exit code {done.returncode}: {done.stderr}"
        return json.loads(done.stdout), done.stderr

    async def call(self, tool: str, *, code: int = 0, **arguments: str) -> dict[str, Any]:
        """The result of a tool call."""
        pairs = (f"{name}={value}" for name, value in arguments.items())
        return await self.ask("tools/call", "--tool-name", tool, "--tool-arg", *pairs, code=code)


async def use_inspector(inspector: Inspector, session_id: str) -> list[Step]:
    """List and call what there is."""
    steps = []
    listed, verdict = await inspector.check_tools()
    steps.append(Step("tools/list --strict", ", ".join(names(listed["tools"]))))
    steps.append(Step("their schemas", verdict))
    for kind, field in (
        ("resources/templates/list", "resourceTemplates"),
        ("prompts/list", "prompts"),
    ):
        found = await inspector.ask(kind)
        steps.append(Step(kind, ", ".join(names(found[field]))))
    await inspector.call("create_session", purpose="The Inspector", session_id=session_id)
    added = await inspector.call("add_message", session_id=session_id, content="hello")
    steps.append(Step("add_message", f"message {added['structuredContent']['message_id']}"))
    page = await inspector.call("get_messages", session_id=session_id)
    contents = [message["content"] for message in page["structuredContent"]["messages"]]
    assert contents == ["hello"]
    steps.append(Step("get_messages", ", ".join(contents)))
    read = await inspector.ask("resources/read", "--uri", f"session://{session_id}/messages")
    assert [m["content"] for m in json.loads(read["contents"][0]["text"])["messages"]] == contents
    steps.append(Step(f"resources/read session://{session_id}/messages", ", ".join(contents)))
    refused = await inspector.call("get_messages", session_id="nowhere", code=SAYS_TOOL_ERROR)
    assert refused["isError"]
    steps.append(Step("get_messages of no session", refused["content"][0]["text"]))
    return steps


def names(entries: list[dict[str, Any]]) -> Iterator[str]:
    return (entry["name"] for entry in entries)
