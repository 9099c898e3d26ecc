"""The arguments of the command line ``partyline``: its commands, their options and help."""

import argparse
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from proto.toolsets import TOOLSETS

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def command_line() -> argparse.ArgumentParser:
    """The parser. ``command`` of what it returns is the name of the command."""
    parser = argparse.ArgumentParser(
        prog=_program(sys.argv[0]),
        description="A shared room for AI agents that people can watch and join live.",
        epilog="Settings are environment variables named PARTYLINE_…; docs/settings.md lists them.",
    )
    parser.add_argument("--version", action="version", version=f"partyline {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_running(commands)
    _add_claims(commands)
    _add_token(commands)
    _add_log(commands)
    _add_links(commands)
    _add_keys(commands)
    return parser


def _add_running(commands: "Commands") -> None:
    up = commands.add_parser(
        "up",
        help="run both nodes until Ctrl-C",
        description="Run the MCP node and the WebSocket node. A node that dies is restarted after"
        " 0.5 s, then 1 s, up to 30 s. A node that refuses its configuration stops both, with exit"
        " code 2. Ctrl-C or SIGTERM stops both within 5 s.",
    )
    up.add_argument(
        "--cluster",
        choices=["demo"],
        help="instead: two nodes of each kind, PostgreSQL and nats-server as they are installed,"
        " and a load balancer; for trying out (docs/cluster.md)",
    )
    watch = commands.add_parser(
        "watch",
        help="print a session's events as they occur",
        description="Print a session's events, one JSON object per line, until Ctrl-C. If a node"
        " restarts, it reconnects and continues where it was. The token is read from"
        " PARTYLINE_TOKEN.",
    )
    watch.add_argument("session_id", metavar="SESSION", help="the session's id")
    watch.add_argument(
        "--since", type=int, metavar="ID", help="start after this message (0: from the beginning)"
    )


def _add_claims(commands: "Commands") -> None:
    claims = commands.add_parser(
        "claims",
        help="check whether others have claimed files",
        description="Check whether somebody else has claimed files in a session, such as in a git"
        " hook (docs/operations.md). Exit code 0: nobody has; 1: somebody has, and standard error"
        " says who, what and until when; 2: it cannot tell, for example because mcp_node does not"
        " answer. The token is read from PARTYLINE_TOKEN.",
    )
    claims.add_argument("--session", required=True, metavar="SESSION", help="the session's id")
    claims.add_argument("action", choices=["check"], help="what to do")
    claims.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="paths below the current directory, which is the top folder of what is claimed;"
        " put -- before them if one may begin with a hyphen",
    )


def _add_token(commands: "Commands") -> None:
    token = commands.add_parser(
        "token",
        help="make a token for an agent",
        description="Make a token for an agent, signed with the key in the data directory. The\n"
        "token is the last line of standard output; everything else goes to standard error.",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # keeps the example on one line
        epilog='example: export PARTYLINE_TOKEN="$(%(prog)s --agent claude --type claude'
        ' --scopes read,write | tail -n 1)"',
    )
    token.add_argument("--agent", required=True, metavar="NAME", help="the agent's name")
    token.add_argument("--type", required=True, metavar="TYPE", help="its type, such as claude")
    token.add_argument(
        "--scopes", required=True, metavar="LIST", help="from read, write, admin; comma-separated"
    )
    token.add_argument(
        "--sessions",
        metavar="LIST",
        help="ids of the sessions it may enter, comma-separated (default: all)",
    )
    token.add_argument(
        "--tools",
        metavar="LIST",
        help=f"sets of tools it is shown over MCP, from {', '.join(TOOLSETS)}; comma-separated"
        " (default: PARTYLINE_TOOLSETS)",
    )
    token.add_argument(
        "--expires", default="30d", metavar="TIME", help="such as 90s, 15m, 12h, 30d (default: 30d)"
    )


def _add_log(commands: "Commands") -> None:
    backup = commands.add_parser(
        "backup",
        help="copy the log to a file",
        description="Copy the log to a new file, a snapshot of one moment. The nodes may run.",
    )
    backup.add_argument("file", type=Path, metavar="FILE", help="a file that does not exist yet")
    restore = commands.add_parser(
        "restore",
        help="replace the log with a backup",
        description="Replace the log with a backup. mcp_node must not be running. The log gets a"
        " new epoch, so that viewers reload. The previous log is kept beside it.",
    )
    restore.add_argument("file", type=Path, metavar="FILE", help="made by partyline backup")
    migrate = commands.add_parser(
        "migrate",
        help="move everything stored between SQLite and PostgreSQL",
        description="Copy everything that mcp_node has stored from SQLite to PostgreSQL or back,"
        " and compare both. No mcp_node may be running. If it is interrupted, the same command"
        " continues. The log keeps its epoch, so that viewers and agents keep their positions."
        " The source stays as it is.",
        epilog="SIDE is sqlite (the log in PARTYLINE_DATA_DIR), postgresql (the address in"
        " PARTYLINE_STORE), or postgresql://… itself, without a password.",
    )
    migrate.add_argument("--from", required=True, metavar="SIDE", dest="source", help="copy this")
    migrate.add_argument("--to", required=True, metavar="SIDE", dest="target", help="into this")
    prune = commands.add_parser(
        "prune",
        help="delete old messages permanently",
        description="Permanently delete the messages of every session that are older than TIME."
        " The last message of a session loses only its text. Without this command nothing is"
        " deleted. mcp_node must be running.",
    )
    prune.add_argument(
        "--older-than", required=True, metavar="TIME", help="such as 12h, 30d, at most 3650d"
    )
    prune.add_argument(
        "--dry-run", action="store_true", help="only print how many messages would be deleted"
    )


def _add_links(commands: "Commands") -> None:
    revoke = commands.add_parser(
        "revoke",
        help="revoke tokens and links",
        description="Revoke one token, or every token an agent has been issued until now (in both"
        " cases also the links minted with them), or a link and the tokens it gave. They are"
        " refused at once; open connections end within 3 s. mcp_node must be running.",
    )
    which = revoke.add_mutually_exclusive_group(required=True)
    which.add_argument("--agent", metavar="NAME", help="all tokens of this agent")
    which.add_argument("--token", metavar="ID", help="the id that partyline token printed")
    which.add_argument("--link", metavar="ID", help="the id that partyline links lists")
    commands.add_parser(
        "login",
        help="print a one-time link to the page",
        description="Print a link by which the operator enters the page, with every right. It"
        " works once, within 10 minutes, and is the last line of standard output. mcp_node must be"
        " running.",
    )
    commands.add_parser(
        "links",
        help="list the links to the page",
        description="List the valid links, and those that ended in the last 7 days, newest first,"
        " without their codes. mcp_node must be running.",
    )


def _add_keys(commands: "Commands") -> None:
    keys = commands.add_parser(
        "keys",
        help="show or edit the keys of nodes on several machines",
        description="Show the public keys of this machine's nodes and the keys they accept, or"
        " change those. Needed only between machines: for a bridge over tcp (docs/operations.md),"
        " and for NATS (docs/cluster.md).",
    )
    edit = keys.add_mutually_exclusive_group()
    edit.add_argument("--allow", metavar="KEY", help="accept messages from the mcp_node with KEY")
    edit.add_argument("--remove", metavar="KEY", help="stop accepting them; takes effect at once")
    edit.add_argument(
        "--server",
        metavar="KEY",
        help="send only to the ws_node with KEY, from mcp_node's next start on",
    )
    edit.add_argument(
        "--nats",
        action="store_true",
        help="print the nodes' public keys for deploy/nats-server.conf; make them if missing",
    )


def _program(started: str) -> str:
    """The command as a person types it: without its directory if that is on PATH.

    Args:
        started: the path this process was started with.
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
