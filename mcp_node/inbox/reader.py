"""One principal in a session, as this process knows it: its place, and how much it has not read.

Values in, values out, but for its locks; `mcp_node.inbox.read_positions` keeps and stores them.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from mcp_node.inbox.rows import Advance
from mcp_node.inbox.unread import COUNTED, ReadPosition
from proto.messages import Audience, Message
from proto.visibility import may_see

UNSAVED_STEPS: Final = 2_000
"""Steps kept for each reader until they are stored. Beyond, what is given out of turn is not
remembered and comes again: the database has refused every write for a long time."""


class Reader:
    """A principal in a session.

    Attributes:
        been: whether it has been in the session, as far as it is known here.
        audience: its rights when it last asked for anything: what is unread goes by them.
        shown: its rights when it was last seen, which is what others are told of it; None while
            this process has not seen it: it may still ask for things nobody else learns of.
        first_seen, last_seen: when this process saw it first and last; empty before.
        place: how far it has read; None until it was looked up.
        unread: others' entries it may see and was not given, up to `COUNTED`; None: not counted.
        counted: the log's last id when they were counted in the database. A commit can be there
            already while it is not announced yet.
        advances: steps that may not be stored yet, in order.
        moves: how many steps it has made.
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

    def counts(self, message: Message) -> bool:
        """Whether an entry is news to it, unless it was given or deletes what was not."""
        author = message.principal if message.deletes is None else message.sender
        return (
            author != self.audience.agent_id
            and not message.deleted
            and may_see(self.audience, message.visibility, message.principal, message.sender_type)
        )

    def known_place(self) -> ReadPosition:
        """How far it has read, once that was looked up."""
        assert self.place is not None
        return self.place

    def pending(self) -> list[int]:
        """Ids that it was given out of turn, which may not be stored yet."""
        return [each.position for each in self.advances if each.out_of_turn]

    def move(self, place: ReadPosition, *steps: Advance) -> None:
        """It has come to ``place`` by ``steps``, which are still to be stored."""
        self.place = place
        self.been = True
        self.moves += 1
        self.advances.extend(steps[: max(0, UNSAVED_STEPS - len(self.advances))])

    def count(self, message: Message) -> None:
        """Count an entry that a commit announced and no count from the database included."""
        position = (self.place and self.place.position) or 0
        # A page may have passed a message that was deleted by then, and is still counted.
        if message.deletes is not None:
            self.unread = None
        elif message.id > position and self.counts(message):
            assert self.unread is not None
            self.unread = min(COUNTED, self.unread + 1)

    def count_off(self, given: Sequence[Message], position: int, *, announced: int) -> None:
        """Entries were given: they are not unread any more.

        Args:
            given: the entries.
            position: those up to this id were read before.
            announced: the last id that commits were announced to. Entries after it were not
                counted, and will not be.
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
            and ((each.deletes or 0) <= position or each.principal == self.audience.agent_id)
        )
        self.unread = max(0, self.unread - counted)
