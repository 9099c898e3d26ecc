"""Readers: how far every principal has read in a session, and how much it has not.

Kept in memory for those who read lately, counted on with every commit, and stored a moment later
by a task of its own: what a crash takes away is read once more, never missed.

The position moves over pages that continue it. A page further on leaves it where it is: what
lies between was not given to anybody. The first page somebody reads in a session is where it
joined, and what came before counts as read.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from mcp_node.store.interface import Database
from mcp_node.store.readers import (
    COUNTED,
    Advance,
    Attendance,
    Attendant,
    Place,
    SaveAttendance,
    Standing,
    standing,
    unread_of,
)
from proto.errors import PartylineError
from proto.messages import ANONYMOUS, Audience, Message, Principal, utc_now
from proto.visibility import may_see

REMEMBERED: Final = 20_000
"""Readers kept in memory; of the others the database knows everything."""

SEEN_SECONDS: Final = 10.0
"""How much older than the truth a stored ``last_seen`` may be while somebody stays."""

RETRY_SECONDS: Final = 1.0

AT_ONCE: Final = 50
"""Sessions counted in one read, so that other reads are not held up."""

logger = logging.getLogger(__name__)

Key = tuple[str, str]


class Reader:
    """A principal in a session.

    Attributes:
        audience: its rights when it last asked for anything: what is unread goes by them.
        shown: its rights when it was last seen, which is what others are told of it; None while
            this process has not seen it: it may still ask for things nobody else learns of.
        first_seen, last_seen: when this process saw it first and last; empty before.
        place: how far it has read; None until it was looked up.
        unread: others' messages after that which it may see, up to `COUNTED`; None: not counted.
        counted: the log's last id when they were counted in the database. A commit can be there
            already while it is not announced yet.
    """

    __slots__ = (
        "advances",
        "audience",
        "counted",
        "counting",
        "dirty",
        "first_seen",
        "last_seen",
        "meanwhile",
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
        self.place: Place | None = None
        self.unread: int | None = None
        self.counted = 0
        self.counting = asyncio.Lock()
        self.meanwhile: list[Message] | None = None
        self.advances: list[Advance] = []
        self.dirty = False

    def counts(self, message: Message) -> bool:
        """Whether a message is news to it, once it lies after its position."""
        return (
            message.principal != self.audience.agent_id
            and message.deletes is None
            and not message.deleted
            and may_see(self.audience, message.visibility, message.principal, message.sender_type)
        )


class Readers:
    """All readers of a node. Used from the event loop alone.

    Whoever is nobody in particular (AUTH=off) has no position: it is not remembered.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._readers: OrderedDict[Key, Reader] = OrderedDict()
        self._by_session: dict[str, dict[str, Reader]] = {}
        self._dirty: dict[Key, Reader] = {}
        self._announced = 0
        self._recounts = 0
        self._changed = asyncio.Event()
        self._saving = asyncio.Lock()
        database.on_commit(self._committed)

    def seen(self, principal: Principal, session_id: str) -> None:
        """Somebody is here: it entered, reads, waits, or says something everybody hears."""
        if principal.agent_id == ANONYMOUS:
            return
        reader = self._reader(principal, session_id)
        reader.last_seen = utc_now()
        reader.first_seen = reader.first_seen or reader.last_seen
        changed, reader.shown = reader.shown != principal.audience, principal.audience
        now = time.monotonic()
        if changed or now - reader.seen_at >= SEEN_SECONDS:
            reader.seen_at = now
            self._mark((session_id, principal.agent_id), reader)

    async def place(self, principal: Principal, session_id: str) -> Place:
        """How far somebody has read."""
        if principal.agent_id == ANONYMOUS:
            return Place()
        reader = self._reader(principal, session_id)
        if reader.place is None:
            await self._count(reader, session_id)
        assert reader.place is not None
        return reader.place

    async def unread(self, principal: Principal, session_id: str) -> int:
        """How many messages of others it has not read, up to `COUNTED`; 0 for nobody."""
        if principal.agent_id == ANONYMOUS or "read" not in principal.scopes:
            return 0
        reader = self._reader(principal, session_id)
        if reader.unread is None:
            return await self._count(reader, session_id)
        return reader.unread

    async def unread_in(self, principal: Principal, session_ids: Sequence[str]) -> dict[str, int]:
        """The unread messages of several sessions; those that are not counted are not kept."""
        if principal.agent_id == ANONYMOUS:
            return dict.fromkeys(session_ids, 0)
        found: dict[str, int] = {}
        missing: list[str] = []
        for session_id in session_ids:
            reader = self._readers.get((session_id, principal.agent_id))
            fits = reader is not None and reader.audience == principal.audience
            if fits and reader is not None and reader.unread is not None:
                found[session_id] = reader.unread
            else:
                missing.append(session_id)
        for start in range(0, len(missing), AT_ONCE):
            part = missing[start : start + AT_ONCE]
            found |= await self._database.read(
                partial(unread_of, session_ids=part, audience=principal.audience)
            )
        return found

    async def was_given(
        self, principal: Principal, session_id: str, messages: Sequence[Message], after: int
    ) -> None:
        """Somebody gets a page: everything it may see after ``after`` up to the last of it."""
        if principal.agent_id == ANONYMOUS or not messages:
            return
        place = await self.place(principal, session_id)
        reader = self._reader(principal, session_id)
        last = messages[-1].id
        if place.position is None:
            moved = Place(after, last, place.mentions_through)
            reader.unread = None
        elif after <= place.position < last:
            moved = Place(place.joined_after, last, place.mentions_through)
            self._count_off(reader, [each for each in messages if each.id > place.position])
        else:
            return
        self._move(reader, session_id, moved, Advance(last, False, utc_now()))

    async def read_through(self, principal: Principal, session_id: str, position: int) -> None:
        """Somebody says that it has read up to ``position``, however it came to see it."""
        place = await self.place(principal, session_id)
        if principal.agent_id == ANONYMOUS or position <= (place.position or 0):
            return
        reader = self._reader(principal, session_id)
        reader.unread = None
        joined = place.joined_after if place.position is not None else 0
        moved = Place(joined, position, place.mentions_through)
        self._move(reader, session_id, moved, Advance(position, False, utc_now()))

    async def was_called(
        self, principal: Principal, session_id: str, messages: Sequence[Message], after: int
    ) -> None:
        """Somebody gets its mentions after ``after`` out of turn: its position stays.

        Mentions further on leave those that lie between to be given, as pages do.
        """
        if principal.agent_id == ANONYMOUS or not messages:
            return
        place = await self.place(principal, session_id)
        reader = self._reader(principal, session_id)
        through = place.mentions_through
        if after <= max(place.position or 0, through):
            through = max(through, messages[-1].id)
        now = utc_now()
        steps = [Advance(each.id, True, now) for each in messages]
        self._move(reader, session_id, Place(place.joined_after, place.position, through), *steps)

    def recount(self) -> None:
        """Messages went without being announced: what is unread is counted anew when asked for."""
        self._recounts += 1
        for reader in self._readers.values():
            reader.unread = None

    def last_seen(self, session_id: str, principal: str) -> str | None:
        """When this process last saw somebody; the stored time may be a little older."""
        reader = self._by_session.get(session_id, {}).get(principal)
        return None if reader is None else reader.last_seen or None

    def of(self, session_id: str) -> Iterator[tuple[Audience, str]]:
        """Whom this process saw in a session and remembers, and when each was last seen."""
        for reader in self._by_session.get(session_id, {}).values():
            if reader.shown is not None:
                yield reader.shown, reader.last_seen

    async def save(self) -> None:
        """Store what has changed; what others read from the database is then the truth.

        Raises:
            Overloaded, Unavailable: it will be tried again.
        """
        async with self._saving:
            taken, self._dirty = self._dirty, {}
            if not taken:
                return
            rows = []
            for (session_id, _), reader in taken.items():
                assert reader.shown is not None  # see `_mark`
                who = Attendant(
                    reader.shown, reader.first_seen, reader.last_seen, reader.place or Place()
                )
                rows.append(Attendance(session_id, who, reader.advances))
                reader.advances = []
                reader.dirty = False
            try:
                await self._database.write(SaveAttendance(rows))
            except BaseException:
                for (key, reader), row in zip(taken.items(), rows, strict=True):
                    reader.advances = row.advances + reader.advances
                    self._mark(key, reader)
                raise

    async def save_for_ever(self) -> None:
        """Store changes as they come; cancel to stop, then `save` once more."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.save()
            except PartylineError as error:
                logger.warning("read positions could not be stored yet (%s)", error.code)
                await asyncio.sleep(RETRY_SECONDS)
                self._changed.set()

    def _reader(self, principal: Principal, session_id: str) -> Reader:
        key = (session_id, principal.agent_id)
        reader = self._readers.get(key)
        if reader is None:
            reader = Reader(principal.audience)
            self._readers[key] = reader
            self._by_session.setdefault(session_id, {})[principal.agent_id] = reader
            self._forget_some()
        elif reader.audience != principal.audience:  # it came back with other rights
            reader.audience = principal.audience
            reader.unread = None
        self._readers.move_to_end(key)
        return reader

    def _forget_some(self) -> None:
        for key in list(self._readers)[: max(0, len(self._readers) - REMEMBERED)]:
            reader = self._readers[key]
            if not reader.dirty and reader.meanwhile is None:
                del self._readers[key]
                members = self._by_session[key[0]]
                del members[key[1]]
                if not members:
                    del self._by_session[key[0]]

    def _mark(self, key: Key, reader: Reader) -> None:
        """Have a reader stored; not one that was never seen: a row would show it to others."""
        if reader.shown is None:
            return
        reader.dirty = True
        self._dirty[key] = reader
        self._changed.set()

    def _move(self, reader: Reader, session_id: str, place: Place, *steps: Advance) -> None:
        reader.place = place
        reader.advances.extend(steps)
        self._mark((session_id, reader.audience.agent_id), reader)

    async def _count(self, reader: Reader, session_id: str) -> int:
        """Look a reader up: its place, if it is not known, and its unread messages."""
        async with reader.counting:
            if reader.unread is not None:
                return reader.unread
            reader.meanwhile = []
            audience, recounts = reader.audience, self._recounts
            try:
                found: Standing = await self._database.read(
                    partial(standing, session_id=session_id, audience=audience, place=reader.place)
                )
                since = [each for each in reader.meanwhile if each.id > found.head]
            finally:
                reader.meanwhile = None
            if reader.place is None:
                reader.place = found.place
            unread = min(COUNTED, found.unread + sum(map(reader.counts, since)))
            moved = reader.place.position != found.place.position
            deleted = any(each.deletes is not None for each in since)
            changed = deleted or self._recounts != recounts or reader.audience != audience
            if not moved and not changed:
                reader.unread = unread
                reader.counted = found.head
            return unread

    def _count_off(self, reader: Reader, given: Sequence[Message]) -> None:
        """Messages after the position were given: they are not unread any more.

        Those that are not announced yet were not counted, and will not be.
        """
        if reader.unread is not None and reader.unread < COUNTED:
            known = max(reader.counted, self._announced)
            counted = sum(1 for each in given if each.id <= known and reader.counts(each))
            reader.unread = max(0, reader.unread - counted)
        else:
            reader.unread = None

    def _committed(self, messages: Sequence[Message]) -> None:
        self._announced = messages[-1].id
        for message in messages:
            for reader in self._by_session.get(message.session_id, {}).values():
                if reader.meanwhile is not None:
                    reader.meanwhile.append(message)
                elif reader.unread is not None and message.id > reader.counted:
                    _count_on(reader, message)


def _count_on(reader: Reader, message: Message) -> None:
    """A message was announced that was not counted yet."""
    position = (reader.place and reader.place.position) or 0
    if message.deletes is not None:  # a page may have passed what was gone by then, still counted
        reader.unread = None
    elif message.id > position and reader.counts(message):
        assert reader.unread is not None
        reader.unread = min(COUNTED, reader.unread + 1)
