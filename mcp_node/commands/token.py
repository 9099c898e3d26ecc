"""``partyline token``: makes a token, signed with the key in the data directory."""

import time
from datetime import UTC, datetime
from typing import NamedTuple

import jwt

from mcp_node.sessions.durations import duration_seconds
from proto.errors import InvalidInput
from proto.keyfile import open_data_dir, open_key_dir, signing_key
from proto.settings import Settings
from proto.tokens import sign_principal


class TokenRequest(NamedTuple):
    """The command's arguments. ``scopes``, ``sessions`` and ``tools`` are comma-separated lists."""

    agent: str
    type: str
    scopes: str
    sessions: str | None
    expires: str
    tools: str | None = None


def make_token(settings: Settings, request: TokenRequest) -> tuple[str, str]:
    """Make a token; return it, and an explanation to print that does not contain it.

    Raises:
        InvalidInput: a name, scope, session, tool set or lifetime is malformed or out of bounds.
        ConfigurationError: the data directory or the key cannot be used.
    """
    seconds = duration_seconds(request.expires, "--expires")
    scopes = _listed(request.scopes, "--scopes")
    sessions = None if request.sessions is None else _listed(request.sessions, "--sessions")
    toolsets = None if request.tools is None else _listed(request.tools, "--tools")
    token = sign_principal(
        signing_key(open_key_dir(open_data_dir(settings.data_dir), settings.key_dir)),
        agent_id=request.agent,
        agent_type=request.type,
        scopes=scopes,
        sessions=sessions,
        lifetime_seconds=seconds,
        toolsets=toolsets,
    )
    until = datetime.fromtimestamp(time.time() + seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    where = ", ".join(sessions) if sessions else "every session"
    explanation = (
        f"Token {token_id(token)} of {request.agent} (type {request.type}): may"
        f" {', '.join(scopes)} in {where}, until {until}.\n"
        "Whoever has it speaks as that agent. It is the last line of standard output, and not"
        " stored."
    )
    return token, explanation


def token_id(token: str) -> str:
    """The id of a token we have just signed, for ``partyline revoke --token``."""
    return str(jwt.decode(token, options={"verify_signature": False})["jti"])


def _listed(text: str, option: str) -> list[str]:
    """Split a comma-separated list. An empty list is a mistake, and means neither all nor none."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise InvalidInput(f"{option} must name at least one.", "Correct it and try again.")
    return parts
