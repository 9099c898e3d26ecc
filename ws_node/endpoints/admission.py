"""Who may watch what: the check at the start of every viewer's connection, as values.

The same for WebSocket and event stream; each says no in its own way.
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
    """The principal of a connection that wants to watch.

    Args:
        scope: of the request; a browser's token comes as a WebSocket subprotocol.
        identity: knows tokens.

    Raises:
        Unauthenticated: no token, or not a valid one.
        Forbidden: a token without the scope ``read``.
        Unavailable: a token that came by a link, before mcp_node was reached.
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
    """The id of a session the principal may watch.

    Raises:
        InvalidInput: it is not well formed.
        Forbidden: the principal's token does not cover it.
    """
    name = check_name(session_id, "session_id")
    if not principal.may_enter(name):
        raise Forbidden("This token does not cover that session.")
    return name


def command_of(session_id: str, query: bytes) -> Subscribe | None:
    """The position in an address, ``?since=ID[&epoch=E]``; None without one.

    Raises:
        InvalidInput: it is malformed or given twice.
    """
    fields = _fields(query)
    since, epoch = fields.get("since", []), fields.get("epoch", [])
    if not since and not epoch:
        return None
    if len(since) != 1 or len(epoch) > 1:
        raise InvalidInput("since and epoch may be given once.")
    return Subscribe(session_id, *check_position(number(since[0]), epoch[0] if epoch else None))


def presence_of(query: bytes) -> bool:
    """Whether an address asks to be told who is there: ``?presence=1``.

    Raises:
        InvalidInput: it is neither 0 nor 1, or given twice.
    """
    said = _fields(query).get("presence", ["0"])
    if said not in (["0"], ["1"]):
        raise InvalidInput("presence is 0 or 1.")
    return said == ["1"]


def _fields(query: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=32)
    except ValueError:
        raise InvalidInput("There are too many parameters.") from None


def number(text: str) -> int:
    """A position as text; one that is none becomes -1, which `check_position` refuses."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 17 else -1
