"""``POST /broadcast/{session_id}``: external events, from any program on this machine.

External events are ephemeral and marked ``"origin": "external"``. The server builds their frame
from ``type`` and ``data`` of the body. Only the HTTP bridge posts durable events: it uses
``ws.sock``, or signs its requests (`ws_node.intake.http_bridge`).
"""

import asyncio
import hmac
from collections.abc import Callable
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field

from proto import strictjson
from proto.errors import (
    Forbidden,
    InvalidInput,
    Overloaded,
    PartylineError,
    RateLimited,
    Unauthenticated,
)
from proto.frames import RESERVED_TYPES
from proto.names import NAME_PATTERN, check_name
from proto.rate import Buckets
from proto.settings import Settings
from proto.wire import BROADCAST_PREFIX, EPOCH_HEADER, Event
from serving.http.asgi import Scope, Send, respond
from serving.http.bodies import check_media_type, read_body
from serving.http.identity import bearer_token, from_loopback, header_values
from serving.http.problems import send_problem
from serving.peers.local import is_peer
from ws_node.intake.external import MAX_TYPE_CHARS, external_event
from ws_node.intake.http_bridge import durable_event
from ws_node.rooms.event_queue import EventQueue

MAX_VALUES: Final = 10_000
"""Most JSON values in an event. Parsing blocks the event loop: with this limit for about 10 ms."""

COST_BYTES: Final = 16_384
"""The rate limit counts an event once, and once more for each so many bytes of it."""

ALL: Final = 4
"""The rate of all addresses together, in multiples of the rate of one."""

_encode: Final = msgspec.json.Encoder().encode


class BroadcastBody(BaseModel):
    """An event for the viewers of a session."""

    type: str = Field(
        max_length=MAX_TYPE_CHARS,
        description="Kind of event. Not one of the protocol's own: "
        + ", ".join(sorted(RESERVED_TYPES)),
        examples=["new_message"],
    )
    data: dict[str, Any] = Field(
        description="Any object; `visibility` in it narrows who sees the event. A `new_message` has"
        " `content`, and the other fields below with these types or not at all.",
        examples=[
            {
                "id": 1,
                "sender": "a",
                "sender_type": "claude",
                "content": "hello",
                "visibility": "public",
                "timestamp": "2026-11-23T21:30:00.000000Z",
                "metadata": {},
            }
        ],
    )


class BroadcastDone(BaseModel):
    """The event was accepted."""

    success: bool = True
    session_id: str


class BroadcastFailed(BaseModel):
    """The event was refused."""

    success: bool = False
    error: str


_PASSING: Final = frozenset({RateLimited.status, Overloaded.status})

_FAILURES: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": BroadcastFailed, "description": "The token is missing or wrong."},
    403: {"model": BroadcastFailed, "description": "Not from this machine, or a foreign page."},
    413: {"model": BroadcastFailed, "description": "The body is too large."},
    415: {"model": BroadcastFailed, "description": "The body is not application/json."},
    422: {"model": BroadcastFailed, "description": "The body or the session id is not valid."},
    429: {"model": BroadcastFailed, "description": "Too many events; try again later."},
    503: {"model": BroadcastFailed, "description": "The queue is full; try again."},
}


def add_broadcast(
    app: FastAPI,
    *,
    settings: Settings,
    queue: EventQueue,
    forward: Callable[[Event], None],
) -> "Broadcast":
    """Add the route to the node's app."""
    door = Broadcast(settings, queue=queue, forward=forward)

    @app.post(
        f"{BROADCAST_PREFIX}{{session_id}}",
        tags=["broadcast"],
        summary="Send an ephemeral event to the viewers of a session",
        description="Sent to the viewers that `data.visibility` admits (default public), marked "
        '`"origin": "external"`. It is not stored, not replayed and has no position. Without '
        "PARTYLINE_BROADCAST_TOKEN only callers on this machine are accepted; with it, send it as "
        "a bearer token.",
        response_model=BroadcastDone,
        responses=_FAILURES,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": BroadcastBody.model_json_schema()}},
            },
            "parameters": [
                {
                    "name": "session_id",
                    "in": "path",
                    "required": True,
                    "schema": {"type": "string", "pattern": f"^{NAME_PATTERN}$"},
                }
            ],
        },
    )
    async def broadcast(request: Request) -> Response:
        return await door.answer(request)

    return door


class Broadcast:
    """The route's endpoint.

    Args:
        settings: of the node.
        queue: gets the accepted events.
        forward: called with each accepted event, for the node's other workers.

    Attributes:
        accepted: events put into the queue.
        refused: number of refused events, by HTTP status.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        queue: EventQueue,
        forward: Callable[[Event], None],
    ) -> None:
        self.accepted = 0
        self.refused: dict[int, int] = {}
        self._queue = queue
        self._pass_on = forward
        self._max_bytes = settings.max_body_bytes
        self._max_external_bytes = min(settings.max_broadcast_bytes, settings.max_body_bytes)
        rate = settings.broadcasts_per_second
        self._each = Buckets(rate, max(1, 2 * rate))
        self._all = Buckets(ALL * rate, max(1, 2 * ALL * rate))
        token = settings.broadcast_token
        self._token = token.get_secret_value() if token else None

    async def answer(self, request: Request) -> Response:
        """Accept one event, or answer why it is refused."""
        try:
            session_id = check_name(request.path_params["session_id"], "session_id")
            if self._authorize(request.scope):
                raw = await self._raw(request, self._max_bytes)
                body = _object(strictjson.loads(raw, max_bytes=self._max_bytes))
                event = durable_event(session_id, body, request)
            else:
                most = self._max_external_bytes
                raw = await self._raw(request, most)
                self._count(request.scope, 1 + len(raw) / COST_BYTES)
                body = _object(strictjson.loads(raw, max_bytes=most, max_values=MAX_VALUES))
                event = external_event(session_id, body)
            if not self._queue.put(event):
                raise Overloaded("The queue is full.", "Nothing was sent; try again in a moment.")
        except PartylineError as error:
            self.refused[error.status] = self.refused.get(error.status, 0) + 1
            headers = {"Retry-After": "1"} if error.status in _PASSING else None
            return Response(failure(error), error.status, headers, "application/json")
        self._pass_on(event)
        self.accepted += 1
        done = {"success": True, "session_id": session_id}
        return Response(_encode(done), media_type="application/json")

    def _authorize(self, scope: Scope) -> bool:
        """Whether the caller is the HTTP bridge.

        Raises:
            Unauthenticated, Forbidden: it is not, and may not post either.
        """
        headers = scope["headers"]
        if header_values(headers, EPOCH_HEADER.encode()):
            if is_peer(scope):
                return True
            raise Unauthenticated("Only mcp_node adds to the log.")
        token = bearer_token(headers)
        if self._token:
            if token is None or not hmac.compare_digest(token.encode(), self._token.encode()):
                raise Unauthenticated("The broadcast token is missing or wrong.")
        elif not from_loopback(scope):
            raise Forbidden("Without PARTYLINE_BROADCAST_TOKEN only this machine may post.")
        return False

    def _count(self, scope: Scope, cost: float) -> None:
        """Count an event against the rates of its address and of all addresses.

        Raises:
            RateLimited: a rate is exceeded; the event must not be sent.
        """
        now = asyncio.get_running_loop().time()
        address = (scope.get("client") or ("",))[0]
        if not (self._each.allow(address, now, cost) and self._all.allow("", now, cost)):
            raise RateLimited("Too many events.", "Nothing was sent; try again in a second.")

    async def _raw(self, request: Request, max_bytes: int) -> bytes:
        check_media_type(request.scope)
        return await read_body(request.scope, request.receive, max_bytes=max_bytes)


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise InvalidInput("The body must be a JSON object.")
    return body


def failure(error: PartylineError) -> bytes:
    """The body of every refusal of this route."""
    return _encode({"success": False, "error": str(error)})


async def refuse(scope: Scope, send: Send, error: PartylineError) -> None:
    """Answer a request refused before routing, in the form of /broadcast or of REST."""
    if scope["path"].startswith(BROADCAST_PREFIX):
        headers = [(b"content-type", b"application/json")]
        await respond(send, error.status, headers, failure(error))
    else:
        await send_problem(send, error)
