"""AgentPresence: which agents are at work in sessions right now, for the viewers of those sessions.

Asked of for many sessions every other second, so it is answered from memory. Only in the first ten
minutes of this process may somebody have been there that memory does not know: then the database
is asked, once for each session.
"""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from mcp_node.inbox.read_positions import Readers
from mcp_node.inbox.rows import seen_since
from mcp_node.inbox.waiting import Waiting
from mcp_node.log.interface import Database
from proto.frames import AgentHere
from proto.messages import Audience, utc

LATELY: Final = timedelta(minutes=10)
"""Who was seen so long ago is not at work any more."""

MOST_AGENTS: Final = 50
"""Agents told of a session: those that wait, then the latest seen."""

REMEMBERED: Final = 5_000
"""Sessions of which it is kept who had been there before this process."""

_Seen = list[tuple[Audience, str]]


class AgentPresence:
    """Who is at work in sessions. It asks nobody's rights: only for those who may know.

    Whatever moves nobody's ``last_seen`` (see `Readers.seen`) leaves no trace here either.

    Args:
        database: who was there before this process.
        readers: who is there now.
        waiting: who waits.
        lately: how long somebody counts as at work after it was seen.
    """

    def __init__(
        self, database: Database, readers: Readers, waiting: Waiting, lately: timedelta = LATELY
    ) -> None:
        self._database = database
        self._readers = readers
        self._waiting = waiting
        self._lately = lately
        self._started = datetime.now(UTC)
        self._before: OrderedDict[str, _Seen] = OrderedDict()

    async def at_work(self, session_ids: Sequence[str]) -> dict[str, list[AgentHere]]:
        """Who waits in each session or was seen there lately; sessions without anybody left out.

        Args:
            session_ids: well formed; they need not exist.

        Raises:
            Unavailable: the database does not answer.
        """
        since = datetime.now(UTC) - self._lately
        if since < self._started:
            await self._look_up([name for name in session_ids if name not in self._before], since)
        elif self._before:
            self._before.clear()
        found = {name: self._in(name, utc(since.timestamp())) for name in session_ids}
        return {name: agents for name, agents in found.items() if agents}

    async def _look_up(self, session_ids: Sequence[str], since: datetime) -> None:
        """Keep who was there lately, before this process."""
        if not session_ids:
            return
        found = await self._database.read(
            partial(seen_since, session_ids=session_ids, since=utc(since.timestamp()))
        )
        for name in session_ids:
            self._before[name] = found.get(name, [])
        while len(self._before) > REMEMBERED:
            self._before.popitem(last=False)

    def _in(self, session_id: str, since: str) -> list[AgentHere]:
        seen = {who.agent_id: (who, at) for who, at in self._before.get(session_id, ())}
        seen |= {who.agent_id: (who, at) for who, at in self._readers.of(session_id)}
        waiting = self._waiting.waiting_in(session_id)
        here = [
            AgentHere(name, who.agent_type, at, name in waiting)
            for name, (who, at) in seen.items()
            if at >= since or name in waiting
        ]
        here.sort(key=lambda one: (one.waiting, one.last_seen), reverse=True)
        return here[:MOST_AGENTS]
