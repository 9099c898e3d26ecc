"""Tokens (JWT, EdDSA) that prove who a principal is.

Claims, all required except ``tools``:

=========  ======================================================================
claim      meaning
=========  ======================================================================
iss, aud   ``partyline``
sub        agent_id: a free name; ``human`` (login link), ``guest:<link id>`` (live link)
agent_type a free name; ``human`` or ``guest`` for the other two
scope      space-separated, of ``read``, ``write``, ``admin``
sessions   list of session ids, or ``"*"`` for all; ``[]`` is none
iat, exp   seconds of Unix time
jti        id of the token, a name
tools      list of sets of MCP tools that it is shown, from `proto.toolsets`; no rights
=========  ======================================================================
"""

import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proto.errors import InvalidInput, Unauthenticated
from proto.messages import GUEST, HUMAN, Principal
from proto.names import GUEST_PREFIX, check_free_name, check_name, is_name
from proto.toolsets import TOOLSETS_RULE, toolsets_of

ISSUER: Final = "partyline"
SCOPES: Final = frozenset({"read", "write", "admin"})

MAX_TOKEN_CHARS: Final = 8_192
_REQUIRED: Final = ["iss", "aud", "sub", "agent_type", "scope", "sessions", "iat", "exp", "jti"]
_REFUSED: Final = "The token is not valid."

_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
"""Base64 decoders skip foreign characters: without this, a token would have many spellings."""


def sign_principal(
    key: Ed25519PrivateKey,
    *,
    agent_id: str,
    agent_type: str,
    scopes: Iterable[str],
    sessions: Iterable[str] | None,
    lifetime_seconds: int,
    toolsets: Iterable[str] | None = None,
) -> str:
    """A token for an agent.

    Args:
        key: mcp_node's signing key.
        agent_id: a free name (not reserved).
        agent_type: a free name.
        scopes: at least one of `SCOPES`.
        sessions: the sessions that it may enter; None for all.
        lifetime_seconds: until it expires, at least 1.
        toolsets: the sets of MCP tools that it is shown; None for the node's default.

    Raises:
        InvalidInput: an argument is out of its bounds, or the token would be longer than
            `MAX_TOKEN_CHARS`.
    """
    chosen = sorted(set(scopes))
    if not chosen or not set(chosen) <= SCOPES:
        raise InvalidInput("scopes must be one or more of read, write, admin.")
    if lifetime_seconds < 1:
        raise InvalidInput("the lifetime must be at least one second.")
    now = int(time.time())
    claims: dict[str, Any] = {
        "sub": check_free_name(agent_id, "agent_id"),
        "agent_type": check_free_name(agent_type, "agent_type"),
        "scope": " ".join(chosen),
        "sessions": "*" if sessions is None else [check_name(s, "session_id") for s in sessions],
        "iat": now,
        "exp": now + lifetime_seconds,
        "jti": new_token_id(),
    }
    if toolsets is not None:
        chosen_tools = toolsets_of(toolsets)
        if chosen_tools is None:
            raise InvalidInput(f"tools {TOOLSETS_RULE}")
        claims["tools"] = sorted(chosen_tools)
    token = _sign(key, claims)
    if len(token) > MAX_TOKEN_CHARS:
        raise InvalidInput("there are too many sessions for one token.")
    return token


def sign_guest(
    key: Ed25519PrivateKey,
    *,
    link_id: str,
    session_id: str,
    may_write: bool,
    times: tuple[int, int],
    token_id: str,
) -> str:
    """A token for a person who comes by a live link.

    Args:
        key: mcp_node's signing key.
        link_id: the link's, a name.
        session_id: the only session that it may enter.
        may_write: whether it may write as well as read.
        times: issued at and expires at, in seconds of Unix time.
        token_id: from `new_token_id`.
    """
    claims = {
        "sub": GUEST_PREFIX + check_name(link_id, "link_id"),
        "agent_type": GUEST,
        "scope": "read write" if may_write else "read",
        "sessions": [check_name(session_id, "session_id")],
        "iat": times[0],
        "exp": times[1],
        "jti": token_id,
    }
    return _sign(key, claims)


def sign_human(key: Ed25519PrivateKey, *, times: tuple[int, int], token_id: str) -> str:
    """A token for the operator, who comes by a login link; arguments as in `sign_guest`."""
    claims = {
        "sub": HUMAN,
        "agent_type": HUMAN,
        "scope": " ".join(sorted(SCOPES)),
        "sessions": "*",
        "iat": times[0],
        "exp": times[1],
        "jti": token_id,
    }
    return _sign(key, claims)


def new_token_id() -> str:
    """A new random token id."""
    return secrets.token_hex(16)


def _sign(key: Ed25519PrivateKey, claims: dict[str, Any]) -> str:
    return jwt.encode({"iss": ISSUER, "aud": ISSUER, **claims}, key, algorithm="EdDSA")


class PrincipalVerifier:
    """Verifies tokens with the public key, and caches the last ``remember`` verified ones.

    A verification takes about 0.1 ms, and an agent sends the same token with every call. The
    expiry of a cached token is checked each time. Not thread-safe.
    """

    def __init__(self, public_key_pem: bytes, *, remember: int = 4_096) -> None:
        self._key = public_key_pem
        self._remember = remember
        self._verified: OrderedDict[str, Principal] = OrderedDict()

    def verify(self, token: str) -> Principal:
        """The principal a token speaks for.

        Raises:
            Unauthenticated: it is malformed, of another issuer, audience or key, lacks a claim,
                has a malformed claim, or has expired.
        """
        principal = self._verified.get(token)
        if principal is None:
            principal = self._verify(token)
            self._verified[token] = principal
            if len(self._verified) > self._remember:
                self._verified.popitem(last=False)
        if principal.expires_at is None or principal.expires_at <= time.time():
            self._verified.pop(token, None)
            raise Unauthenticated("The token has expired.")
        return principal

    def _verify(self, token: str) -> Principal:
        return _principal(_claims(token, self._key))


def _claims(token: str, key: bytes) -> dict[str, Any]:
    """The claims of a token, after checking signature, issuer, expiry and `_REQUIRED`."""
    if len(token) > MAX_TOKEN_CHARS or not _FORM.fullmatch(token):
        raise Unauthenticated(_REFUSED)
    try:
        return jwt.decode(
            token,
            key,
            algorithms=["EdDSA"],
            audience=ISSUER,
            issuer=ISSUER,
            options={"require": _REQUIRED},
        )
    except jwt.ExpiredSignatureError:
        raise Unauthenticated("The token has expired.") from None
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        raise Unauthenticated(_REFUSED) from None


def _principal(claims: dict[str, Any]) -> Principal:
    scopes = claims["scope"].split() if isinstance(claims["scope"], str) else []
    sessions = claims["sessions"]
    allowed = None if sessions == "*" else sessions
    tools = claims.get("tools")
    toolsets = toolsets_of(tools) if isinstance(tools, list) else None
    well_formed = (
        is_name(claims["jti"])
        and bool(scopes)
        and set(scopes) <= SCOPES
        and (allowed is None or (isinstance(allowed, list) and all(map(is_name, allowed))))
        and (toolsets is not None or "tools" not in claims)
        and _may_be(claims["sub"], claims["agent_type"], set(scopes), allowed)
    )
    if not well_formed:
        raise Unauthenticated(_REFUSED)
    return Principal(
        agent_id=claims["sub"],
        agent_type=claims["agent_type"],
        scopes=frozenset(scopes),
        sessions=None if allowed is None else frozenset(allowed),
        expires_at=int(claims["exp"]),
        token_id=claims["jti"],
        issued_at=int(claims["iat"]),
        toolsets=toolsets,
    )


def _may_be(agent_id: Any, agent_type: Any, scopes: set[str], sessions: Any) -> bool:
    """Whether the claims fit together: an agent with free names, the operator, or a guest."""
    if agent_type == HUMAN:
        return bool(agent_id == HUMAN)
    if agent_type == GUEST:
        return (
            isinstance(agent_id, str)
            and agent_id.startswith(GUEST_PREFIX)
            and is_name(agent_id.removeprefix(GUEST_PREFIX))
            and scopes <= {"read", "write"}
            and sessions is not None
            and len(sessions) == 1
        )
    try:
        check_free_name(agent_id, "sub")
        check_free_name(agent_type, "agent_type")
    except InvalidInput:
        return False
    return True
