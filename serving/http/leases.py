"""Ends requests when their token expires or is revoked: streams and long polls too."""

import asyncio
from typing import Final

from proto.errors import Unauthenticated
from proto.messages import Principal
from serving.http.asgi import App, Receive, Scope, Send
from serving.http.identity import Identity

SWEEP_SECONDS: Final = 1.0


class _Lease:
    __slots__ = ("ended", "principal", "task")

    def __init__(self, principal: Principal, task: asyncio.Task[object]) -> None:
        self.principal = principal
        self.task = task
        self.ended = False


class Leases:
    """Runs requests, and cancels those whose token expires or is revoked meanwhile.

    Args:
        identity: knows which tokens are revoked.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._held: set[_Lease] = set()

    async def run(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Run ``app`` for a request. When its token becomes invalid, cancel it and return.

        The server then cuts the connection, because the response is incomplete. A request
        without a valid token is passed on, for the app to refuse.
        """
        try:
            principal = self._identity.from_headers(scope["headers"])
        except Unauthenticated:
            await app(scope, receive, send)
            return
        task = asyncio.current_task()
        assert task is not None
        lease = _Lease(principal, task)
        self._held.add(lease)
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if not lease.ended:
                raise
            task.uncancel()
        finally:
            self._held.discard(lease)

    def sweep(self) -> None:
        """Cancel every request whose token has expired or was revoked."""
        for lease in list(self._held):
            if not lease.ended and not self._identity.is_valid(lease.principal):
                lease.ended = True
                lease.task.cancel()

    async def sweep_for_ever(self) -> None:
        """Sweep every second; cancel to stop."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()
