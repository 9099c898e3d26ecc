"""``partyline up --cluster demo``: a cluster for trying out, on this machine alone.

Everything is in DATA_DIR/cluster::

    first, second   data directories of the two pairs; the keys of both are in first
    postgresql      PostgreSQL: its data and its socket
    cluster.lock    held while the command runs
    nats.pid        the number of nats-server's process

It stays there when the command ends.
"""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx

from mcp_node.commands.cluster.balancer import Balancer
from mcp_node.commands.cluster.engines import Postgres, Programs, find_programs, nats_child
from mcp_node.commands.console import Console
from mcp_node.commands.up import (
    NO_AUTH,
    READY_POLL_SECONDS,
    node_command,
    page_link,
    ready,
    welcome,
)
from proto import keyfile
from proto.errors import ConfigurationError
from proto.hosts import is_loopback
from proto.settings import Settings, node_url
from serving.bus import nkeys
from serving.process.address import Name, running_url
from serving.process.lockfile import LockFile
from serving.process.server import listen, port_of
from serving.process.supervisor import Child, Supervisor

PAIRS: Final = ("first", "second")
NODES: Final[tuple[Name, ...]] = ("mcp", "ws")

_CHOSEN_HERE: Final = (
    *("STORE", "STORE_SCHEMA", "BRIDGE", "BRIDGE_ENDPOINT", "KEY_DIR", "MCP_URL", "WS_URL"),
    *("NATS_URL", "NATS_DEPLOYMENT", "NATS_NKEY_FILE", "NATS_CREDENTIALS", "NATS_CERT_FILE"),
    *("PAGE_URL", "ALLOWED_HOSTS"),
)
"""Settings that say what a cluster consists of, which this command decides."""


async def demo(settings: Settings, program: Path) -> int:
    """Run the cluster until stopped.

    Args:
        settings: the data directory, and where the balancer listens: the address of mcp_node.
            The nodes read all others from the environment.
        program: the path this command was started with, for the commands it prints.

    Returns:
        The exit code.

    Raises:
        ConfigurationError: it cannot start; the text says what to change.
    """
    _check(settings)
    programs = find_programs()
    home = _open(settings.data_dir)
    with contextlib.ExitStack() as held:
        held.enter_context(LockFile(home / "cluster.lock", "partyline up --cluster"))
        bound = listen(settings.mcp_host, settings.mcp_port, "PARTYLINE_MCP_PORT")
        held.enter_context(contextlib.closing(bound))
        nats_port = held.enter_context(_reserved_port())
        where = settings.model_copy(
            update={
                "data_dir": home / PAIRS[0],
                "mcp_port": port_of(bound),
                "ws_port": port_of(bound),
                "ws_host": settings.mcp_host,
                "page_url": node_url(settings.mcp_host, port_of(bound)) + "/",
            }
        )
        children = await asyncio.to_thread(_children, programs, home, where, nats_port)
        return await _run(children, bound, where, program, nats_port)


def _check(settings: Settings) -> None:
    """Refuse settings that contradict this command."""
    if not is_loopback(settings.mcp_host):
        raise ConfigurationError(
            "--cluster demo is for this machine alone: unset PARTYLINE_MCP_HOST"
        )
    given = [f"PARTYLINE_{name}" for name in _CHOSEN_HERE if f"PARTYLINE_{name}" in os.environ]
    if given:
        raise ConfigurationError(f"--cluster demo sets {', '.join(given)} itself: unset that")


def _open(data_dir: Path) -> Path:
    """The directory of the cluster in a data directory; both are created if missing."""
    home = data_dir / "cluster"
    for directory in (data_dir, home):
        keyfile.open_data_dir(directory)
        if os.geteuid() == 0:  # PostgreSQL runs as another user, who must pass, and only that
            directory.chmod(0o711)
    return home


@contextlib.contextmanager
def _reserved_port() -> Iterator[int]:
    """A port of loopback on which a child can listen, again and again.

    On Linux nobody else is given the port while a socket that does not listen is bound to it.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port = port_of(held)
        if sys.platform != "linux":
            held.close()
        yield port


def _children(programs: Programs, home: Path, where: Settings, nats_port: int) -> list[Child]:
    """Everything to run, prepared."""
    keys = keyfile.open_data_dir(home / PAIRS[0])
    for make in (keyfile.public_key, keyfile.bridge_key, keyfile.digests_key):
        make(keys)
    postgres = Postgres(home / "postgresql", programs.postgres)
    pid_file = home / "nats.pid"
    _refuse_orphans(home, [postgres.pid_file, pid_file])
    postgres.prepare()
    children = [postgres.child(), nats_child(programs.nats_server, nats_port, keys, pid_file)]
    for number, pair in enumerate(PAIRS, 1):
        for node in NODES:
            variables = {
                "DATA_DIR": str(home / pair),
                "KEY_DIR": str(keys),
                **{f"{name.upper()}_HOST": "127.0.0.1" for name in NODES},
                **{f"{name.upper()}_PORT": "0" for name in NODES},
                "PAGE_URL": where.page,
                "STORE": postgres.address,
                "BRIDGE": "nats",
                "NATS_URL": f"nats://127.0.0.1:{nats_port}",
                "NATS_NKEY_FILE": str(keys / nkeys.FILES[f"{node}_node"]),
            }
            environment = {f"PARTYLINE_{name}": value for name, value in variables.items()}
            children.append(Child(f"{node}{number}", node_command(f"{node}_node"), environment))
    return children


def _refuse_orphans(home: Path, pid_files: list[Path]) -> None:
    """Refuse to start beside the processes of a command that was killed.

    Raises:
        ConfigurationError: a node still runs.
    """
    nodes = [(home / pair, node) for pair in PAIRS for node in NODES]
    if not any(running_url(data_dir, node) for data_dir, node in nodes):
        return
    files = [*(data_dir / f"{node}.lock" for data_dir, node in nodes), *pid_files]
    numbers = [file.read_text("ascii").split()[0] for file in files if file.exists()]
    raise ConfigurationError(
        f"the command was killed before, and what it started still runs: kill {' '.join(numbers)}"
    )


async def _run(
    children: list[Child], bound: socket.socket, where: Settings, program: Path, nats_port: int
) -> int:
    console = Console(sys.stdout, width=4)
    supervisor = Supervisor(children, console.line, environment={"PYTHONUNBUFFERED": "1"})
    console.on_closed = lambda: supervisor.stop(1)
    if where.auth == "off":
        console.line("up", NO_AUTH)
    home = where.data_dir.parent
    beside = [
        asyncio.create_task(Balancer([home / pair for pair in PAIRS]).serve(bound)),
        asyncio.create_task(_announce(where, program, console, nats_port)),
    ]
    try:
        return await supervisor.run()
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


async def _announce(where: Settings, program: Path, console: Console, nats_port: int) -> None:
    """Print the welcome once, as soon as all nodes are ready."""
    home = where.data_dir.parent
    async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
        while not await _all_ready(client, home):  # noqa: ASYNC110  # they set no event here
            await asyncio.sleep(READY_POLL_SECONDS)
    lines = welcome(where, program, await asyncio.to_thread(page_link, where))
    console.block([*lines[:-1], *_parts(home, nats_port), ""])


async def _all_ready(client: httpx.AsyncClient, home: Path) -> bool:
    urls = [running_url(home / pair, node) for pair in PAIRS for node in NODES]
    answers = await asyncio.gather(*(ready(client, url) for url in urls if url is not None))
    return len(answers) == len(urls) and all(answers)


def _parts(home: Path, nats_port: int) -> list[str]:
    lines = ["", "The addresses above are the balancer's. Behind it, on this machine:"]
    for number, pair in enumerate(PAIRS, 1):
        for node in NODES:
            url = running_url(home / pair, node)
            lines.append(f"  {f'{node}_node {number}':<16} {url}  {home / pair}")
    return [
        *lines,
        f"  PostgreSQL       {home / 'postgresql'}",
        f"  nats-server      nats://127.0.0.1:{nats_port}",
    ]
