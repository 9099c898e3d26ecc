"""A room's recent messages, framed, for viewers that join or come back."""

import itertools
from collections import deque

from proto.messages import Audience
from proto.visibility import may_see
from proto.wire import Event
from ws_node.framing import Framing, framed


class Ring:
    """The newest messages of a session, bounded in number and bytes.

    Every message with an id above ``floor`` that went by is in it.

    Args:
        floor: the position from which it is complete.
        max_messages: at least 1.
        max_bytes: of the frames in it.
    """

    __slots__ = ("_bytes", "_entries", "_max_bytes", "_max_messages", "floor")

    def __init__(self, floor: int, *, max_messages: int, max_bytes: int) -> None:
        self.floor = floor
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._entries: deque[tuple[int, Event, bytes]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        """How many messages it holds."""
        return len(self._entries)

    def append(self, event: Event, frame: bytes) -> None:
        """Add the newest message; the oldest make room."""
        assert event.id is not None
        self._entries.append((event.id, event, frame))
        self._bytes += len(frame)
        while len(self._entries) > self._max_messages or self._bytes > self._max_bytes:
            self.floor, _, dropped = self._entries.popleft()
            self._bytes -= len(dropped)

    def covers(self, position: int) -> bool:
        """Whether everything after ``position`` that went by is here."""
        return position >= self.floor

    def after(
        self, position: int, audience: Audience, framing: Framing, max_bytes: int
    ) -> tuple[bytes, int | None]:
        """The frames after ``position`` that an audience may see, joined.

        Returns:
            At most ``max_bytes`` of them (but one frame at least), and the position they lead to
            if there are more; None if these are all.
        """
        new = itertools.takewhile(lambda entry: entry[0] > position, reversed(self._entries))
        wanted: list[bytes] = []
        size = 0
        for id_, event, frame in reversed(list(new)):
            if may_see(audience, event.visibility, event.principal, event.sender_type):
                if framing is not Framing.WEBSOCKET:
                    frame = framed(framing, event.body, id_)
                if wanted and size + len(frame) > max_bytes:
                    return b"".join(wanted), position
                wanted.append(frame)
                size += len(frame)
            position = id_
        return b"".join(wanted), None
