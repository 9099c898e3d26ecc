"""Trust: keeps what decides who may be here in step with mcp_node: its AUTH, and revocations.

It has a poll interval of its own, independent of the comparison of heads: a revocation must end
what its token opened within three seconds. mcp_node answers from memory. The list of revocations is
read only when that answer differs from the last one, and replaces the known list. Answers are
compared for equality, not order: after a restore the numbers of revocations may be lower.
"""

import asyncio
import logging
import random
from typing import Final

from proto.internal_api import Standing
from proto.revocations import Revocations
from proto.settings import Settings
from ws_node.log.client import History, HistoryUnavailable
from ws_node.rooms.disconnect import Disconnect
from ws_node.rooms.hub import Hub

POLL_SECONDS: Final = 1.5
"""Longest pause between two requests, also while mcp_node is unavailable."""

FIRST_RETRY_SECONDS: Final = 0.1
"""First pause after a request that was not answered; it doubles up to `POLL_SECONDS`."""

FIRST_SECONDS: Final = 1.0
"""How long a request waits for the first answer of mcp_node, where AUTH=off."""

logger = logging.getLogger(__name__)


class Trust:
    """Polls mcp_node, and disconnects viewers that are no longer admitted.

    Attributes:
        mismatch: whether the AUTH in mcp_node's last answer differs from ours.
    """

    def __init__(
        self, settings: Settings, hub: Hub, history: History, revocations: Revocations
    ) -> None:
        self.mismatch = False
        self._auth = settings.auth
        self._hub = hub
        self._history = history
        self._revocations = revocations
        self._known: Standing | None = None
        self._answered = asyncio.Event()

    @property
    def compared(self) -> bool:
        """Whether mcp_node has answered since this process started."""
        return self._answered.is_set()

    async def admits(self) -> bool:
        """Whether viewers are admitted now.

        They are not while the nodes differ in AUTH, because one of the nodes then trusts callers
        that the other would refuse. With AUTH=off nobody is admitted before the first answer of
        mcp_node; this waits for it, for `FIRST_SECONDS` at most. Safe to cancel.
        """
        if self._auth == "off" and not self.compared:
            try:
                async with asyncio.timeout(FIRST_SECONDS):
                    await self._answered.wait()
            except TimeoutError:
                return False
        return not self.mismatch

    async def run(self) -> None:
        """Poll until cancelled."""
        retry = FIRST_RETRY_SECONDS
        while True:
            try:
                await self._ask()
            except HistoryUnavailable:
                await asyncio.sleep(retry * random.uniform(0.5, 1.0))
                retry = min(retry * 2, POLL_SECONDS)
                continue
            retry = FIRST_RETRY_SECONDS
            await asyncio.sleep(POLL_SECONDS * random.uniform(0.6, 1.0))

    async def _ask(self) -> None:
        """Make one request.

        Raises:
            HistoryUnavailable: mcp_node did not answer; nothing changed.
        """
        standing = await self._history.standing()
        self._compare_auth(standing.auth)
        if standing != self._known:
            self._revocations.replace(await self._history.revocations())
            self._known = standing
            self._hub.sweep()
        self._answered.set()

    def _compare_auth(self, theirs: str) -> None:
        if theirs == self._auth:
            self.mismatch = False
            self._hub.reopen()
            return
        if not self.mismatch:
            logger.error("mcp_node has another PARTYLINE_AUTH: no viewer is admitted")
        self.mismatch = True
        self._hub.close(Disconnect.AUTH_DIFFERS)  # each time: a handshake may just have completed
