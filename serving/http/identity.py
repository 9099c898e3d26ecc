"""Authentication: a principal from the headers of a request, the same for every door."""

import re
import time
from collections.abc import Iterable
from typing import Any, Final

from proto.errors import InvalidInput, Unauthenticated, Unavailable
from proto.hosts import is_loopback
from proto.messages import ANONYMOUS, Principal
from proto.names import check_free_name
from proto.revocations import Revocations
from proto.tokens import PrincipalVerifier

Headers = Iterable[tuple[bytes, bytes]]

AGENT_HEADER: Final = b"x-partyline-agent"
AGENT_TYPE_HEADER: Final = b"x-partyline-agent-type"

_BEARER: Final = re.compile(
    r"(?i:bearer) +([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)[ \t]*", re.ASCII
)
"""A token is ASCII, and only spaces and tabs around it are ignored. `str.strip` would also remove
U+00A0 and others: one token would have several spellings, on some of which parsers fail. Spaces
inside are allowed for PARTYLINE_BROADCAST_TOKEN, which the operator chooses."""

NOBODY: Final = Principal(ANONYMOUS, ANONYMOUS, frozenset({"read", "write"}))
"""A caller that gives no name, with ``PARTYLINE_AUTH=off``."""


def header_values(headers: Headers, name: bytes) -> list[str]:
    """The values of a header; ``name`` must be lower case."""
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def bearer_token(headers: Headers) -> str | None:
    """The token of the Authorization header; None if there is no such header.

    Raises:
        Unauthenticated: the header is repeated, or is not ``Bearer <token>``.
    """
    values = header_values(headers, b"authorization")
    if not values:
        return None
    found = _BEARER.fullmatch(values[0])
    if len(values) > 1 or found is None:
        raise Unauthenticated("The Authorization header must be: Bearer <token>.")
    return found[1]


def from_loopback(scope: Any) -> bool:
    """Whether the caller is this machine: by the socket's peer, and not through a proxy."""
    client = scope.get("client")
    if not client or not is_loopback(client[0]):
        return False
    names = (key.lower() for key, _ in scope["headers"])
    return not any(name == b"forwarded" or name.startswith(b"x-forwarded-") for name in names)


class Identity:
    """Maps tokens to principals; with ``PARTYLINE_AUTH=off`` also names in headers.

    Args:
        verifier: of tokens.
        auth_off: whether callers without a token are accepted, unverified.

    Attributes:
        revocations: the revoked tokens; the node keeps them up to date.
    """

    def __init__(self, verifier: PrincipalVerifier, *, auth_off: bool) -> None:
        self._verifier = verifier
        self.auth_off = auth_off
        self.revocations = Revocations()

    def from_token(self, token: str) -> Principal:
        """The principal of a token.

        Raises:
            Unauthenticated: it is not valid, or was revoked.
            Unavailable: it is of a link, and the revocations made before this process started
                are not known yet.
        """
        principal = self._verifier.verify(token)
        if self.revocations.cover(principal):
            raise Unauthenticated("The token was revoked.")
        if principal.by_link and not self.revocations.complete:
            raise Unavailable(
                "mcp_node was not reached yet: it is unknown whether this link is still valid."
            )
        return principal

    def is_valid(self, principal: Principal) -> bool:
        """Whether a principal's token has not expired or been revoked since it was verified."""
        expires_at = principal.expires_at
        expired = expires_at is not None and expires_at <= time.time()
        return not expired and not self.revocations.cover(principal)

    def from_headers(self, headers: Headers, token: str | None = None) -> Principal:
        """The principal of a request.

        Args:
            headers: of the request.
            token: one that came another way (a WebSocket subprotocol); the Authorization header
                takes precedence.

        Raises:
            Unauthenticated: a token is required and missing, or is not valid.
            Unavailable: as `from_token`.
        """
        presented = bearer_token(headers) or token
        if presented is not None:
            return self.from_token(presented)
        if not self.auth_off:
            raise Unauthenticated("A bearer token is needed.")
        return _named(headers)


def _named(headers: Headers) -> Principal:
    """``PARTYLINE_AUTH=off``: the name that the caller claims; never an admin."""
    names = header_values(headers, AGENT_HEADER)
    if not names:
        return NOBODY
    types = header_values(headers, AGENT_TYPE_HEADER) or ["agent"]
    try:
        agent_id = check_free_name(names[0], "X-Partyline-Agent")
        agent_type = check_free_name(types[0], "X-Partyline-Agent-Type")
    except InvalidInput as error:
        raise Unauthenticated(error.message) from None
    return Principal(agent_id, agent_type, frozenset({"read", "write"}))
