"""Request bodies: read up to a size limit, checked to be strict JSON, passed on unchanged."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from proto import strictjson
from proto.errors import InvalidInput, PartylineError, TooLarge, WrongMediaType
from serving.http.asgi import App, Message, Receive, Refuse, Scope, Send
from serving.http.identity import header_values

_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})

Admit = Callable[[Scope], None]
"""Raises `PartylineError` for a request that is refused before its body is read."""
Check = Callable[[Scope, Any], None]
"""Raises `PartylineError` for a parsed body that its path does not accept."""


class StrictBodies:
    """ASGI middleware: refuses a body that is too large or not strict JSON.

    The app may parse the same bytes with any parser. After the body, ``receive`` is the server's
    again, so that a handler still notices when its client disconnects.

    Args:
        app: the wrapped app.
        max_bytes: maximum size of a body.
        refuse: answers a refused request.
        admit: checks a request before its body is read, so that callers without a valid token
            cannot make the node read and parse.
        check: checks the parsed body.
        smaller: paths with a lower maximum size, and that size.
    """

    def __init__(
        self,
        app: App,
        *,
        max_bytes: int,
        refuse: Refuse,
        admit: Admit = lambda scope: None,
        check: Check = lambda scope, value: None,
        smaller: Mapping[str, int] | None = None,
    ) -> None:
        self._app = app
        self._admit = admit
        self._check = check
        self._max_bytes = max_bytes
        self._smaller = smaller or {}
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request with a body; pass all others on."""
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        max_bytes = self._smaller.get(scope["path"], self._max_bytes)
        try:
            self._admit(scope)
            body = await read_body(scope, receive, max_bytes=max_bytes)
            check_media_type(scope)
            self._check(scope, strictjson.loads(body, max_bytes=max_bytes))
        except PartylineError as error:
            await self._refuse(scope, send, error)
            return
        await self._app(scope, replay(body, receive), send)


def check_media_type(scope: Scope) -> None:
    """Refuse a body that is not declared as JSON.

    Raises:
        WrongMediaType: Content-Type is missing, repeated, or not ``application/json``.
    """
    values = header_values(scope["headers"], b"content-type")
    if len(values) != 1 or values[0].partition(";")[0].strip().lower() != "application/json":
        raise WrongMediaType("The body must be application/json.")


async def read_body(scope: Scope, receive: Receive, *, max_bytes: int) -> bytes:
    """The whole body.

    Raises:
        TooLarge: it is larger than ``max_bytes``, by Content-Length or when read.
        InvalidInput: the client disconnected before it was complete.
    """
    too_large = TooLarge(f"The body is larger than {max_bytes} bytes.")
    for announced in header_values(scope["headers"], b"content-length"):
        digits = announced.lstrip("0") if announced.isascii() and announced.isdigit() else ""
        if len(digits) > 15 or int(digits or "0") > max_bytes:
            raise too_large
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidInput("The body is incomplete.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > max_bytes:
            raise too_large
        if not message.get("more_body", False):
            return b"".join(parts)


def replay(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that returns a body that was read already, then the server's messages."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
