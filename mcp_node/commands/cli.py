"""The command line ``partyline``: parses, calls the command, and turns errors into exit codes.

====  ==============================================
code  meaning
====  ==============================================
0     done, or stopped because it was told to
1     its output went nowhere any more
2     the command line or the configuration is wrong
====  ==============================================
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from mcp_node.commands.backup import make_backup, restore_backup
from mcp_node.commands.keys import keys
from mcp_node.commands.links import links, login
from mcp_node.commands.prune import prune
from mcp_node.commands.revoke import revoke
from mcp_node.commands.token import TokenRequest, make_token
from mcp_node.commands.up import up
from mcp_node.commands.watch import Watch
from proto.errors import ConfigurationError, InvalidInput
from proto.settings import load_settings
from serving.process.address import with_ports


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    os.umask(0o077)
    chosen = command_line().parse_args(arguments)
    try:
        return _COMMANDS[chosen.command](chosen)
    except (ConfigurationError, InvalidInput) as error:
        print(f"partyline: {error}", file=sys.stderr)
        return 2


def _up(chosen: argparse.Namespace) -> int:
    return asyncio.run(up(load_settings(), Path(sys.argv[0])))


def _token(chosen: argparse.Namespace) -> int:
    request = TokenRequest(
        chosen.agent, chosen.type, chosen.scopes, chosen.sessions, chosen.expires
    )
    token, explanation = make_token(load_settings(), request)
    print(explanation, file=sys.stderr, flush=True)
    print(token, flush=True)
    return 0


def _watch(chosen: argparse.Namespace) -> int:
    with contextlib.suppress(KeyboardInterrupt):
        Watch(load_settings(), chosen.session_id, chosen.since).run()
    return 0


def _backup(chosen: argparse.Namespace) -> int:
    print(make_backup(load_settings(), chosen.file))
    return 0


def _restore(chosen: argparse.Namespace) -> int:
    print(restore_backup(load_settings(), chosen.file))
    return 0


def _revoke(chosen: argparse.Namespace) -> int:
    settings = load_settings()
    print(revoke(settings, token_id=chosen.token, agent_id=chosen.agent, link_id=chosen.link))
    return 0


def _login(_: argparse.Namespace) -> int:
    url, explanation = login(with_ports(load_settings()))
    print(explanation, file=sys.stderr, flush=True)
    print(url, flush=True)
    return 0


def _links(_: argparse.Namespace) -> int:
    print(links(load_settings()))
    return 0


def _prune(chosen: argparse.Namespace) -> int:
    print(prune(load_settings(), older_than=chosen.older_than, dry_run=chosen.dry_run))
    return 0


def _keys(chosen: argparse.Namespace) -> int:
    print(keys(load_settings(), allow=chosen.allow, remove=chosen.remove, server=chosen.server))
    return 0


_COMMANDS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "up": _up,
    "token": _token,
    "watch": _watch,
    "backup": _backup,
    "restore": _restore,
    "revoke": _revoke,
    "prune": _prune,
    "login": _login,
    "links": _links,
    "keys": _keys,
}


def command_line() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = argparse.ArgumentParser(
        prog=_typed(sys.argv[0]),
        description="A shared room for AI agents that people watch and join live.",
        epilog="Settings are environment variables named PARTYLINE_…; docs/settings.md lists them.",
    )
    parser.add_argument("--version", action="version", version=f"partyline {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser(
        "up",
        help="run both nodes until Ctrl-C",
        description="Run the MCP node and the WebSocket node. One that dies is started again"
        " after 0.5 s, then 1 s, up to 30 s; one that refuses its configuration stops both, with"
        " exit code 2. Ctrl-C or SIGTERM stops both within 5 s.",
    )
    token = commands.add_parser(
        "token",
        help="make a token for an agent",
        description="Make a token for an agent, signed with the key in the data directory. The\n"
        "token is the last line of standard output; everything else goes to standard error.",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # the example stays one line
        epilog='example: export PARTYLINE_TOKEN="$(%(prog)s --agent claude --type claude'
        ' --scopes read,write | tail -n 1)"',
    )
    token.add_argument("--agent", required=True, metavar="NAME", help="the agent's id")
    token.add_argument("--type", required=True, metavar="TYPE", help="its kind, such as claude")
    token.add_argument(
        "--scopes", required=True, metavar="LIST", help="of read, write, admin, with commas"
    )
    token.add_argument(
        "--sessions", metavar="LIST", help="session ids it may enter, with commas (default: all)"
    )
    token.add_argument(
        "--expires", default="30d", metavar="TIME", help="such as 90s, 15m, 12h, 30d (default: 30d)"
    )
    watch = commands.add_parser(
        "watch",
        help="print a session's events as they come",
        description="Print a session's events, one JSON text a line, until Ctrl-C. After a"
        " restart of a node it goes on where it was. The token is read from PARTYLINE_TOKEN.",
    )
    watch.add_argument("session_id", metavar="SESSION", help="the session's id")
    watch.add_argument(
        "--since", type=int, metavar="ID", help="start after this message (0: from the beginning)"
    )
    backup = commands.add_parser(
        "backup",
        help="copy the log to a file",
        description="Copy the log to a new file, complete as of one moment. The nodes may run.",
    )
    backup.add_argument("file", type=Path, metavar="FILE", help="a file that does not exist yet")
    restore = commands.add_parser(
        "restore",
        help="put a backup in the log's place",
        description="Put a backup in the log's place. mcp_node must not be running. The log gets"
        " a new epoch, so that viewers reload; the one before is kept beside it.",
    )
    restore.add_argument("file", type=Path, metavar="FILE", help="made by partyline backup")
    revoke = commands.add_parser(
        "revoke",
        help="take tokens and links back",
        description="Take one token back, every token an agent has been issued until now (both"
        " with the links minted with them), or a link with the tokens it gave. They are refused at"
        " once; open connections end within 3 s. mcp_node must be running.",
    )
    which = revoke.add_mutually_exclusive_group(required=True)
    which.add_argument("--agent", metavar="NAME", help="all of this agent's tokens")
    which.add_argument("--token", metavar="ID", help="the id partyline token printed")
    which.add_argument("--link", metavar="ID", help="the id partyline links lists")
    commands.add_parser(
        "login",
        help="print a one-time link to the page",
        description="Print a link by which the operator enters the page, with every right. It"
        " works once, within 10 minutes, and is the last line of standard output; mcp_node must be"
        " running.",
    )
    commands.add_parser(
        "links",
        help="list the links people come by",
        description="List the links that work, and those that ended in the last 7 days, newest"
        " first, without their codes. mcp_node must be running.",
    )
    prune_ = commands.add_parser(
        "prune",
        help="delete old messages for good",
        description="Delete the messages of every session that are older than TIME, for good. Of a"
        " session's last one only the texts go. Nothing is deleted without this command. mcp_node"
        " must be running.",
    )
    prune_.add_argument(
        "--older-than", required=True, metavar="TIME", help="such as 12h, 30d, at most 3650d"
    )
    prune_.add_argument(
        "--dry-run", action="store_true", help="only say how many messages would be deleted"
    )
    keys_ = commands.add_parser(
        "keys",
        help="show or edit whom a bridge over tcp lets in",
        description="Show the public keys of this machine's nodes and whom they let in, or change"
        " that. Only a bridge over tcp needs it, and only between machines: docs/operations.md.",
    )
    edit = keys_.add_mutually_exclusive_group()
    edit.add_argument("--allow", metavar="KEY", help="let the mcp_node with this key send here")
    edit.add_argument("--remove", metavar="KEY", help="let it no more; heeded at once")
    edit.add_argument(
        "--server", metavar="KEY", help="the ws_node to send to, from mcp_node's next start on"
    )
    return parser


def _typed(started: str) -> str:
    """The command as it can be typed again: without its directory if that is on PATH.

    Args:
        started: what this process was started with, a path.
    """
    if started.endswith(".py"):  # as a module
        return "partyline"
    found = shutil.which("partyline")
    on_path = found is not None and Path(found).absolute() == Path(started).absolute()
    return "partyline" if on_path else started


def _version() -> str:
    try:
        return version("partyline")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
