"""Readers: how far each principal has read in each session, and how much is unread.

Recent readers are kept in memory, their counts updated with every commit. A task stores changes a
moment later: what a crash loses is read once more, never missed. If other nodes use the same
database, a principal may read on one and then on another: positions are stored before a call is
answered, and loaded again for each call.

The position advances over pages that continue it. Messages given further on, such as a mention,
are recorded one by one and the position stays, because those between were not given. A principal
joins a session with the first page it reads there; what came before counts as read.
"""

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

from mcp_node.inbox.reader import Reader
from mcp_node.inbox.rows import Advance
from mcp_node.inbox.unread import (
    COUNTED,
    Reach,
    ReadPosition,
    Standing,
    not_recorded,
    standing,
    standings,
)
from mcp_node.inbox.unsaved_readers import Key, UnsavedReaders
from mcp_node.log.interface import Database
from proto.errors import PartylineError
from proto.messages import ANONYMOUS, Audience, Message, Principal, utc_now

REMEMBERED: Final = 20_000
"""The most readers kept in memory; the others are read from the database on demand."""

SEEN_SECONDS: Final = 10.0
"""The shortest time between two writes of the ``last_seen`` of an active principal."""

AT_ONCE: Final = 50
"""Sessions counted in one read transaction, so that other reads are not delayed."""


class Readers:
    """All readers of a node. Not thread-safe: used from the event loop only.

    Anonymous callers (AUTH=off) have no read position and are not recorded.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._readers: OrderedDict[Key, Reader] = OrderedDict()
        self._by_session: dict[str, dict[str, Reader]] = {}
        self._unsaved = UnsavedReaders(database)
        self._announced = 0
        self._recounts = 0
        database.on_commit(self._committed)

    def seen(self, principal: Principal, session_id: str) -> None:
        """Record that a principal was active: it entered, read, waited, or wrote in public."""
        if principal.agent_id == ANONYMOUS:
            return
        reader = self._reader(principal, session_id)
        reader.been = True
        reader.last_seen = utc_now()
        reader.first_seen = reader.first_seen or reader.last_seen
        changed, reader.shown = reader.shown != principal.audience, principal.audience
        now = time.monotonic()
        if changed or now - reader.seen_at >= SEEN_SECONDS:
            reader.seen_at = now
            self._unsaved.add((session_id, principal.agent_id), reader)

    def waits(self, principal: Principal, session_id: str, until: str) -> None:
        """Tell other nodes until when a principal waits here; an empty string: no longer."""
        if self._database.shared and principal.agent_id != ANONYMOUS:
            reader = self._reader(principal, session_id)
            reader.waiting_until = until
            self._unsaved.add((session_id, principal.agent_id), reader)

    async def reach(self, principal: Principal, session_id: str) -> Reach:
        """What a principal was given in a session."""
        if principal.agent_id == ANONYMOUS:
            return Reach(session_id, ReadPosition())
        return self._reach(await self._known(principal, session_id), session_id)

    async def unread(self, principal: Principal, session_id: str) -> int:
        """How many messages of others are unread, up to `COUNTED`; 0 for anonymous callers."""
        if principal.agent_id == ANONYMOUS or "read" not in principal.scopes:
            return 0
        reader = self._reader(principal, session_id)
        await self._refresh(reader)
        if reader.unread is None:
            return await self._count(reader, session_id)
        return reader.unread

    async def unread_in(self, principal: Principal, session_ids: Sequence[str]) -> dict[str, int]:
        """How many are unread in each of several sessions; 0 where the principal has never been.

        Counts made for this call are not cached.
        """
        if principal.agent_id == ANONYMOUS:
            return dict.fromkeys(session_ids, 0)
        found: dict[str, int] = {}
        missing: list[Reach] = []
        been: set[str] = set()
        for session_id in session_ids:
            reader = self._readers.get((session_id, principal.agent_id))
            if reader is not None:
                await self._refresh(reader)
            if reader is None:
                missing.append(Reach(session_id))
                continue
            if reader.been:
                been.add(session_id)
            if reader.unread is not None and reader.audience == principal.audience:
                found[session_id] = reader.unread if reader.been else 0
            else:
                missing.append(self._reach(reader, session_id))
        for start in range(0, len(missing), AT_ONCE):
            part = missing[start : start + AT_ONCE]
            counted = await self._database.read(
                partial(standings, audience=principal.audience, reaches=part)
            )
            for name, one in counted.items():
                found[name] = one.unread if one.known or name in been else 0
        return found

    @asynccontextmanager
    async def turn(self, principal: Principal, session_id: str) -> AsyncIterator[None]:
        """A lock, held while a page is read and marked as read for a principal.

        Without it two concurrent calls could both return the same messages, or one could advance
        the position over messages that neither returned.
        """
        if principal.agent_id == ANONYMOUS:
            yield
            return
        reader = self._reader(principal, session_id)
        async with reader.giving:
            await self._refresh(reader)
            yield

    async def was_given(
        self,
        principal: Principal,
        session_id: str,
        entries: Sequence[Message],
        after: int,
        through: int = 0,
    ) -> None:
        """Record a page that has everything new to its reader from one id to another.

        Args:
            principal: the reader.
            session_id: the session.
            entries: the page.
            after: the page begins after this id.
            through: the page is complete up to this id, if that is above its last one.
        """
        through = max(through, entries[-1].id if entries else 0)
        if principal.agent_id == ANONYMOUS or not through:
            return
        reader = await self._known(principal, session_id)
        place = reader.known_place()
        if place.position is None:
            moved = ReadPosition(after, through, place.furthest)
            reader.unread = None
        elif after <= place.position < through:
            moved = ReadPosition(place.joined_after, through, place.furthest)
            if place.ahead or any(each.deleted for each in entries):
                reader.unread = None  # deletions of messages now read may count as unread
            else:
                reader.count_off(entries, place.position, announced=self._announced)
        else:
            await self.was_given_out_of_turn(principal, session_id, entries)
            return
        await self._move(reader, session_id, moved, Advance(through, False, utc_now()))

    async def was_given_out_of_turn(
        self, principal: Principal, session_id: str, entries: Sequence[Message]
    ) -> None:
        """Record entries one by one; those before and between them stay unread.

        Each takes a row, so entries that were given before are left out.
        """
        if principal.agent_id == ANONYMOUS or not entries:
            return
        reader = await self._known(principal, session_id)
        position = reader.known_place().position or 0
        pending = set(reader.pending())
        ids = [
            each.id
            for each in entries
            if each.id > position and each.id not in pending and reader.counts(each)
        ]
        if ids:
            look = partial(
                not_recorded, session_id=session_id, principal=principal.agent_id, ids=ids
            )
            ids = await self._database.read(look)
        if not ids:
            return
        reader = await self._known(principal, session_id)
        place, now = reader.known_place(), utc_now()
        moved = ReadPosition(place.joined_after, place.position, max(place.furthest, *ids))
        reader.unread = None
        await self._move(reader, session_id, moved, *(Advance(id_, True, now) for id_ in ids))

    async def read_through(self, principal: Principal, session_id: str, position: int) -> None:
        """Advance a principal's position, because it says that it has read up to there."""
        if principal.agent_id == ANONYMOUS:
            return
        await self._refresh(self._reader(principal, session_id))
        reader = await self._known(principal, session_id)
        place = reader.known_place()
        if position <= (place.position or 0):
            return
        reader.unread = None
        joined = place.joined_after if place.position is not None else 0
        moved = ReadPosition(joined, position, place.furthest)
        await self._move(reader, session_id, moved, Advance(position, False, utc_now()))

    def recount(self) -> None:
        """Discard all unread counts, because messages were pruned without an announcement."""
        self._recounts += 1
        for reader in self._readers.values():
            reader.unread = None

    def last_seen(self, session_id: str, principal: str) -> str | None:
        """When this process last saw a principal, or None; the stored time may be older."""
        reader = self._by_session.get(session_id, {}).get(principal)
        return None if reader is None else reader.last_seen or None

    def of(self, session_id: str) -> Iterator[tuple[Audience, str]]:
        """The principals that this process saw in a session, and when each was last seen."""
        for reader in self._by_session.get(session_id, {}).values():
            if reader.shown is not None:
                yield reader.shown, reader.last_seen

    async def save(self) -> None:
        """Store what has changed; see `UnsavedReaders.save`."""
        await self._unsaved.save()

    async def save_for_ever(self) -> None:
        """Store changes as they come; see `UnsavedReaders.save_for_ever`."""
        await self._unsaved.save_for_ever()

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
            busy = reader.dirty or reader.advances or reader.giving.locked()
            if not busy and reader.meanwhile is None:
                del self._readers[key]
                members = self._by_session[key[0]]
                del members[key[1]]
                if not members:
                    del self._by_session[key[0]]

    async def _known(self, principal: Principal, session_id: str) -> Reader:
        """The reader, with its position loaded."""
        reader = self._reader(principal, session_id)
        while reader.place is None:
            await self._count(reader, session_id)
            reader = self._reader(principal, session_id)
        return reader

    def _reach(self, reader: Reader, session_id: str) -> Reach:
        return Reach(session_id, reader.place, reader.pending())

    async def _move(
        self, reader: Reader, session_id: str, place: ReadPosition, *steps: Advance
    ) -> None:
        reader.move(place, *steps)
        self._unsaved.add((session_id, reader.audience.agent_id), reader)
        if self._database.shared:
            with suppress(PartylineError):  # `save_for_ever` tries again
                await self.save()

    async def _refresh(self, reader: Reader) -> None:
        """Forget what is cached of a reader if it may have read on another node meanwhile."""
        if not self._database.shared:
            return
        if reader.advances:
            with suppress(PartylineError):
                await self.save()
        if not reader.advances:
            reader.place = reader.unread = None

    async def _count(self, reader: Reader, session_id: str) -> int:
        """Count a reader's unread messages in the database, and load its position if needed.

        Commits are announced while the read runs, and the read may include some of them. So they
        are collected in ``meanwhile``, and those above the read's head are added to its count. The
        sum is not cached if the reader moved, or if what is unread changed in another way.
        """
        async with reader.counting:
            if reader.unread is not None:
                return reader.unread
            reader.meanwhile = []
            audience, recounts, moves = reader.audience, self._recounts, reader.moves
            try:
                found: Standing = await self._database.read(
                    partial(standing, audience=audience, reach=self._reach(reader, session_id))
                )
                since = [each for each in reader.meanwhile if each.id > found.head]
            finally:
                reader.meanwhile = None
            if reader.place is None:
                reader.place = found.place
            reader.been = reader.been or found.known
            unread = min(COUNTED, found.unread + sum(map(reader.counts, since)))
            moved = reader.moves != moves
            deleted = any(each.about is not None for each in since)
            changed = deleted or self._recounts != recounts or reader.audience != audience
            if not moved and not changed:
                reader.unread = unread
                reader.counted = found.head
            return unread

    def _committed(self, messages: Sequence[Message]) -> None:
        self._announced = messages[-1].id
        for message in messages:
            for reader in self._by_session.get(message.session_id, {}).values():
                if reader.meanwhile is not None:
                    reader.meanwhile.append(message)
                elif reader.unread is not None and message.id > reader.counted:
                    reader.count(message)
