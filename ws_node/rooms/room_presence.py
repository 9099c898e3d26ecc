"""Presence of one room, and what was last sent of it to each subscriber: only changes are sent.

Pure: the caller gives the time, and sends.
"""

from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

import msgspec

from proto.frames import AgentHere

EVERY_SECONDS: Final = 1.0
"""Minimum time between two presence frames to the same subscriber."""

CROWD: Final = 100
"""With more viewers presence is sent less often, because each change goes to all of them."""

CROWD_SECONDS: Final = 5.0
"""`EVERY_SECONDS` with more than `CROWD` viewers."""

LAST_SEEN_STEP: Final = timedelta(seconds=60)
"""Minimum advance of ``last_seen`` worth announcing by itself."""

Subscriber = TypeVar("Subscriber")


class PresenceState(msgspec.Struct, frozen=True):
    """How many connections watch a session, and which agents are at work; None: not known."""

    viewers: int
    agents: tuple[AgentHere, ...] | None


class RoomPresence(Generic[Subscriber]):
    """Presence of one room, and what was last sent of it to each subscriber.

    Attributes:
        state: the latest presence; None before the first.
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

    def update(self, state: PresenceState) -> None:
        """Set the latest presence."""
        self.state = state
        if self._compared is None or is_news(self._compared, state):
            self._compared = state
            self._version += 1

    def due(self, at: float) -> list[Subscriber]:
        """The subscribers to send the presence to now; it counts as sent.

        New subscribers are due at once. The others are due together, once the presence has changed
        and `EVERY_SECONDS` have passed since the last change was sent.

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
        """Subscribers whose last sent presence differs from the latest."""
        latest = self.state
        assert latest is not None
        differs: dict[int, bool] = {}
        late = []
        for subscriber, sent in self._sent.items():
            if sent is None or sent is latest:
                continue
            if id(sent) not in differs:  # few objects, all referenced, so ids are unique
                differs[id(sent)] = is_news(sent, latest)
            if differs[id(sent)]:
                late.append(subscriber)
        return late

    def next_at(self) -> float | None:
        """When to call `due` again; None: not before the presence changes."""
        if self.state is None or not self._sent or self._sent_version == self._version:
            return None
        return self._next_at


def is_news(before: PresenceState, now: PresenceState) -> bool:
    """Whether two presences differ by more than a small advance of ``last_seen``."""
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
