"""``POST /broadcast/{session_id}``: events from anything on the host, into the same queue.

What comes this way is ephemeral, marked ``"origin": "external"``, and built into a frame by the
server: of the body only ``type`` and ``data`` are taken. Only the HTTP bridge, which posts over
``ws.sock`` or signed, makes durable events of it (`ws_node.http_bridge`).
"""

import hmac
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field

from proto import strictjson
from proto.errors import Forbidden, InvalidInput, Overloaded, PartylineError, Unauthenticated
from proto.frames import RESERVED_TYPES, external_frame
from proto.messages import Visibility
from proto.names import NAME_PATTERN, check_free_name, check_name
from proto.settings import Settings
from proto.wire import Event
from serving.asgi import Scope, Send, respond
from serving.bodies import check_media_type, read_body
from serving.identity import bearer_token, from_loopback, header_values
from serving.local import is_peer
from serving.problems import send_problem
from ws_node.event_queue import EventQueue
from ws_node.http_bridge import durable_event

EXTERNAL: Final = "external"
MAX_TYPE_CHARS: Final = 64

_encode: Final = msgspec.json.Encoder().encode


class BroadcastBody(BaseModel):
    """An event for everybody who watches a session now."""

    type: str = Field(
        max_length=MAX_TYPE_CHARS,
        description="Kind of event. Not one of the protocol's own: "
        + ", ".join(sorted(RESERVED_TYPES)),
        examples=["new_message"],
    )
    data: dict[str, Any] = Field(
        description="Any object; `visibility` in it narrows who sees the event.",
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
    """The event is on its way."""

    success: bool = True
    session_id: str


class BroadcastFailed(BaseModel):
    """The event was not taken."""

    success: bool = False
    error: str


_FAILURES: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": BroadcastFailed, "description": "The token is missing or wrong."},
    403: {"model": BroadcastFailed, "description": "Not from this machine, or a foreign page."},
    413: {"model": BroadcastFailed, "description": "The body is too large."},
    415: {"model": BroadcastFailed, "description": "The body is not application/json."},
    422: {"model": BroadcastFailed, "description": "The body or the session id is not valid."},
    503: {"model": BroadcastFailed, "description": "The queue is full; try again."},
}


def add_broadcast(
    app: FastAPI,
    *,
    settings: Settings,
    queue: EventQueue,
    pass_on: Callable[[Event], None],
) -> "Broadcast":
    """Add the route to the node's app."""
    door = Broadcast(settings, queue=queue, pass_on=pass_on)

    @app.post(
        "/broadcast/{session_id}",
        tags=["broadcast"],
        summary="Send an ephemeral event to everybody who watches a session",
        description="Goes live to those `data.visibility` admits (default public), marked "
        '`"origin": "external"`. It is not stored, not replayed and has no position. Without '
        "PARTYLINE_BROADCAST_TOKEN only callers on this machine are taken; with it, send it as a "
        "bearer token.",
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
    """The door behind the route.

    Args:
        settings: of the node.
        queue: where events go.
        pass_on: takes each event as well, for the node's other workers.

    Attributes:
        taken: events put into the queue.
        refused: counts of failures, by status.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        queue: EventQueue,
        pass_on: Callable[[Event], None],
    ) -> None:
        self.taken = 0
        self.refused: dict[int, int] = {}
        self._queue = queue
        self._pass_on = pass_on
        self._max_bytes = settings.max_body_bytes
        token = settings.broadcast_token
        self._token = token.get_secret_value() if token else None

    async def answer(self, request: Request) -> Response:
        """Take one event, or say why not."""
        try:
            session_id = check_name(request.path_params["session_id"], "session_id")
            durable = self._authorize(request.scope)
            body = await self._body(request)
            if durable:
                event = durable_event(session_id, body, request)
            else:
                event = external_event(session_id, body)
            if not self._queue.put(event):
                raise Overloaded("The queue is full.", "Nothing was sent; try again in a moment.")
        except PartylineError as error:
            self.refused[error.status] = self.refused.get(error.status, 0) + 1
            return Response(failure(error), error.status, media_type="application/json")
        self._pass_on(event)
        self.taken += 1
        done = {"success": True, "session_id": session_id}
        return Response(_encode(done), media_type="application/json")

    def _authorize(self, scope: Scope) -> bool:
        """Whether the caller is the HTTP bridge; anybody else must be allowed to post.

        Raises:
            Unauthenticated, Forbidden: it is not.
        """
        headers = scope["headers"]
        if header_values(headers, b"x-partyline-epoch"):
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

    async def _body(self, request: Request) -> dict[str, Any]:
        check_media_type(request.scope)
        raw = await read_body(request.scope, request.receive, max_bytes=self._max_bytes)
        body = strictjson.loads(raw, max_bytes=self._max_bytes)
        if not isinstance(body, dict):
            raise InvalidInput("The body must be a JSON object.")
        return body


def external_event(session_id: str, body: dict[str, Any]) -> Event:
    """The ephemeral event of a posted body.

    Who sees it: ``data.visibility`` narrows, and ``data.sender`` and ``data.sender_type`` name
    whose private or agent_only it is; names nobody may take admit nobody.

    Raises:
        InvalidInput: no usable type or data, or an unknown visibility.
    """
    kind, data = body.get("type"), body.get("data")
    if not isinstance(kind, str) or not 0 < len(kind) <= MAX_TYPE_CHARS:
        raise InvalidInput(f"type must be a string of 1 to {MAX_TYPE_CHARS} characters.")
    if kind in RESERVED_TYPES:
        raise InvalidInput("That type belongs to the protocol itself.", "Use another one.")
    if not isinstance(data, dict):
        raise InvalidInput("data must be a JSON object.")
    try:
        visibility = Visibility(data.get("visibility", Visibility.PUBLIC))
    except ValueError:
        raise InvalidInput(f"visibility must be one of: {', '.join(Visibility)}.") from None
    return Event(
        session_id,
        "",
        None,
        0,
        visibility,
        _named(data.get("sender")),
        _named(data.get("sender_type")),
        time.monotonic_ns(),
        external_frame(session_id, kind, data),
    )


def failure(error: PartylineError) -> bytes:
    """The body of every failure of this door."""
    return _encode({"success": False, "error": str(error)})


async def refuse(scope: Scope, send: Send, error: PartylineError) -> None:
    """A request that ends before the route saw it, in this door's form or REST's."""
    if scope["path"].startswith("/broadcast/"):
        headers = [(b"content-type", b"application/json")]
        await respond(send, error.status, headers, failure(error))
    else:
        await send_problem(send, error)


def _named(name: Any) -> str:
    try:
        return check_free_name(name, "name")
    except InvalidInput:
        return EXTERNAL
