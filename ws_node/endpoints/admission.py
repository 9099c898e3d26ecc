"""The checks at the start of every viewer's connection: token, session, and parameters.

They are the same for WebSockets and event streams; each answers a refusal in its own way.
"""

from typing import Any, Final
from urllib.parse import parse_qs

from proto.errors import Forbidden, InvalidInput
from proto.messages import Principal
from proto.names import check_name
from serving.http.identity import Identity
from ws_node.endpoints.commands import check_position
from ws_node.log.catch_up import Subscribe

TOKEN_PREFIX: Final = "bearer."


def admit(scope: Any, identity: Identity) -> Principal:
    """The principal of a viewer that connects.

    Args:
        scope: of the request; browsers send their token as a WebSocket subprotocol.
        identity: verifies tokens.

    Raises:
        Unauthenticated: the token is missing or not valid.
        Forbidden: the token lacks the scope ``read``.
        Unavailable: the token came by a link and mcp_node was not reached yet, so it is not known
            whether it was revoked.
    """
    tokens = [
        offer.removeprefix(TOKEN_PREFIX)
        for offer in scope.get("subprotocols", ())
        if offer.startswith(TOKEN_PREFIX)
    ]
    principal = identity.from_headers(scope["headers"], tokens[0] if len(tokens) == 1 else None)
    if "read" not in principal.scopes:
        raise Forbidden("This needs a token with the scope read.")
    return principal


def check_session(principal: Principal, session_id: Any) -> str:
    """Check that a principal may watch a session; returns the session's id.

    Raises:
        InvalidInput: the id is not well formed.
        Forbidden: the principal's token does not cover the session.
    """
    name = check_name(session_id, "session_id")
    if not principal.may_enter(name):
        raise Forbidden("This token does not cover that session.")
    return name


def command_of(session_id: str, query: bytes) -> Subscribe | None:
    """The command that a query holds, ``since=ID[&epoch=E]``; None without a position.

    Raises:
        InvalidInput: a parameter is malformed or given twice.
    """
    fields = _fields(query)
    since, epoch = fields.get("since", []), fields.get("epoch", [])
    if not since and not epoch:
        return None
    if len(since) != 1 or len(epoch) > 1:
        raise InvalidInput("since and epoch may be given once.")
    return Subscribe(session_id, *check_position(number(since[0]), epoch[0] if epoch else None))


def presence_of(query: bytes) -> bool:
    """Whether a query asks for presence frames: ``presence=1``.

    Raises:
        InvalidInput: the parameter is neither 0 nor 1, or given twice.
    """
    values = _fields(query).get("presence", ["0"])
    if values not in (["0"], ["1"]):
        raise InvalidInput("presence is 0 or 1.")
    return values == ["1"]


def _fields(query: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=32)
    except ValueError:
        raise InvalidInput("There are too many parameters.") from None


def number(text: str) -> int:
    """Parse a position; malformed text becomes -1, which `check_position` refuses."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 17 else -1
