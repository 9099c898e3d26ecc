"""Failures of an address that fails often come late; nothing else does."""

import asyncio
from typing import Any

from serving.http import failures
from serving.http.failures import Failures, SlowFailures


async def answer(app: Any, address: str = "10.0.0.1", kind: str = "http") -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": kind, "client": (address, 1)}, None, send)
    return sent


def with_status(status: int) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return app


PAUSE = 1.0


async def timed(app: Any, address: str = "10.0.0.1") -> bool:
    """Whether the answer came late."""
    before = asyncio.get_running_loop().time()
    assert len(await answer(app, address)) == 2
    return asyncio.get_running_loop().time() - before >= PAUSE


async def test_only_failures_beyond_the_burst_come_late() -> None:
    shared = Failures(PAUSE)
    refusing = SlowFailures(with_status(401), shared)
    burst = int(failures.AT_ONCE)
    assert not any([await timed(refusing) for _ in range(burst)])
    assert await timed(refusing)
    assert not await timed(SlowFailures(with_status(200), shared)), "a valid token of that address"
    assert not await timed(SlowFailures(with_status(403), shared))
    assert not await timed(refusing, "10.0.0.2"), "another address"


async def test_what_is_not_http_passes() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    await answer(SlowFailures(app, Failures(PAUSE)), kind="websocket")
    assert seen == ["websocket"]
