"""Failed tokens are answered late to whoever fails often; valid ones never are, whoever asks.

Guessing tokens is hopeless as it is; this keeps it from costing others anything.
"""

import asyncio
from typing import Any, Final

from proto.rate import Buckets
from serving.http.asgi import App, Message, Receive, Scope, Send

FAILURES_PER_SECOND: Final = 2.0
AT_ONCE: Final = 20.0
"""Failures of one address that are answered at once."""

UNAUTHENTICATED: Final = 401


class Failures:
    """Counts failures by address.

    Args:
        pause_seconds: how late an address with too many gets its answers.
    """

    def __init__(self, pause_seconds: float) -> None:
        self._pause_seconds = pause_seconds
        self._buckets = Buckets(FAILURES_PER_SECOND, AT_ONCE)

    async def answered_late(self, scope: Any) -> None:
        """Count a failure of the connection's peer, and wait if it has too many."""
        address = (scope.get("client") or ("",))[0]
        if not self._buckets.allow(address, asyncio.get_running_loop().time()):
            await asyncio.sleep(self._pause_seconds)


class SlowFailures:
    """ASGI middleware that holds back answers of status 401.

    Args:
        app: what is behind.
        failures: the count, shared with doors that refuse in another way.
    """

    def __init__(self, app: App, failures: Failures) -> None:
        self._app = app
        self._failures = failures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer back, at once or late."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def perhaps_late(message: Message) -> None:
            if message.get("status") == UNAUTHENTICATED:
                await self._failures.answered_late(scope)
            await send(message)

        await self._app(scope, receive, perhaps_late)
