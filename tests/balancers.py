"""nginx and Caddy with the configurations of deploy/, in front of a cluster."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest

from tests.clients import UNANSWERED, plain_client
from tests.cluster import Cluster
from tests.node_process import reserved_port
from tests.waiting import STOP_SECONDS, until

DEPLOY: Final = Path(__file__).resolve().parents[1] / "deploy"
_SEARCHED: Final = f"{os.environ.get('PATH', '')}:/usr/sbin"


def _nginx(directory: Path, text: str, port: int) -> list[str]:
    """The command that runs it; the file of deploy/ is part of a configuration."""
    configuration = directory / "nginx.conf"
    site = directory / "site.conf"
    site.write_text(_replaced(text, "listen 80;", f"listen 127.0.0.1:{port};"))
    temporary = "".join(
        f"  {part}_temp_path {directory}/{part};\n"
        for part in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""  # who may enter the directory
    configuration.write_text(
        f"{user}daemon off;\nworker_processes 2;\npid {directory}/pid;\n"
        f"error_log {directory}/errors;\nevents {{}}\n"
        f"http {{\n  access_log off;\n{temporary}  include {site};\n}}\n"
    )
    return ["-p", str(directory), "-e", f"{directory}/errors", "-c", str(configuration)]


def _caddy(directory: Path, text: str, port: int) -> list[str]:
    configuration = directory / "Caddyfile"
    site = _replaced(text, "\n:80 {\n", f"\n:{port} {{\n\tbind 127.0.0.1\n")
    configuration.write_text("{\n\tadmin off\n}\n" + site)
    return ["run", "--config", str(configuration), "--adapter", "caddyfile"]


def _replaced(text: str, old: str, new: str) -> str:
    assert old in text, old
    return text.replace(old, new)


_KINDS: Final[dict[str, tuple[str, Callable[[Path, str, int], list[str]]]]] = {
    "nginx": ("nginx.conf", _nginx),
    "caddy": ("Caddyfile", _caddy),
}


@contextlib.asynccontextmanager
async def balancer(program: str, directory: Path, cluster: Cluster) -> AsyncIterator[str]:
    """Run ``nginx`` or ``caddy``; its URL. Skips if it is not installed.

    Args:
        program: which.
        directory: an own one.
        cluster: whose nodes take the places of those in the configuration.
    """
    path = shutil.which(program, path=_SEARCHED)
    if path is None:
        pytest.skip(f"{program} is not installed (Debian: apt install {program})")
    file, command = _KINDS[program]
    text = (DEPLOY / file).read_text("utf-8")
    for number, pair in enumerate(cluster.pairs, 1):
        text = _replaced(text, f"10.0.0.{number}:23456", f"127.0.0.1:{pair.mcp_port}")
        text = _replaced(text, f"10.0.0.{number}:8081", f"127.0.0.1:{pair.ws_port}")
    homes = {name: str(directory) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    output = directory / "output"
    with reserved_port() as port, output.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(path, *command(directory, text, port)),
            env=os.environ | homes,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            await until(lambda: _forwards(process, url))
            yield url
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
            print(f"--- {program}\n{output.read_text('utf-8')}")


async def _forwards(process: asyncio.subprocess.Process, url: str) -> bool:
    """Whether the page comes through it."""
    assert process.returncode is None
    async with plain_client(base_url=url) as client:
        try:
            return (await client.get("/")).status_code == 200
        except UNANSWERED:
            return False
