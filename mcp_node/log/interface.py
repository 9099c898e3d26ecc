"""What the node asks of a store, whatever database is behind it.

A store is the log: messages in commit order, ``id`` 1, 2, 3 … (what was pruned leaves holes), each
with ``prev``, the id of the message before it in its session. An awaited write that returned is
durable: it survives ``kill -9`` and power loss. Reads see every write that has returned.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from mcp_node.log.transaction import Operation
from mcp_node.search.finding import Found
from mcp_node.search.rows import Wish
from proto.messages import Audience, Message, Session, Visibility
from proto.revocations import Revocation

T = TypeVar("T")

CommitListener = Callable[[Sequence[Message]], None]
"""Called in the event loop after each commit, in commit order, before the writers are answered.

It must not raise and must not block.
"""


class NewMessage(msgspec.Struct, frozen=True):
    """A checked message that has no place in the log yet. ``author`` decides on its parent.

    With an ``idempotency_key``, a message its author has already added to the session under the
    same key is given back instead of being added again.
    """

    session_id: str
    author: Audience
    sender: str
    content: str
    visibility: Visibility
    metadata: msgspec.Raw
    parent_message_id: int | None = None
    idempotency_key: str | None = None


class NewSession(msgspec.Struct, frozen=True):
    """A checked session; get-or-create when its id exists."""

    session_id: str
    purpose: str
    metadata: msgspec.Raw
    created_by: str


class Start(msgspec.Struct, frozen=True, array_like=True):
    """An opening of the log: when (seconds of Unix time), and its last id then."""

    at: float
    head: int


class SessionListing(msgspec.Struct, frozen=True):
    """A session as the asking audience may know it.

    ``last_activity``: when something visible last happened in it (UTC). ``message_count``: its
    visible messages, without deleted ones.
    """

    session: Session
    last_activity: str
    message_count: int


class Page(msgspec.Struct, frozen=True):
    """Messages ascending by id; ``has_more``: the direction of paging has visible ones left."""

    messages: list[Message]
    has_more: bool


class LogPage(msgspec.Struct, frozen=True):
    """A stretch of one session's log, from one read transaction.

    ``through`` is how far the session has been read: the last message's id if the page is full,
    else the session's last id (or ``after`` if that is larger), also when an audience filtered
    everything out. ``head`` is the session's last id (0 if it has no messages).
    """

    epoch: str
    head: int
    through: int
    messages: list[Message]


class Heads(msgspec.Struct, frozen=True):
    """Which sessions have messages after an id: ``changed`` maps them to their last id.

    The look is bounded: ``through`` says how far it went (``head`` when it saw everything).
    ``pruned`` is a number that grows whenever old messages are pruned.
    """

    epoch: str
    head: int
    changed: dict[str, int]
    through: int
    pruned: int = 0


class Database(Protocol):
    """What is stored beside the log (positions, memory, links, search) reads and writes through it.

    A feature keeps its SQL, its operations and its reads in a file of its own.
    """

    def on_commit(self, listener: CommitListener) -> None:
        """Have ``listener`` called with the messages of every commit from now on."""

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a read in one snapshot of the database, in the reader's thread.

        Raises:
            Unavailable: the database failed or is closed.
            PartylineError: whatever ``work`` refuses with.
        """

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation in the writer's next transaction; durable when this returns.

        Raises:
            Overloaded, Unavailable: as `Store.append`.
            PartylineError: whatever else the operation refuses with.
        """


class Store(Database, Protocol):
    """The log. All methods are safe to call concurrently from one event loop.

    Reads raise `proto.errors.Unavailable` when the database fails. Cancelling a read is safe;
    cancelling a write leaves open whether it was committed.
    """

    @property
    def epoch(self) -> str:
        """Random id of this log; a replaced log has another."""

    @property
    def starts(self) -> list[Start]:
        """When the log was opened lately, this time included, and its last id each time.

        Before an opening nobody could write: what came after its head was committed after it.
        """

    @property
    def pending(self) -> int:
        """Writes waiting for their commit."""

    async def append(self, message: NewMessage) -> Message:
        """Commit a message and give it its place.

        Raises:
            SessionNotFound: its session does not exist.
            SessionClosed: its session is read-only.
            ParentNotFound: its parent is not in that session, or ``author`` may not see it.
            InvalidInput: more would see it than may see its parent.
            KeyReused: its idempotency key belongs to a message that says something else.
            LoopGuard: too much was said in the session.
            Overloaded: too many writes are waiting; nothing was stored.
            Unavailable: the commit failed; nothing was stored.
        """

    async def create_session(self, session: NewSession) -> tuple[Session, bool]:
        """The session of that id, and whether this call made it.

        Raises:
            RateLimited: its maker has made as many sessions as one principal may.
            Overloaded, Unavailable: as `append`.
        """

    async def get_session(self, session_id: str) -> Session:
        """The session.

        Raises:
            SessionNotFound: there is none.
        """

    async def list_sessions(
        self,
        audience: Audience,
        *,
        within: frozenset[str] | None,
        limit: int,
        active_since: str | None,
    ) -> list[SessionListing]:
        """Sessions, latest activity first.

        Activity is the latest message ``audience`` may see, or the session's making: what may
        not be seen leaves no trace. A message that was deleted stays an activity.

        Args:
            audience: who asks.
            within: the sessions it may enter; None for all.
            limit: 1 to 1,000.
            active_since: a UTC timestamp in the form of `proto.messages.utc_now`.
        """

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
        """Visible messages: the newest, the first after ``after``, or the last before ``before``.

        Args:
            session_id: the session; an unknown one has no messages.
            audience: who asks.
            after: only ids above this, lowest first. With ``before`` as well: those between the
                two, lowest first.
            before: only ids below this; without ``after``, the highest of them.
            limit: 1 to 1,000.
            sender: only this sender's.
            visibility: only this visibility.
            deletions: whether the entries that delete are wanted too.
        """

    async def search(self, wish: Wish) -> Found:
        """Visible messages that hold every term, newest first; typing errors are forgiven.

        It sees every message that was acknowledged before. Searches take turns with each other
        and with nothing else.
        """

    async def heads(self, after: int) -> Heads:
        """Which sessions moved after an id."""

    async def session_head(self, session_id: str) -> int:
        """The last id of a session, 0 if it has no messages or does not exist."""

    async def log_page(
        self, session_id: str, *, after: int, limit: int, audience: Audience | None
    ) -> LogPage:
        """A stretch of a session's log after an id; unfiltered without an audience."""

    async def revoke(
        self, *, token_id: str | None, agent_id: str | None, issued_until: int
    ) -> list[Revocation]:
        """Take back a token, or every token an agent was issued until then (one of the two).

        The links minted by it end too: theirs are the revocations after the first.

        Raises:
            Overloaded, Unavailable: as `append`.
        """

    async def revocations(self) -> list[Revocation]:
        """Every revocation, by number."""

    async def checkpoint(self) -> bool:
        """Move what is in the write-ahead log to the database, and empty it.

        Returns:
            Whether it is empty now; while a reader, such as a backup, needs it, it is tried again
            later.

        Raises:
            Unavailable: the database failed or is closed.
        """

    async def close(self) -> None:
        """Commit what is pending, then close the database. Idempotent."""
