"""ASGI by hand: scopes, what a server receives for an app, and what the app sends."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Headers = list[tuple[bytes, bytes]]


def headers(*pairs: tuple[str, str]) -> Headers:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]


def scope(
    *pairs: tuple[str, str],
    kind: str = "http",
    method: str = "POST",
    path: str = "/",
    client: tuple[str, int] | None = ("127.0.0.1", 50_000),
    scheme: str = "http",
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": kind,
        "path": path,
        "headers": headers(*pairs),
        "client": client,
        "scheme": scheme,
    }
    return made if kind != "http" else {**made, "method": method}


def receiving(messages: Iterable[Message]) -> Callable[[], Awaitable[Message]]:
    """A ``receive`` that gives these, then that the client has gone."""
    waiting = iter(messages)

    async def receive() -> Message:
        return next(waiting, {"type": "http.disconnect"})

    return receive


class Sent(list[Message]):
    """A ``send`` that remembers."""

    async def __call__(self, message: Message) -> None:
        self.append(message)

    @property
    def status(self) -> int:
        return int(self[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self[1:])
