"""One principal in one session, in memory: its read position and its unread count.

No I/O but locks; `mcp_node.inbox.read_positions` keeps and stores readers.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from mcp_node.inbox.rows import Advance
from mcp_node.inbox.unread import COUNTED, ReadPosition
from proto.messages import Audience, Kind, Message
from proto.visibility import may_see

UNSAVED_STEPS: Final = 2_000
"""The most steps of a reader that wait to be stored. If the database refuses writes for so long
that there are more, they are dropped, and what was given out of turn is given again."""


class Reader:
    """A principal in a session.

    Attributes:
        been: whether it has been in the session, as far as this process knows.
        audience: its rights at its last call; they decide what is unread.
        shown: its rights when it was last seen, which others are told; None until this process
            sees it. Calls that reveal it to nobody do not count as seeing it.
        first_seen, last_seen: when this process first and last saw it; empty before.
        place: its read position; None until it is loaded.
        unread: how many entries are unread, up to `COUNTED`; None: not counted.
        counted: the log's last id when they were counted in the database. The count may include
            commits that are not announced yet.
        advances: steps that may not be stored yet, in order.
        moves: how often its position moved.
        waiting_until: until when it waits for messages, to be stored; empty: no longer; None:
            as it is stored.
    """

    __slots__ = (
        "advances",
        "audience",
        "been",
        "counted",
        "counting",
        "dirty",
        "first_seen",
        "giving",
        "last_seen",
        "meanwhile",
        "moves",
        "place",
        "seen_at",
        "shown",
        "unread",
        "waiting_until",
    )

    def __init__(self, audience: Audience) -> None:
        self.audience = audience
        self.shown: Audience | None = None
        self.first_seen = self.last_seen = ""
        self.seen_at = 0.0
        self.been = False
        self.place: ReadPosition | None = None
        self.unread: int | None = None
        self.counted = 0
        self.counting = asyncio.Lock()
        self.giving = asyncio.Lock()
        self.meanwhile: list[Message] | None = None
        self.advances: list[Advance] = []
        self.moves = 0
        self.dirty = False
        self.waiting_until: str | None = None

    def counts(self, message: Message) -> bool:
        """Whether an entry may count as unread: it is visible, not deleted, and not its own."""
        return (
            message.author != self.audience.agent_id
            and not message.deleted
            and message.kind is not Kind.REACTION
            and may_see(self.audience, message.visibility, message.principal, message.sender_type)
        )

    def known_place(self) -> ReadPosition:
        """Its read position, which must be loaded."""
        assert self.place is not None
        return self.place

    def pending(self) -> list[int]:
        """Ids given out of turn that may not be stored yet."""
        return [each.position for each in self.advances if each.out_of_turn]

    def move(self, place: ReadPosition, *steps: Advance) -> None:
        """Set its position to ``place``, reached by ``steps``, which must be stored."""
        self.place = place
        self.been = True
        self.moves += 1
        self.advances.extend(steps[: max(0, UNSAVED_STEPS - len(self.advances))])

    def count(self, message: Message) -> None:
        """Count an announced entry that the count from the database does not include."""
        position = (self.place and self.place.position) or 0
        # A page may have passed over a deleted message that is still counted, and an edit has
        # replaced an earlier one: count again.
        if message.about is not None:
            if message.kind is not Kind.REACTION:
                self.unread = None
        elif message.id > position and self.counts(message):
            assert self.unread is not None
            self.unread = min(COUNTED, self.unread + 1)

    def count_off(self, given: Sequence[Message], position: int, *, announced: int) -> None:
        """Subtract entries that were given from the unread count.

        Args:
            given: the entries.
            position: entries up to this id were read before.
            announced: the last announced id. Later entries are not counted yet, and will be
                below the position when they are announced.
        """
        if self.unread is None or self.unread >= COUNTED:
            self.unread = None
            return
        known = max(self.counted, announced)
        counted = sum(
            1
            for each in given
            if position < each.id <= known
            and self.counts(each)
            and ((each.about or 0) <= position or each.principal == self.audience.agent_id)
        )
        self.unread = max(0, self.unread - counted)
