"""Trust: keeps what decides who may be here in step with mcp_node: its AUTH, and revocations.

Asked at a pace of its own, however rarely the heads of the log are compared: a revocation must end
what its token opened within three seconds. mcp_node answers from memory; the list of revocations is
read only when the answer differs from the one before, and then replaces what was known. After a
restore the numbers of revocations may be lower than before, so the answers are compared for
difference, not for order.
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
"""Longest pause between two questions; also while mcp_node is away."""

FIRST_RETRY_SECONDS: Final = 0.1
"""First pause after a question that was not answered; it doubles up to `POLL_SECONDS`."""

FIRST_SECONDS: Final = 1.0
"""How long somebody who comes before the first answer waits for it, where AUTH=off."""

logger = logging.getLogger(__name__)


class Trust:
    """Asks mcp_node, and ends the viewers who may not be here any more.

    Attributes:
        compared: whether mcp_node has answered since this process started.
        mismatch: whether its AUTH, by its last answer, differs from ours.
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
        """See the attributes above."""
        return self._answered.is_set()

    async def admits(self) -> bool:
        """Whether viewers may be let in now.

        Not while the nodes differ in AUTH: one of them would trust too much. Where AUTH=off
        nobody is let in before mcp_node was asked; this then waits for its first answer, for
        `FIRST_SECONDS` at most. Safe to cancel.
        """
        if self._auth == "off" and not self.compared:
            try:
                async with asyncio.timeout(FIRST_SECONDS):
                    await self._answered.wait()
            except TimeoutError:
                return False
        return not self.mismatch

    async def run(self) -> None:
        """Ask for ever, until cancelled."""
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
        """One question.

        Raises:
            HistoryUnavailable: mcp_node did not answer; nothing changed.
        """
        told = await self._history.standing()
        self._compare_auth(told.auth)
        if told != self._known:
            self._revocations.replace(await self._history.revocations())
            self._known = told
            self._hub.sweep()
        self._answered.set()

    def _compare_auth(self, theirs: str) -> None:
        if theirs == self._auth:
            self.mismatch = False
            self._hub.reopen()
            return
        if not self.mismatch:
            logger.error("mcp_node has another PARTYLINE_AUTH: nobody may watch")
        self.mismatch = True
        self._hub.close(Disconnect.AUTH_DIFFERS)  # each time: a handshake may just have completed
