"""``partyline up``: runs both nodes under one supervisor and says where things are."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx

from mcp_node.commands.console import Console
from mcp_node.commands.links import login
from proto.errors import ConfigurationError
from proto.settings import Settings
from serving.process.address import running_url, with_ports
from serving.process.command_line import as_typed
from serving.process.supervisor import Child, Supervisor

READY_POLL_SECONDS: Final = 0.25


async def up(settings: Settings, program: Path) -> int:
    """Run both nodes until stopped.

    Args:
        settings: for what is printed; the nodes read the environment themselves.
        program: the path this command was started with, for the commands it prints.

    Returns:
        The exit code.
    """
    console = Console(sys.stdout)
    supervisor = Supervisor(nodes(), console.line, environment={"PYTHONUNBUFFERED": "1"})
    console.on_closed = lambda: supervisor.stop(1)
    if settings.auth == "off":
        console.line("up", NO_AUTH)
    announcing = asyncio.create_task(_announce(settings, program, console))
    try:
        return await supervisor.run()
    finally:
        announcing.cancel()
        with suppress(asyncio.CancelledError):
            await announcing


def nodes() -> list[Child]:
    """Both nodes."""
    return [Child("mcp", node_command("mcp_node")), Child("ws", node_command("ws_node"))]


def node_command(module: str) -> list[str]:
    """The command that starts a node, with this interpreter."""
    # When installed, do not search the current directory for modules (-P): it may have a folder
    # named proto. In a checkout (`python -m mcp_node.commands.cli`) our packages are found there.
    isolated = [] if Path(sys.argv[0]).suffix == ".py" else ["-P"]
    return [sys.executable, *isolated, "-m", module]


NO_AUTH: Final = (
    "WARNING: PARTYLINE_AUTH=off. Every process on this machine can read and write everything,"
    " under any name. For trying out only."
)


def welcome(settings: Settings, program: Path, page: str | None) -> list[str]:
    """The addresses, and how to add the server to Claude Code.

    Args:
        settings: the addresses.
        program: the path this command was started with.
        page: the page's address with a one-time code, which is the only secret here; None if no
            link could be made.
    """
    ws_url = settings.ws_address.replace("http://", "ws://", 1)
    lines = [
        "",
        "Partyline is up.",
        *(f"  {line}" for line in _page_lines(settings, program, page)),
        f"  agents (MCP)     {settings.mcp_address}/mcp",
        f"  live (WebSocket) {ws_url}/ws/{{session_id}}",
        f"  data             {settings.data_dir}",
        "",
        "To add it to Claude Code, run in your project's directory:",
        *(f"  {line}" for line in claude_code_lines(settings, program)),
        "",
    ]
    if settings.auth == "off":
        lines += [NO_AUTH, ""]
    return lines


def _page_lines(settings: Settings, program: Path, page: str | None) -> list[str]:
    again = f"{as_typed(settings, program)} login"
    if page is None:
        return [f"page             {settings.page} (to get a login link: {again})"]
    if settings.auth == "off":
        return [f"page             {page}"]
    return [
        f"page             {page}",
        f"                 works once, within 10 minutes; for another: {again}",
    ]


def claude_code_lines(settings: Settings, program: Path) -> list[str]:
    """The commands that add this server to Claude Code.

    The header's value is a reference to a variable, in single quotes for the shell: Claude Code
    documents that it expands ``${VAR}`` in ``.mcp.json``, which ``--scope project`` writes. (With
    other scopes some versions send the reference unexpanded.) ``--header`` takes any number of
    values, so it comes last.
    """
    add = f"claude mcp add --scope project --transport http partyline {settings.mcp_address}/mcp"
    if settings.auth == "off":
        return [add]
    token = f"{as_typed(settings, program)} token --agent claude --type claude"
    return [
        f'export PARTYLINE_TOKEN="$({token} --scopes read,write | tail -n 1)"',
        f"{add} --header 'Authorization: Bearer ${{PARTYLINE_TOKEN}}'",
    ]


async def _announce(settings: Settings, program: Path, console: Console) -> None:
    """Print the welcome once, as soon as both nodes are ready."""
    async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
        while not await _both_ready(client, settings.data_dir):  # noqa: ASYNC110
            await asyncio.sleep(READY_POLL_SECONDS)
    settings = with_ports(settings)
    console.block(welcome(settings, program, await asyncio.to_thread(page_link, settings)))


def page_link(settings: Settings) -> str | None:
    """A one-time link to the page; None if mcp_node does not answer."""
    try:
        return login(settings)[0]
    except ConfigurationError:  # a node has just died
        return None


async def _both_ready(client: httpx.AsyncClient, data_dir: Path) -> bool:
    """Whether the nodes with this data directory are ready; others may have the usual ports."""
    mcp_url, ws_url = running_url(data_dir, "mcp"), running_url(data_dir, "ws")
    if mcp_url is None or ws_url is None:
        return False
    return all(await asyncio.gather(ready(client, mcp_url), ready(client, ws_url)))


async def ready(client: httpx.AsyncClient, url: str) -> bool:
    """Whether a node's ``/readyz`` answers 200."""
    try:
        return (await client.get(f"{url}/readyz")).status_code == httpx.codes.OK
    except Exception:  # httpx also raises others when a node dies while it connects
        return False
