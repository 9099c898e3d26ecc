"""Who is there, and what a room's viewers were told of it: what changed is what is sent.

No clock and no sockets: whoever keeps it says what time it is and sends what it gives.
"""

from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

import msgspec

from proto.frames import AgentHere

EVERY_SECONDS: Final = 1.0
"""Minimum time between two presence frames to the same subscriber."""

CROWD: Final = 100
"""Above so many viewers, presence is sent less often: every change goes to everybody."""

CROWD_SECONDS: Final = 5.0

LAST_SEEN_STEP: Final = timedelta(seconds=60)
"""Minimum advance of ``last_seen`` worth announcing by itself."""

Subscriber = TypeVar("Subscriber")


class PresenceState(msgspec.Struct, frozen=True):
    """Who is there: so many connections, and these agents; None: they are not known."""

    viewers: int
    agents: tuple[AgentHere, ...] | None


class RoomPresence(Generic[Subscriber]):
    """Presence of one room, and what was last sent of it to each subscriber.

    Attributes:
        there: the latest presence; None before the first.
    """

    def __init__(self) -> None:
        self.state: PresenceState | None = None
        self._compared: PresenceState | None = None
        self._version = 0
        self._sent_version = 0
        self._sent: dict[Subscriber, PresenceState | None] = {}
        self._fresh: dict[Subscriber, None] = {}
        self._next_at = float("-inf")

    @property
    def subscribed(self) -> bool:
        """Whether there are subscribers."""
        return bool(self._sent)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber; the first thing sent to it is the whole presence."""
        self._sent[subscriber] = None
        self._fresh[subscriber] = None

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a subscriber; idempotent."""
        self._sent.pop(subscriber, None)
        self._fresh.pop(subscriber, None)

    def update(self, there: PresenceState) -> None:
        """This is who is there now."""
        self.state = there
        if self._compared is None or is_news(self._compared, there):
            self._compared = there
            self._version += 1

    def due(self, at: float) -> list[Subscriber]:
        """Who is to be told now of who is there; they count as told.

        Whoever is new is told at once; the others all together, when something has changed and
        they were not told of another change a moment ago.

        Args:
            at: now, in seconds.
        """
        if self.state is None:
            return []
        due, self._fresh = list(self._fresh), {}
        if self._sent_version != self._version and at >= self._next_at:
            self._sent_version = self._version
            if late := self._late():
                due += late
                crowd = self.state.viewers > CROWD
                self._next_at = at + (CROWD_SECONDS if crowd else EVERY_SECONDS)
        for subscriber in due:
            self._sent[subscriber] = self.state
        return due

    def _late(self) -> list[Subscriber]:
        """Those that were told of something else; what came and went is nothing else."""
        there = self.state
        assert there is not None
        differs: dict[int, bool] = {}
        late = []
        for subscriber, told in self._sent.items():
            if told is None or told is there:
                continue
            if id(told) not in differs:  # few, and all alive
                differs[id(told)] = is_news(told, there)
            if differs[id(told)]:
                late.append(subscriber)
        return late

    def next_at(self) -> float | None:
        """When to ask again for who is due; None: when something changes."""
        if self.state is None or not self._sent or self._sent_version == self._version:
            return None
        return self._next_at


def is_news(before: PresenceState, now: PresenceState) -> bool:
    """Whether who is there differs by more than that an agent was just seen again."""
    if before == now:
        return False
    if before.viewers != now.viewers or before.agents is None or now.agents is None:
        return True
    former = {agent.name: agent for agent in before.agents}
    if len(former) != len(now.agents):
        return True
    return any(_moved(former.get(agent.name), agent) for agent in now.agents)


def _moved(before: AgentHere | None, now: AgentHere) -> bool:
    if before is None or (before.agent_type, before.waiting) != (now.agent_type, now.waiting):
        return True
    if before.last_seen == now.last_seen:
        return False
    seen, again = datetime.fromisoformat(before.last_seen), datetime.fromisoformat(now.last_seen)
    return again - seen >= LAST_SEEN_STEP
