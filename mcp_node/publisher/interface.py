"""What the node asks of a bridge, and the bounded backlog both bridges hold."""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from proto.messages import Message
from proto.wire import Event


class Publisher(Protocol):
    """A bridge out. ``publish`` never blocks and never raises: what cannot leave is dropped.

    Dropping loses nothing: the log is the truth, and ws_node reads from it what it missed.

    Attributes:
        published: messages handed to the bridge.
        dropped: messages that were not, because the other side is away or too slow.
    """

    published: int
    dropped: int

    @property
    def connected(self) -> bool:
        """Whether the other side was there when last heard of."""

    @property
    def waiting(self) -> int:
        """Messages held until the bridge takes more."""

    async def start(self) -> None:
        """Open the bridge; the other side need not be there."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Send messages in their order, without waiting."""

    async def close(self) -> None:
        """Give what is waiting a short time to leave, then close."""


class Backlog:
    """Events in order, bounded by their bytes; a full one refuses the newest."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._events: deque[Event] = deque()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._events)

    def push(self, event: Event) -> bool:
        """Add an event; False if there is no room for it."""
        size = len(event.body)
        if self._bytes + size > self._max_bytes:
            return False
        self._bytes += size
        self._events.append(event)
        return True

    def first(self) -> Event:
        """The oldest; raises IndexError when empty."""
        return self._events[0]

    def pop(self) -> Event:
        """Take the oldest out; raises IndexError when empty."""
        event = self._events.popleft()
        self._bytes -= len(event.body)
        return event

    def clear(self) -> int:
        """Forget everything; how many that were."""
        count = len(self._events)
        self._events.clear()
        self._bytes = 0
        return count
