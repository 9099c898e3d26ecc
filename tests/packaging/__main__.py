"""``python -m tests.packaging``: build the wheel, install it with pip's resolver, run it, look.

In a virtual environment and directories of its own, which are removed in the end. It needs a
network or pip's cache. Exit code 1 and the failing command's output if something is wrong.
"""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "ws_node" / "static"
START_SECONDS = 60.0
STOP_SECONDS = 15.0


class Failed(Exception):
    """Something is wrong with the package; the text says what."""


def main() -> int:
    """Do it all; the exit code."""
    with tempfile.TemporaryDirectory(prefix="partyline-wheel-") as name:
        place = Path(name)
        try:
            with step("1/3 the wheel is built and installed the ordinary way (30 to 90 s)"):
                partyline = install(build(place / "dist"), place / "venv")
            with step("2/3 partyline up starts from an empty directory, both nodes are ready"):
                asyncio.run(check(partyline, place))
        except Failed as failure:
            print(f"packaging: FAILED: {failure}", file=sys.stderr)
            return 1
    print("packaging: 3/3 everything is removed")
    return 0


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    begin = time.monotonic()
    print(f"packaging: {title}", flush=True)
    yield
    print(f"packaging: done in {time.monotonic() - begin:.0f} s", flush=True)


def build(dist: Path) -> Path:
    """The path of a new wheel."""
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", dist, ROOT)
    (wheel,) = dist.glob("*.whl")
    return wheel


def install(wheel: Path, venv: Path) -> Path:
    """The path of ``partyline`` in a new virtual environment, with the interpreter's own pip."""
    run(sys._base_executable, "-m", "venv", venv)  # type: ignore[attr-defined]
    run(venv / "bin" / "python", "-m", "pip", "install", "--quiet", wheel)
    run(venv / "bin" / "python", "-m", "pip", "check")
    (packages,) = venv.glob("lib/python*/site-packages")
    packaged = packages / "mcp_node" / "commands" / "cluster" / "nats-server.conf"
    if packaged.read_bytes() != (ROOT / "deploy" / "nats-server.conf").read_bytes():
        raise Failed(f"{packaged} is not that of deploy/")
    return venv / "bin" / "partyline"


def run(*command: str | Path) -> None:
    done = subprocess.run(command, cwd="/", env=environment(), capture_output=True, text=True)
    if done.returncode:
        shown = " ".join(map(str, command))
        raise Failed(f"{shown}\n{done.stdout}{done.stderr}")


def environment(**settings: str) -> dict[str, str]:
    """This process's, without what would make an installed package look like this checkout."""
    ours = ("PARTYLINE_", "PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {f"PARTYLINE_{name}": value for name, value in settings.items()}


async def check(partyline: Path, place: Path) -> None:
    """Start both nodes from the package and ask them for what there must be."""
    async with up(partyline, place) as (mcp, ws), httpx.AsyncClient(trust_env=False) as client:
        for url in (f"{mcp}/readyz", f"{ws}/readyz", f"{mcp}/docs", f"{ws}/docs"):
            await get(client, url)
        for url in docs_assets(await get(client, f"{mcp}/docs")):
            await get(client, f"{mcp}{url}")
        for file in sorted(file for file in STATIC.rglob("*") if file.is_file()):
            path = str(file.relative_to(STATIC))
            url = f"{ws}/" if path == "index.html" else f"{ws}/static/{path}"
            if await get(client, url) != file.read_bytes():
                raise Failed(f"{url} is not {file}")


async def get(client: httpx.AsyncClient, url: str) -> bytes:
    answer = await client.get(url)
    if answer.status_code != 200:
        raise Failed(f"{url} answers {answer.status_code}")
    return answer.content


def docs_assets(html: bytes) -> list[str]:
    """Addresses of scripts and styles in the page of the REST documentation."""
    found = re.findall(r"(?:src|href)=\"(/[^\"]+\.(?:js|css))\"", html.decode())
    if len(found) < 2:
        raise Failed("/docs names no scripts and styles of its own")
    return found


@contextlib.asynccontextmanager
async def up(partyline: Path, place: Path) -> AsyncIterator[tuple[str, str]]:
    """``partyline up`` in an empty directory: the addresses of mcp_node and ws_node."""
    (home := place / "home").mkdir()
    process = await asyncio.create_subprocess_exec(
        str(partyline),
        "up",
        cwd=home,
        env=environment(DATA_DIR=str(place / "data"), MCP_PORT="0", WS_PORT="0"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output: list[str] = []
    try:
        try:
            async with asyncio.timeout(START_SECONDS):
                yield await addresses(process, output)
        except TimeoutError:
            raise Failed("partyline up is not ready\n" + "".join(output)) from None
    finally:
        await stop(process, output)


async def addresses(process: asyncio.subprocess.Process, output: list[str]) -> tuple[str, str]:
    """What ``partyline up`` says once both nodes are ready."""
    assert process.stdout is not None
    async for line in process.stdout:
        output.append(line.decode())
        if found := re.search(r"agents \(MCP\) +(http://\S+)/mcp", output[-1]):
            page = re.search(r"page +(http://[^/\s]+)", "".join(output))
            assert page is not None, "the page's address comes before"
            return found[1], page[1]
    raise Failed("partyline up ended\n" + "".join(output))


async def stop(process: asyncio.subprocess.Process, output: list[str]) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            rest, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise Failed("partyline up does not stop\n" + "".join(output)) from None
    if process.returncode:
        text = "".join(output) + rest.decode()
        raise Failed(f"partyline up ended with code {process.returncode}\n{text}")


if __name__ == "__main__":
    sys.exit(main())
