"""The store on SQLite: one writer, two readers (one for searches), and the mark beside them."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import aiosqlite

from mcp_node.log.connection import connect_reader, run_job
from mcp_node.log.erasing import Eraser
from mcp_node.log.interface import (
    CommitListener,
    Heads,
    LogPage,
    NewMessage,
    NewSession,
    Page,
    SessionListing,
    Start,
)
from mcp_node.log.mark import Mark, MarkKeeper, read_mark
from mcp_node.log.schema import DATABASE, Log, prepare
from mcp_node.log.transaction import Operation
from mcp_node.log.writer import Writer, describe
from mcp_node.search.finding import Found, find
from mcp_node.search.rows import Wish
from mcp_node.search.vocabulary import Vocabulary
from mcp_node.sessions import listing, reads
from mcp_node.sessions.guard import Limits
from mcp_node.sessions.operations import AppendMessage, CreateSession, Revoke
from mcp_node.sessions.reads import Stretch
from proto.errors import ConfigurationError, Unavailable
from proto.keyfile import digests_key
from proto.messages import Audience, Message, Session, Visibility
from proto.revocations import Revocation
from proto.settings import Settings

MARK: Final = "log.mark"

T = TypeVar("T")

logger = logging.getLogger(__name__)


async def open_store(data_dir: Path, settings: Settings) -> "SqliteStore":
    """Open the log in a data directory, making it if there is none.

    The caller holds the directory's lock file and must `SqliteStore.close` the store: a
    connection left open keeps the interpreter from exiting.

    Raises:
        ConfigurationError: the database cannot be used; the text tells the operator why.
    """
    path = data_dir / DATABASE
    on_disk = read_mark(data_dir / MARK)
    log = await asyncio.to_thread(prepare, path, on_disk)
    secret = await asyncio.to_thread(digests_key, data_dir)
    store = SqliteStore(path, log, settings, secret)
    try:
        await store.open(on_disk)
    except BaseException as error:
        await store.close()
        if isinstance(error, sqlite3.Error):
            raise ConfigurationError(
                f"database {path} cannot be opened ({describe(error)}); check the disk"
            ) from None
        raise
    return store


class SqliteStore:
    """`mcp_node.log.interface.Store` on SQLite; made by `open_store`."""

    def __init__(self, path: Path, log: Log, settings: Settings, secret: bytes) -> None:
        self._path = path
        self._log = log
        self._listeners: list[CommitListener] = []
        self._reader: aiosqlite.Connection | None = None
        self._searcher: aiosqlite.Connection | None = None  # no search delays another read
        self._vocabulary = Vocabulary()
        self._mark: MarkKeeper | None = None
        self._eraser: Eraser | None = None
        self._closing: asyncio.Task[None] | None = None
        # Where AUTH=off everybody may be the same nobody.
        verified = settings.auth != "off"
        self._most_sessions = settings.max_sessions_per_principal if verified else None
        self._writer = Writer(
            path,
            max_pending=settings.max_pending_writes,
            max_pending_bytes=settings.max_pending_write_bytes,
            limits=Limits.of_server(settings),
            secret=secret,
            announce=self._announce,
        )

    @property
    def epoch(self) -> str:
        """Random id of this log; a replaced log has another."""
        return self._log.epoch

    @property
    def starts(self) -> list[Start]:
        """The latest openings of the log, oldest first; see `Store.starts`."""
        return self._log.starts

    @property
    def pending(self) -> int:
        """Writes waiting for their commit, those under way included."""
        return self._writer.pending

    def on_commit(self, listener: CommitListener) -> None:
        """Have ``listener`` called with the messages of every commit from now on."""
        self._listeners.append(listener)

    async def open(self, on_disk: Mark | None) -> None:
        """Connect; ``on_disk`` is the mark as it was found.

        Raises:
            sqlite3.Error: the database cannot be opened.
        """
        await self._writer.open()
        self._reader = await connect_reader(self._path)
        self._searcher = await connect_reader(self._path)
        current = Mark(self._log.epoch, self._log.head)
        self._mark = MarkKeeper(self._path.with_name(MARK), on_disk, current)
        self._eraser = Eraser(self._writer.checkpoint)

    async def append(self, message: NewMessage) -> Message:
        """Commit a message and give it its place; see `Store.append`."""
        return await self.write(AppendMessage(message))

    async def create_session(self, session: NewSession) -> tuple[Session, bool]:
        """The session of that id, and whether this call made it; see `Store.create_session`."""
        return await self.write(CreateSession(session, self._most_sessions))

    async def revoke(
        self, *, token_id: str | None, agent_id: str | None, issued_until: int
    ) -> list[Revocation]:
        """Take tokens back; see `Store.revoke`."""
        return await self.write(Revoke(token_id, agent_id, issued_until))

    async def revocations(self) -> list[Revocation]:
        """Every revocation; see `Store.revocations`."""
        return await self.read(reads.revocations)

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation in the writer's next transaction.

        Cancelled before that begins, it is never run; afterwards it may still be committed.

        Raises:
            Overloaded: too many writes are waiting; nothing was stored.
            Unavailable: the commit failed; nothing was stored.
            PartylineError: whatever else the operation refuses with.
        """
        return await self._writer.submit(operation)

    async def get_session(self, session_id: str) -> Session:
        """The session; see `Store.get_session`."""
        return await self.read(partial(reads.session, session_id=session_id))

    async def list_sessions(
        self,
        audience: Audience,
        *,
        within: frozenset[str] | None,
        limit: int,
        active_since: str | None,
    ) -> list[SessionListing]:
        """Sessions, latest activity first; see `Store.list_sessions`."""
        return await self.read(
            partial(
                listing.sessions,
                audience=audience,
                within=within,
                limit=limit,
                active_since=active_since,
            )
        )

    async def page(
        self,
        session_id: str,
        audience: Audience,
        *,
        after: int | None,
        before: int | None,
        limit: int,
        sender: str | None = None,
        visibility: Visibility | None = None,
        deletions: bool = False,
    ) -> Page:
        """Visible messages of a session; see `Store.page`."""
        stretch = Stretch(
            session_id, after, before, limit, after is None, sender, visibility, deletions
        )
        return await self.read(partial(reads.page, audience=audience, stretch=stretch))

    async def heads(self, after: int) -> Heads:
        """Which sessions moved after an id."""
        return await self.read(lambda connection: self._heads(connection, after))

    async def session_head(self, session_id: str) -> int:
        """The last id of a session, 0 if it has no messages or does not exist."""
        return await self.read(partial(reads.session_head, session_id=session_id))

    async def log_page(
        self, session_id: str, *, after: int, limit: int, audience: Audience | None
    ) -> LogPage:
        """A stretch of a session's log after an id; unfiltered without an audience."""
        stretch = Stretch(session_id, after, None, limit)
        read = await self.read(partial(reads.log_stretch, audience=audience, stretch=stretch))
        return LogPage(self.epoch, read.head, read.through, read.messages)

    async def checkpoint(self) -> bool:
        """Empty the write-ahead log; see `Store.checkpoint`."""
        emptied = await self._writer.checkpoint()
        if not emptied and self._eraser is not None:
            self._eraser.want()
        return emptied

    async def close(self) -> None:
        """Commit what is pending, then close the database. Idempotent."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="store close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await self._writer.drain()
        if self._eraser is not None:
            await self._eraser.close()
        readers = [self._searcher, self._reader]
        self._searcher = self._reader = None
        try:
            for reader in readers:
                if reader is not None:
                    await reader.close()
        finally:
            await self._writer.close()
            if self._mark is not None:
                await self._mark.close()

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a read in one snapshot of the database; see `Database.read`."""
        return await self._read(self._reader, work)

    async def search(self, wish: Wish) -> Found:
        """Messages that hold what is looked for; see `Store.search`."""
        return await self._read(
            self._searcher, partial(find, vocabulary=self._vocabulary, wish=wish)
        )

    async def _read(
        self, reader: aiosqlite.Connection | None, work: Callable[[sqlite3.Connection], T]
    ) -> T:
        if reader is None:
            raise Unavailable("The message log is closed.")
        try:
            return await run_job(reader, partial(_in_snapshot, work))
        except (sqlite3.Error, ValueError) as error:
            logger.error("a read failed: %s", describe(error))
            raise Unavailable("The message log cannot be read.") from None

    def _heads(self, connection: sqlite3.Connection, after: int) -> Heads:
        head, changed, through = reads.moved(connection, after)
        return Heads(self.epoch, head, changed, through, reads.pruned(connection))

    def _announce(self, messages: Sequence[Message]) -> None:
        if self._mark is not None:
            self._mark.advance(messages[-1].id)
        if self._eraser is not None and any(message.deletes for message in messages):
            self._eraser.want()
        for listener in self._listeners:
            try:
                listener(messages)
            except Exception as error:
                logger.error("a commit listener failed: %s", describe(error))


def _in_snapshot(work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    connection.execute("BEGIN")
    try:
        return work(connection)
    finally:
        connection.execute("ROLLBACK")
