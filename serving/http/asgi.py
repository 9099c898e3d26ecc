"""Types of ASGI, and a response without a framework."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from proto.errors import PartylineError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Refuse = Callable[[Scope, Send, PartylineError], Awaitable[None]]
"""Answers a request with an error, in the form of its path."""


async def respond(
    send: Send,
    status: int,
    headers: Iterable[tuple[bytes, bytes]],
    body: bytes,
    *,
    websocket: bool = False,
) -> None:
    """Send a complete response; with ``websocket``, as the refusal of a handshake."""
    prefix = "websocket.http.response" if websocket else "http.response"
    length = (b"content-length", str(len(body)).encode())
    await send({"type": f"{prefix}.start", "status": status, "headers": [*headers, length]})
    await send({"type": f"{prefix}.body", "body": body, "more_body": False})
