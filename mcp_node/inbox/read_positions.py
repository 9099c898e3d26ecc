"""Readers: how far every principal has read in a session, and how much it has not.

Kept in memory for those who read lately, counted on with every commit, and stored a moment later
by a task of its own: what a crash takes away is read once more, never missed.

The position moves over pages that continue it. What is given further on, such as a mention, is
read as well, each by itself, and the position stays: what lies between was not given. The first
page somebody reads in a session is where it joined, and what came before counts as read.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from mcp_node.inbox.reader import Reader
from mcp_node.inbox.rows import Advance, RosterEntry, RosterUpdate, SaveRoster
from mcp_node.inbox.unread import (
    COUNTED,
    Reach,
    ReadPosition,
    Standing,
    not_recorded,
    standing,
    standings,
)
from mcp_node.log.interface import Database
from proto.errors import PartylineError
from proto.messages import ANONYMOUS, Audience, Message, Principal, utc_now

REMEMBERED: Final = 20_000
"""Readers kept in memory; of the others the database knows everything."""

SEEN_SECONDS: Final = 10.0
"""How much older than the truth a stored ``last_seen`` may be while somebody stays."""

RETRY_SECONDS: Final = 1.0

AT_ONCE: Final = 50
"""Sessions counted in one read, so that other reads are not held up."""

logger = logging.getLogger(__name__)

Key = tuple[str, str]


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
        reader.been = True
        reader.last_seen = utc_now()
        reader.first_seen = reader.first_seen or reader.last_seen
        changed, reader.shown = reader.shown != principal.audience, principal.audience
        now = time.monotonic()
        if changed or now - reader.seen_at >= SEEN_SECONDS:
            reader.seen_at = now
            self._mark((session_id, principal.agent_id), reader)

    async def reach(self, principal: Principal, session_id: str) -> Reach:
        """What somebody was given in a session."""
        if principal.agent_id == ANONYMOUS:
            return Reach(session_id, ReadPosition())
        return self._reach(await self._known(principal, session_id), session_id)

    async def unread(self, principal: Principal, session_id: str) -> int:
        """How many messages of others it has not read, up to `COUNTED`; 0 for nobody."""
        if principal.agent_id == ANONYMOUS or "read" not in principal.scopes:
            return 0
        reader = self._reader(principal, session_id)
        if reader.unread is None:
            return await self._count(reader, session_id)
        return reader.unread

    async def unread_in(self, principal: Principal, session_ids: Sequence[str]) -> dict[str, int]:
        """What is unread in several sessions: nothing where somebody has never been.

        Counts that are made for this are not kept.
        """
        if principal.agent_id == ANONYMOUS:
            return dict.fromkeys(session_ids, 0)
        found: dict[str, int] = {}
        missing: list[Reach] = []
        been: set[str] = set()
        for session_id in session_ids:
            reader = self._readers.get((session_id, principal.agent_id))
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
        """Held while a page is read and given to somebody: its other calls wait.

        Otherwise each could give what the other gives, and pass over what the other needs.
        """
        if principal.agent_id == ANONYMOUS:
            yield
            return
        async with self._reader(principal, session_id).giving:
            yield

    async def was_given(
        self,
        principal: Principal,
        session_id: str,
        entries: Sequence[Message],
        after: int,
        through: int = 0,
    ) -> None:
        """Somebody gets a page: everything it may see, and was not given, from one id to another.

        Args:
            principal: who reads.
            session_id: where.
            entries: what the page has.
            after: the page begins behind this id.
            through: and goes up to this one, if that is more than its last.
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
                reader.unread = None  # deletions of what is passed may become news
            else:
                reader.count_off(entries, place.position, announced=self._announced)
        else:
            await self.was_given_out_of_turn(principal, session_id, entries)
            return
        self._move(reader, session_id, moved, Advance(through, False, utc_now()))

    async def was_given_out_of_turn(
        self, principal: Principal, session_id: str, entries: Sequence[Message]
    ) -> None:
        """Somebody gets entries by themselves: what lies before them and between is still unread.

        Each is stored, so only those that were not given before.
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
        self._move(reader, session_id, moved, *(Advance(id_, True, now) for id_ in ids))

    async def read_through(self, principal: Principal, session_id: str, position: int) -> None:
        """Somebody says that it has read up to ``position``, however it came to see it."""
        if principal.agent_id == ANONYMOUS:
            return
        reader = await self._known(principal, session_id)
        place = reader.known_place()
        if position <= (place.position or 0):
            return
        reader.unread = None
        joined = place.joined_after if place.position is not None else 0
        moved = ReadPosition(joined, position, place.furthest)
        self._move(reader, session_id, moved, Advance(position, False, utc_now()))

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
                who = RosterEntry(
                    reader.shown,
                    reader.first_seen,
                    reader.last_seen,
                    reader.place or ReadPosition(),
                )
                rows.append(RosterUpdate(session_id, who, list(reader.advances)))
                reader.dirty = False
            try:
                await self._database.write(SaveRoster(rows))
            except BaseException:
                for key, reader in taken.items():
                    self._mark(key, reader)
                raise
            for reader, row in zip(taken.values(), rows, strict=True):
                del reader.advances[: len(row.advances)]

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
            busy = reader.dirty or reader.advances or reader.giving.locked()
            if not busy and reader.meanwhile is None:
                del self._readers[key]
                members = self._by_session[key[0]]
                del members[key[1]]
                if not members:
                    del self._by_session[key[0]]

    async def _known(self, principal: Principal, session_id: str) -> Reader:
        """The reader, once its place is known."""
        reader = self._reader(principal, session_id)
        while reader.place is None:
            await self._count(reader, session_id)
            reader = self._reader(principal, session_id)
        return reader

    def _reach(self, reader: Reader, session_id: str) -> Reach:
        return Reach(session_id, reader.place, reader.pending())

    def _mark(self, key: Key, reader: Reader) -> None:
        """Have a reader stored; not one that was never seen: a row would show it to others."""
        if reader.shown is None:
            return
        reader.dirty = True
        self._dirty[key] = reader
        self._changed.set()

    def _move(self, reader: Reader, session_id: str, place: ReadPosition, *steps: Advance) -> None:
        reader.move(place, *steps)
        self._mark((session_id, reader.audience.agent_id), reader)

    async def _count(self, reader: Reader, session_id: str) -> int:
        """Look a reader up: its place, if it is not known, and its unread messages."""
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
            deleted = any(each.deletes is not None for each in since)
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
