"""The database as features see it.

The database holds the log: messages in commit order, with the ids 1, 2, 3 … (pruning leaves gaps).
Each message has ``prev``, the id of the message before it in its session. Once an awaited write
returns it is durable: it survives ``kill -9`` and power loss. Reads see every write that has
returned.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import msgspec

from mcp_node.log.sql import Connection
from mcp_node.log.transaction import Operation
from proto.messages import Message

T = TypeVar("T")

W = TypeVar("W")

CommitListener = Callable[[Sequence[Message]], None]
"""Called in the event loop with committed messages, ascending by id. It must not raise or block."""


class Watch(Protocol[W]):
    """Finds what other nodes changed besides adding messages, such as closed sessions."""

    def read(self, connection: Connection) -> W:
        """Read what changed since the last call; runs in a thread, in a snapshot."""

    def apply(self, found: W) -> None:
        """Called in the event loop with what `read` returned. It must not raise or block."""


class Start(msgspec.Struct, frozen=True, array_like=True):
    """One opening of the database: its time (seconds of Unix time) and the log's last id then."""

    at: float
    head: int


KEPT_STARTS: Final = 20
"""Limit on remembered openings of the database."""


class Log(NamedTuple):
    """A log when it was opened: its epoch, its last id, and its openings, oldest first."""

    epoch: str
    head: int
    starts: list[Start]


class Database(Protocol):
    """The log and everything stored beside it. Every feature reads and writes through it.

    All methods may be called concurrently from one event loop.
    """

    @property
    def epoch(self) -> str:
        """Random id of this log. A restored or replaced log has a different one."""

    @property
    def starts(self) -> list[Start]:
        """The latest openings of the database, oldest first, this one included.

        Messages with ids above a start's ``head`` were committed after that start.
        """

    @property
    def pending(self) -> int:
        """Number of writes that are not committed yet, including those in progress."""

    @property
    def shared(self) -> bool:
        """Whether other nodes may read and write the same log while this one does."""

    def on_commit(self, listener: CommitListener) -> None:
        """Call ``listener`` with every message committed from now on, by whichever node, in order.

        For this node's own messages that is before their writes return, unless another node
        committed shortly before: then it is after those were read.
        """

    def on_own_commit(self, listener: CommitListener) -> None:
        """Call ``listener`` with the messages of this node's commits, before the writes return."""

    def watch(self, watch: Watch[Any]) -> None:
        """Have ``watch`` look for changes of other nodes, a second after they were committed.

        Never called if the database is not `shared`.
        """

    def look(self) -> None:
        """Look for what other nodes committed now, because something tells that they have."""

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one snapshot of the database, in the reader's thread.

        Cancelling is safe: the read continues in its thread and its result is discarded.

        Raises:
            Unavailable: the database failed or is closed.
            PartylineError: raised by ``work``.
        """

    async def read_long(self, work: Callable[[Connection], T]) -> T:
        """Like `read`, for reads that may take long.

        They share a connection of their own, so they wait for each other but delay no other read.
        """

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation in the writer's next transaction. It is durable when this returns.

        If cancelled before that transaction begins, the operation does not run; if cancelled
        later, it may still be committed.

        Raises:
            Overloaded: too many writes are pending; nothing was stored.
            Unavailable: the commit failed or the database is closed; nothing was stored.
            PartylineError: raised by the operation; nothing was stored.
        """

    async def checkpoint(self) -> bool:
        """Copy the write-ahead log into the database file and truncate it.

        Returns:
            Whether it was truncated. A reader, such as a backup, can prevent that; it is then
            retried in the background.

        Raises:
            Unavailable: the database failed or is closed.
        """

    async def close(self) -> None:
        """Commit pending writes, then close the database. Idempotent."""
