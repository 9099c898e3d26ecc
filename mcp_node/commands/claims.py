"""``partyline claims … check``: whether somebody else has claimed files; for a git hook."""

import os
import sys
from collections.abc import Sequence
from typing import Any, Final, TextIO
from urllib.parse import quote

import httpx

from mcp_node.commands.watch import own_token, printable
from mcp_node.coordination.overlap import normalized, overlap
from proto.errors import ConfigurationError, InvalidInput
from proto.names import check_name
from proto.settings import Settings
from serving.process.address import with_ports

ANSWER_SECONDS: Final = 5.0


def check_claims(
    settings: Settings, session_id: str, files: Sequence[str], out: TextIO = sys.stderr
) -> bool:
    """Whether nobody else has claimed the files; prints what is claimed.

    Args:
        settings: the address of mcp_node.
        session_id: the session.
        files: paths, relative to the current directory, which is the top folder of the claims.
        out: where it is printed who has what until when.

    Raises:
        ConfigurationError: mcp_node does not answer, or refuses.
        InvalidInput: a file is not below the current directory.
    """
    paths = [_path(file) for file in files]
    others = [one for one in _claims(settings, session_id) if not one["mine"]]
    taken = False
    for file, path in zip(files, paths, strict=True):
        for one in others:
            if name := next((name for name in one["names"] if overlap(path, name)), None):
                taken = True
                about = f" ({one['note']})" if one.get("note") else ""
                line = f"{file}: {one['holder']} has {name} until {one['until']}{about}"
                print(f"partyline: {printable(line)}", file=out)
    return not taken


def _path(file: str) -> str:
    path = os.path.relpath(file) if os.path.isabs(file) else os.path.normpath(file)
    if path.startswith(".."):
        raise InvalidInput(
            "A file is not below the current directory.", "Run it in the top folder."
        )
    return normalized(path)


def _claims(settings: Settings, session_id: str) -> list[dict[str, Any]]:
    name = check_name(session_id, "session_id")
    token = own_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{with_ports(settings).mcp_address}/api/sessions/{quote(name)}/claims"
    try:
        answer = httpx.get(url, headers=headers, timeout=ANSWER_SECONDS, trust_env=False)
        body = answer.json()
        if answer.is_success:
            return list(body["claims"])
        problem = str(body["error"]["message"])
    except httpx.HTTPError as error:
        raise ConfigurationError(f"mcp_node does not answer: {type(error).__name__}") from None
    except (ValueError, KeyError, TypeError):
        problem = "its answer cannot be read"
    raise ConfigurationError(f"mcp_node refused: {printable(problem)}")
