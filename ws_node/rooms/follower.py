"""RoomFollower: follows one session's chain of messages; values in, values out.

Its input is what the bridge brings (with messages lost, repeated, reordered or of another log) and
what history answers. Its output is the messages to deliver: each once, in order, none left out.

====================  =====================================================================
state                 what it does with a message
====================  =====================================================================
opening               position unknown: hold; wants POSITION
following             ``id <= last``: drop; ``prev <= last``: deliver; else a gap: hold
behind                an id above ``last`` is known to exist: hold, release; wants PAGE
====================  =====================================================================

After every call the owner calls ``ask()`` to learn what to fetch, has at most that one fetch under
way, and reports its result with ``positioned``, ``page`` or ``failed``. Held messages are limited
in number and bytes; what exceeds the limits is dropped and read from history instead.

A follower belongs to one log. Messages and answers of another epoch are dropped and counted as
``foreign``. Only the owner decides that the log was replaced, and makes a new follower.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Final

from proto.wire import Event

HOLD_MESSAGES: Final = 1_000
HOLD_BYTES: Final = 4 * 1_048_576

MAX_EPOCHS: Final = 8
"""Most logs for which an opening follower notes the highest id of what it could not hold."""


class Want(Enum):
    """What a follower needs from history next."""

    NOTHING = "nothing"
    POSITION = "position"
    PAGE = "page"


class Counts:
    """Counters for a node's metrics; several followers may share them.

    Attributes:
        duplicates: messages dropped because they arrived again.
        forgotten: messages dropped because of the limits; they are read from the log instead.
        unexplained: held messages dropped because the log does not have them.
    """

    __slots__ = ("duplicates", "forgotten", "unexplained")

    def __init__(self) -> None:
        self.duplicates = 0
        self.forgotten = 0
        self.unexplained = 0


class RoomFollower:
    """The chain of one session.

    Attributes:
        epoch: of the log being followed; None while opening.
        last: id of the last message that was delivered; None while opening.
        target: the highest id known to exist in the session.
        foreign: messages and answers of another epoch since the owner last reset it to 0.
        counts: its counters.

    Args:
        counts: counters to use; its own if None.
        hold_messages: most messages held.
        hold_bytes: most bytes of their bodies held.
    """

    __slots__ = (
        "_asked",
        "_doubted",
        "_held",
        "_held_bytes",
        "_hold_bytes",
        "_hold_messages",
        "_news",
        "_reaches",
        "counts",
        "epoch",
        "foreign",
        "last",
        "target",
    )

    def __init__(
        self,
        counts: Counts | None = None,
        *,
        hold_messages: int = HOLD_MESSAGES,
        hold_bytes: int = HOLD_BYTES,
    ) -> None:
        self.epoch: str | None = None
        self.last: int | None = None
        self.target = 0
        self.foreign = 0
        self.counts = Counts() if counts is None else counts
        self._hold_messages = hold_messages
        self._hold_bytes = hold_bytes
        self._held: dict[tuple[int, str], Event] = {}
        self._held_bytes = 0
        self._reaches: dict[str, int] = {}
        self._asked = Want.NOTHING
        self._doubted: frozenset[tuple[int, str]] = frozenset()
        self._news = 0

    def feed(self, events: Iterable[Event]) -> list[Event]:
        """Receive durable events of the bridge; returns those to deliver now, in order."""
        out: list[Event] = []
        for event in events:
            last = self.last
            if last is None:
                self._hold(event)
            elif event.epoch != self.epoch:
                self.foreign += 1
            elif event.id is None or event.id <= last:
                self.counts.duplicates += 1
            elif event.prev <= last:
                out.append(event)
                self.last = event.id
                if self._held:
                    self._release(out)
            else:
                self._hold(event)
                self._learn(event.id)
        if self.last is not None and self.last > self.target:
            self.target = self.last
        return out

    def ask(self) -> Want:
        """What to fetch now. It counts as under way until `positioned`, `page` or `failed`."""
        if self._asked is not Want.NOTHING:
            return Want.NOTHING
        if self.last is None:
            self._asked = Want.POSITION
        elif self.target > self.last:
            self._asked = Want.PAGE
            self._doubted = frozenset(self._held)
            self._news = 0
        return self._asked

    def positioned(self, epoch: str, head: int, base: int | None = None) -> list[Event]:
        """Receive history's answer to POSITION; returns the events to deliver now, in order.

        Args:
            epoch: of the log.
            head: the session's last id.
            base: where following begins, if viewers joined before the position was known; what
                lies between ``base`` and ``head`` is then wanted as a PAGE.
        """
        self._asked = Want.NOTHING
        if self.last is not None:
            self.seen_head(epoch, head)
            return []
        self.epoch = epoch
        self.last = head if base is None else min(base, head)
        self.target = max(head, self._reaches.get(epoch, 0))
        self._reaches.clear()
        for key, event in list(self._held.items()):
            if event.epoch != epoch:
                self._drop(key)
                self.foreign += 1
            else:
                self.target = max(self.target, key[0])
        out: list[Event] = []
        self._release(out)
        return out

    def seen_head(self, epoch: str, head: int) -> None:
        """The session is known to reach ``head``: a PAGE is wanted if ``last`` is below it."""
        if self.last is None:
            self._remember(epoch, head)
        elif epoch != self.epoch:
            self.foreign += 1
        else:
            self._learn(head)

    def page(self, epoch: str, events: Iterable[Event], *, through: int, head: int) -> list[Event]:
        """Receive history's answer to PAGE: everything after ``last`` up to ``through``.

        Messages are published after their commit, and the log is read after the request. So an
        id above ``head`` that was announced before the request does not exist: it was forged, or
        the log lost its end.

        Args:
            epoch: of the log it was read from.
            events: ascending by id.
            through: how far the session has been read.
            head: the session's last id in the same reading.
        """
        self._asked = Want.NOTHING
        if self.last is None:
            return []
        if epoch != self.epoch:
            self.foreign += 1
            return []
        out: list[Event] = []
        for event in events:
            if event.id is not None and event.id > self.last:
                out.append(event)
                self.last = event.id
        self.last = max(self.last, through)
        for key in self._doubted:
            if key[0] > head and key in self._held:
                self._drop(key)
                self.counts.unexplained += 1
        self._release(out)
        self.target = max(self.last, head, self._news)
        return out

    def failed(self) -> None:
        """The fetch failed: `ask` returns it again. The owner backs off before that."""
        self._asked = Want.NOTHING

    @property
    def behind(self) -> int:
        """Difference between the highest id known to exist and the last delivered."""
        return 0 if self.last is None else max(0, self.target - self.last)

    @property
    def held(self) -> int:
        """How many messages are held."""
        return len(self._held)

    def _hold(self, event: Event) -> None:
        if event.id is None:
            return
        key = (event.id, event.epoch)
        if key in self._held:
            self.counts.duplicates += 1
            return
        size = len(event.body)
        if len(self._held) >= self._hold_messages or self._held_bytes + size > self._hold_bytes:
            self.counts.forgotten += 1
            if self.last is None:
                self._remember(event.epoch, event.id)
            return
        self._held[key] = event
        self._held_bytes += size

    def _learn(self, id_: int) -> None:
        """An id is announced to exist."""
        self._news = max(self._news, id_)
        self.target = max(self.target, id_)

    def _remember(self, epoch: str, id_: int) -> None:
        """While opening: note the highest id announced in each of a few logs."""
        if epoch in self._reaches or len(self._reaches) < MAX_EPOCHS:
            self._reaches[epoch] = max(self._reaches.get(epoch, 0), id_)

    def _drop(self, key: tuple[int, str]) -> None:
        self._held_bytes -= len(self._held.pop(key).body)

    def _release(self, out: list[Event]) -> None:
        """Deliver held messages that now continue the chain."""
        last = self.last
        if last is None:
            return
        for key in sorted(self._held):
            event = self._held[key]
            if key[0] > last:
                if event.prev > last:
                    break
                out.append(event)
                last = key[0]
            else:
                self.counts.duplicates += 1
            self._drop(key)
        self.last = last
