"""AgentPresence: which agents are at work in sessions right now, for the viewers of those sessions.

ws_node asks for many sessions every other second, so the answer comes from memory. Agents that
memory does not know are those of other nodes, and in the first ten minutes of this process those
seen before: for them the database is read, for the latter once for each session.
"""

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from mcp_node.inbox.read_positions import Readers
from mcp_node.inbox.rows import Seen, seen_since
from mcp_node.inbox.waiting import Waiting
from mcp_node.log.interface import Database
from proto.errors import PartylineError
from proto.frames import AgentHere
from proto.messages import Audience, utc, utc_now

LATELY: Final = timedelta(minutes=10)
"""An agent counts as at work for so long after it was last seen."""

MOST_AGENTS: Final = 50
"""The most agents listed for a session: those that wait first, then the latest seen."""

REMEMBERED: Final = 5_000
"""The most sessions for which agents seen before this process started are kept."""


class AgentPresence:
    """Lists the agents at work in sessions. It checks no rights: callers must.

    Only activity that `Readers.seen` records counts, so hidden messages do not show here.

    Args:
        database: tells who was seen before this process started, and by other nodes.
        readers: tells who was seen since.
        waiting: tells who waits for messages.
        lately: how long an agent counts as at work after it was seen.
    """

    def __init__(
        self, database: Database, readers: Readers, waiting: Waiting, lately: timedelta = LATELY
    ) -> None:
        self._database = database
        self._readers = readers
        self._waiting = waiting
        self._lately = lately
        self._started = datetime.now(UTC)
        self._stored: OrderedDict[str, list[Seen]] = OrderedDict()

    async def at_work(self, session_ids: Sequence[str]) -> dict[str, list[AgentHere]]:
        """The agents that wait in each session or were seen there lately; empty ones are left out.

        Args:
            session_ids: well formed; they need not exist.

        Raises:
            Unavailable: the database does not answer.
        """
        since = datetime.now(UTC) - self._lately
        if self._database.shared:
            with suppress(PartylineError):
                await self._readers.save()  # who waits here no longer
            await self._look_up(session_ids, since)
        elif since < self._started:
            await self._look_up([name for name in session_ids if name not in self._stored], since)
        elif self._stored:
            self._stored.clear()
        found = {name: self._in(name, utc(since.timestamp())) for name in session_ids}
        return {name: agents for name, agents in found.items() if agents}

    async def _look_up(self, session_ids: Sequence[str], since: datetime) -> None:
        """Load who was seen lately, by other nodes or before this process started."""
        if not session_ids:
            return
        found = await self._database.read(
            partial(
                seen_since, session_ids=session_ids, since=utc(since.timestamp()), now=utc_now()
            )
        )
        for name in session_ids:
            self._stored[name] = found.get(name, [])
        while len(self._stored) > max(REMEMBERED, len(session_ids)):
            self._stored.popitem(last=False)

    def _in(self, session_id: str, since: str) -> list[AgentHere]:
        seen: dict[str, tuple[Audience, str]] = {}
        waiting = self._waiting.waiting_in(session_id)
        for each in self._stored.get(session_id, ()):
            seen[each.audience.agent_id] = (each.audience, each.at)
            if each.waiting:
                waiting.add(each.audience.agent_id)
        for who, at in self._readers.of(session_id):
            stored = seen.get(who.agent_id)
            if stored is None or stored[1] <= at:
                seen[who.agent_id] = (who, at)
        here = [
            AgentHere(name, who.agent_type, at, name in waiting)
            for name, (who, at) in seen.items()
            if at >= since or name in waiting
        ]
        here.sort(key=lambda one: (one.waiting, one.last_seen), reverse=True)
        return here[:MOST_AGENTS]
