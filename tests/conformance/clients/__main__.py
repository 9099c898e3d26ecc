"""``python -m tests.conformance.clients``: clients of other makers against the real mcp_node.

Each lists and calls our tools with a bearer token, reads, is refused, and hears of a message that
another agent writes. Exit codes: 0 every one did; 1 one did not; 2 nothing could be tested.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.conformance.clients.inspector import Inspector, use_inspector
from tests.conformance.clients.scripts import Script, use_script
from tests.conformance.clients.step import Step
from tests.conformance.packages import CACHE, CannotRun, Packages, install, pinned
from tests.pair import Pair
from tests.waiting import until

MODERN: Final = "2026-07-28"
LEGACY: Final = "2025-11-25"

Using = Callable[[], Awaitable[list[Step]]]


def clients(packages: Packages, pair: Pair, scratch: Path) -> dict[str, Using]:
    """How to use every client, by the name and the version of its package."""
    url = f"{pair.mcp_url}/mcp"

    def inspect(era: str) -> Using:
        home = scratch / era
        home.mkdir()
        client = Inspector(packages, home, url, pair.token("inspector"), era)
        return partial(use_inspector, client, f"inspected-{era}")

    def script(name: str, protocol: str, *arguments: str) -> Using:
        session_id = "-".join((Path(name).stem, *arguments))
        token = pair.token("typescript", kind="typescript")
        client = Script(packages, name, *arguments, url=url, token=token, session=session_id)
        return partial(use_script, client, protocol, session_id, speaker(pair, session_id))

    using = {
        ("inspector", "--cli --protocol-era modern"): inspect("modern"),
        ("inspector", "--cli --protocol-era legacy"): inspect("legacy"),
        ("client", "auto"): script("client_v2.mjs", MODERN, "auto"),
        ("client", "legacy"): script("client_v2.mjs", LEGACY, "legacy"),
        ("sdk", "legacy"): script("sdk_v1.mjs", LEGACY),
    }
    versions = pinned()
    names = {key: f"@modelcontextprotocol/{key[0]}" for key in using}
    return {f"{names[key]} {versions[names[key]]}, {key[1]}": using[key] for key in using}


def speaker(pair: Pair, session_id: str) -> Callable[[bool], Awaitable[list[str]]]:
    """Has another agent speak, in another session too, of which nobody is to hear."""
    words = map("{} from Python".format, ("one", "two"))

    async def speak(when_waited_for: bool) -> list[str]:
        said = next(words)
        async with pair.agent("bob") as bob:

            async def call(tool: str, **arguments: str) -> dict[str, Any]:
                result = await bob.call_tool(tool, arguments)
                assert result.structured_content is not None
                return result.structured_content

            async def waited_for() -> bool:
                agents = (await call("list_agents", session_id=session_id))["agents"]
                return any(agent["waiting"] for agent in agents)

            elsewhere = (await call("create_session", purpose="elsewhere"))["session_id"]
            if when_waited_for:
                await until(waited_for)
            for target in (elsewhere, session_id):
                await call("add_message", session_id=target, content=said)
        return [said]

    return speak


async def use_all(packages: Packages) -> int:
    """One after the other; print what each did. The number of those that failed."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="pl-") as scratch:
        async with Pair(Path(scratch) / "node", start=("mcp",)) as pair:
            for name, using in clients(packages, pair, Path(scratch)).items():
                print(f"\n{name}")
                try:
                    steps = await using()
                except (AssertionError, TimeoutError, LookupError, ValueError) as error:
                    failed += 1
                    print(f"  FAILED: {type(error).__name__}: {error}")
                    continue
                for step in steps:
                    print(f"  {step.did}: {step.got}")
    return failed


def main() -> int:
    """Use every client."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance.clients", description=__doc__
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="where to install npm packages")
    options = parser.parse_args()
    try:
        packages = install(options.cache)
    except CannotRun as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2
    failed = asyncio.run(use_all(packages))
    print(f"\n{failed} failed." if failed else "\nEvery client did everything.")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
