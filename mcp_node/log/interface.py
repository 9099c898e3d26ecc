"""What the node asks of its database, whatever engine is behind it.

It holds the log: messages in commit order, ``id`` 1, 2, 3 … (what was pruned leaves holes), each
with ``prev``, the id of the message before it in its session. An awaited write that returned is
durable: it survives ``kill -9`` and power loss. Reads see every write that has returned.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from mcp_node.log.sql import Connection
from mcp_node.log.transaction import Operation
from proto.messages import Message

T = TypeVar("T")

CommitListener = Callable[[Sequence[Message]], None]
"""Called in the event loop after each commit, in commit order, before the writers are answered.

It must not raise and must not block.
"""


class Start(msgspec.Struct, frozen=True, array_like=True):
    """An opening of the log: when (seconds of Unix time), and its last id then."""

    at: float
    head: int


class Database(Protocol):
    """The log and everything stored beside it. Every feature reads and writes through it.

    All methods are safe to call concurrently from one event loop. A feature keeps its SQL, its
    operations and its reads in a folder of its own.
    """

    @property
    def epoch(self) -> str:
        """Random id of this log; a replaced log has another."""

    @property
    def starts(self) -> list[Start]:
        """The latest openings of the log, this one included, each with its last id then.

        Before an opening nobody could write: what came after its head was committed after it.
        """

    @property
    def pending(self) -> int:
        """Writes waiting for their commit."""

    def on_commit(self, listener: CommitListener) -> None:
        """Have ``listener`` called with the messages of every commit from now on."""

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a read in one snapshot of the database, in the reader's thread.

        Cancelling is safe: the read goes on in its thread, and nobody takes its result.

        Raises:
            Unavailable: the database failed or is closed.
            PartylineError: whatever ``work`` refuses with.
        """

    async def read_apart(self, work: Callable[[Connection], T]) -> T:
        """Run a read that may take long on a connection of its own.

        Such reads take turns with each other and delay no other read. Otherwise as `read`.
        """

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation in the writer's next transaction; durable when this returns.

        Cancelled before that begins, it is never run; afterwards it may still be committed.

        Raises:
            Overloaded: too many writes are waiting; nothing was stored.
            Unavailable: the commit failed; nothing was stored.
            PartylineError: whatever else the operation refuses with.
        """

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
