"""The command line ``partyline``: calls the command, and turns errors into exit codes.

====  ==============================================
code  meaning
====  ==============================================
0     success, or stopped by Ctrl-C or a signal
1     standard output was closed; ``claims``: somebody else has claimed a file
2     the command line or the configuration is wrong
====  ==============================================
"""

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from mcp_node.commands.arguments import command_line
from mcp_node.commands.backup import make_backup, restore_backup
from mcp_node.commands.claims import check_claims
from mcp_node.commands.cluster.demo import demo
from mcp_node.commands.keys import keys
from mcp_node.commands.links import links, login
from mcp_node.commands.migrate import migrate
from mcp_node.commands.prune import prune
from mcp_node.commands.revoke import revoke
from mcp_node.commands.token import TokenRequest, make_token
from mcp_node.commands.up import up
from mcp_node.commands.watch import Watch
from proto.errors import ConfigurationError, InvalidInput
from proto.settings import load_settings
from serving.process.address import with_ports


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    os.umask(0o077)  # files that commands create are private
    chosen = command_line().parse_args(arguments)
    try:
        return _COMMANDS[chosen.command](chosen)
    except (ConfigurationError, InvalidInput) as error:
        print(f"partyline: {error}", file=sys.stderr)
        return 2


def _up(chosen: argparse.Namespace) -> int:
    run = demo if chosen.cluster else up
    return asyncio.run(run(load_settings(), Path(sys.argv[0])))


def _token(chosen: argparse.Namespace) -> int:
    request = TokenRequest(
        chosen.agent, chosen.type, chosen.scopes, chosen.sessions, chosen.expires, chosen.tools
    )
    token, explanation = make_token(load_settings(), request)
    print(explanation, file=sys.stderr, flush=True)
    print(token, flush=True)
    return 0


def _watch(chosen: argparse.Namespace) -> int:
    with contextlib.suppress(KeyboardInterrupt):
        Watch(load_settings(), chosen.session_id, chosen.since).run()
    return 0


def _claims(chosen: argparse.Namespace) -> int:
    return 0 if check_claims(load_settings(), chosen.session, chosen.files) else 1


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


def _migrate(chosen: argparse.Namespace) -> int:
    migrate(load_settings(), source=chosen.source, target=chosen.target, say=_say)
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def _keys(chosen: argparse.Namespace) -> int:
    wish = {name: getattr(chosen, name) for name in ("allow", "remove", "server", "nats")}
    print(keys(load_settings(), **wish))
    return 0


_COMMANDS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "up": _up,
    "token": _token,
    "watch": _watch,
    "claims": _claims,
    "backup": _backup,
    "restore": _restore,
    "revoke": _revoke,
    "migrate": _migrate,
    "prune": _prune,
    "login": _login,
    "links": _links,
    "keys": _keys,
}


if __name__ == "__main__":
    sys.exit(main())
