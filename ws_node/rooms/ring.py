"""A room's recent messages, framed, for viewers that join or come back."""

import itertools
from collections import deque

import msgspec

from proto.frames import after_change, changed_by
from proto.messages import Audience
from proto.visibility import may_see
from ws_node.rooms.framing import Framing, text_frame
from ws_node.rooms.outgoing import Outgoing


class Ring:
    """The newest messages of a session, limited in number and bytes.

    It has every delivered message with an id above ``floor``. Of a deleted one it has the message
    without its texts; of an edited one it has the new text, and earlier edits without theirs.

    Attributes:
        floor: the position after which it is complete.
        past_read: whether the messages before it were requested from the log, to `extend` it.

    Args:
        floor: as above, when it opens.
        max_messages: at least 1.
        max_bytes: of the plain frames in it.
    """

    __slots__ = (
        "_bytes",
        "_changes",
        "_entries",
        "_max_bytes",
        "_max_messages",
        "floor",
        "past_read",
    )

    def __init__(self, floor: int, *, max_messages: int, max_bytes: int) -> None:
        self.floor = floor
        self.past_read = False
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._entries: deque[tuple[int, Outgoing]] = deque()
        # The last deletion or edit in this ring of each message: its own id, and its frame.
        self._changes: dict[int, tuple[int, bytes]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        """How many messages it holds."""
        return len(self._entries)

    def append(self, newest: Outgoing) -> None:
        """Add the newest message, if it is above the floor; the oldest are dropped to fit it."""
        id_ = newest.event.id
        assert id_ is not None
        if id_ <= self.floor:  # it was held while the room opened: the ring begins after it
            return
        self._entries.append((id_, newest))
        self._bytes += len(newest.frame)
        changed = changed_by(newest.event.body)
        if changed is not None:
            self._change(changed, id_, newest.event.body)
        while len(self._entries) > self._max_messages or self._bytes > self._max_bytes:
            self.floor, dropped = self._entries.popleft()
            self._bytes -= len(dropped.frame)
            if self._changes:
                changed = changed_by(dropped.event.body) or 0
                if self._changes.get(changed, (0,))[0] == self.floor:
                    del self._changes[changed]

    def extend(self, older: "Ring", through: int) -> None:
        """Add older messages, the newest of them first, as far as the limits allow.

        Args:
            older: every message after its floor up to ``through``, for all audiences.
            through: nothing is added unless this reaches the floor of this ring.
        """
        if not older.floor < self.floor <= through:
            return
        met, floor = self.floor, older.floor
        for entry in reversed(older._entries):
            if entry[0] > met:
                continue
            # It may have been read before a change that this ring has.
            changed = changed_by(entry[1].event.body)
            _, later = self._changes.get(entry[0] if changed is None else changed, (0, b""))
            if later:
                entry = (entry[0], _changed(entry[1], later))
            size = self._bytes + len(entry[1].frame)
            if len(self._entries) >= self._max_messages or size > self._max_bytes:
                floor = entry[0]
                break
            self._entries.appendleft(entry)
            self._bytes = size
            if changed is not None and not later:
                self._changes[changed] = (entry[0], entry[1].event.body)
        self.floor = floor

    def _change(self, changed: int, change_id: int, change: bytes) -> None:
        """Change a message and the last edit of it, here now or added later by `extend`."""
        earlier, _ = self._changes.get(changed, (0, b""))
        self._changes[changed] = (change_id, change)
        for place, (id_, each) in enumerate(self._entries):
            if id_ in (changed, earlier):
                new = _changed(each, change)
                self._bytes += len(new.frame) - len(each.frame)
                self._entries[place] = (id_, new)

    def covers(self, position: int) -> bool:
        """Whether it has every delivered message after ``position``."""
        return position >= self.floor

    def shows(self, position: int, audience: Audience) -> bool:
        """Whether it has a message with that id which an audience may see."""
        for id_, each in reversed(self._entries):
            if id_ <= position:
                event = each.event
                seen = may_see(audience, event.visibility, event.principal, event.sender_type)
                return id_ == position and seen
        return False

    def after(
        self, position: int, audience: Audience, framing: Framing, max_bytes: int
    ) -> tuple[bytes, int | None]:
        """The frames after ``position`` that an audience may see, joined.

        Returns:
            The frames, at most ``max_bytes`` but at least one frame; and the position to continue
            from, None if there are no more. Bytes are counted before compression: compressing
            takes time in proportion to them.
        """
        new = itertools.takewhile(lambda entry: entry[0] > position, reversed(self._entries))
        wanted: list[bytes] = []
        size = 0
        for id_, each in reversed(list(new)):
            event = each.event
            if may_see(audience, event.visibility, event.principal, event.sender_type):
                frame = each.framed(framing)
                counted = max(len(frame), len(each.frame))
                if wanted and size + counted > max_bytes:
                    return b"".join(wanted), position
                wanted.append(frame)
                size += counted
            position = id_
        return b"".join(wanted), None


def _changed(message: Outgoing, change: bytes) -> Outgoing:
    """A message, or an edit of it, as it is after a later change."""
    event = msgspec.structs.replace(message.event, body=after_change(message.event.body, change))
    return Outgoing(event, text_frame(event.body))
