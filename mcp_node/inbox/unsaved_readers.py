"""Stores the readers that have changed, many in one write."""

import asyncio
import logging
from typing import Final

from mcp_node.inbox.reader import Reader
from mcp_node.inbox.rows import RosterEntry, RosterUpdate, SaveRoster
from mcp_node.inbox.unread import ReadPosition
from mcp_node.log.interface import Database
from proto.errors import PartylineError

RETRY_SECONDS: Final = 1.0

Key = tuple[str, str]
"""Of a reader: its session and its principal."""

logger = logging.getLogger(__name__)


class UnsavedReaders:
    """The readers of a node whose state is to be stored. Used from the event loop only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._readers: dict[Key, Reader] = {}
        self._changed = asyncio.Event()
        self._saving = asyncio.Lock()

    def add(self, key: Key, reader: Reader) -> None:
        """Have a reader stored, unless it was never seen: a row would reveal it to others."""
        if reader.shown is None:
            return
        reader.dirty = True
        self._readers[key] = reader
        self._changed.set()

    async def save(self) -> None:
        """Store what has changed, so that reads of the database are up to date.

        Raises:
            Overloaded, Unavailable: nothing was stored; `save_for_ever` tries again.
        """
        async with self._saving:
            taken, self._readers = self._readers, {}
            if not taken:
                return
            rows = []
            for (session_id, _), reader in taken.items():
                assert reader.shown is not None  # see `add`
                who = RosterEntry(
                    reader.shown,
                    reader.first_seen,
                    reader.last_seen,
                    reader.place or ReadPosition(),
                )
                waiting, reader.waiting_until = reader.waiting_until, None
                rows.append(RosterUpdate(session_id, who, list(reader.advances), waiting))
                reader.dirty = False
            try:
                await self._database.write(SaveRoster(rows))
            except BaseException:
                for (key, reader), row in zip(taken.items(), rows, strict=True):
                    if reader.waiting_until is None:
                        reader.waiting_until = row.waiting_until
                    self.add(key, reader)
                raise
            for reader, row in zip(taken.values(), rows, strict=True):
                del reader.advances[: len(row.advances)]

    async def save_for_ever(self) -> None:
        """Store changes as they come. Runs until it is cancelled; call `save` once after that."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.save()
            except PartylineError as error:
                logger.warning("read positions could not be stored yet (%s)", error.code)
                await asyncio.sleep(RETRY_SECONDS)
                self._changed.set()
