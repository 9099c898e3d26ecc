"""Delays answers to bad tokens from addresses that fail repeatedly; never those to valid tokens.

Tokens cannot be guessed anyway; the delay limits what repeated attempts cost the node.
"""

import asyncio
from typing import Any, Final

from proto.rate import Buckets
from serving.http.asgi import App, Message, Receive, Scope, Send

FAILURES_PER_SECOND: Final = 2.0
AT_ONCE: Final = 20.0
"""Failures of one address in a burst that are answered without delay."""

UNAUTHENTICATED: Final = 401


class Failures:
    """Counts failures per address.

    Args:
        pause_seconds: delay of the answer to an address with too many.
    """

    def __init__(self, pause_seconds: float) -> None:
        self._pause_seconds = pause_seconds
        self._buckets = Buckets(FAILURES_PER_SECOND, AT_ONCE)

    async def delay(self, scope: Any) -> None:
        """Count a failure of the connection's peer, and sleep if it has too many."""
        address = (scope.get("client") or ("",))[0]
        if not self._buckets.allow(address, asyncio.get_running_loop().time()):
            await asyncio.sleep(self._pause_seconds)


class SlowFailures:
    """ASGI middleware that delays answers with status 401.

    Args:
        app: the wrapped app.
        failures: counts failures; shared with doors that refuse in another way.
    """

    def __init__(self, app: App, failures: Failures) -> None:
        self._app = app
        self._failures = failures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; delay its answer if it is a 401 of an address with many failures."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def delayed(message: Message) -> None:
            if message.get("status") == UNAUTHENTICATED:
                await self._failures.delay(scope)
            await send(message)

        await self._app(scope, receive, delayed)
