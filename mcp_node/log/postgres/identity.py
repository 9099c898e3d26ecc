"""Whether a connection still leads to the log that this node serves.

Another server may answer at the same address: a standby that was promoted, or a database that was
restored. If it lacks messages that were committed, ids are given out again, so it is another log
and needs another epoch. Three things reveal it:

* The server's timeline, which changes with a promotion. Every transaction of a node stores the
  timeline, and whether a synchronous standby had to confirm it. If it was not confirmed, nobody can
  tell what the new server lacks, so the log gets a new epoch. If it was, it keeps its epoch.
* The log's last id: lower than what this node has seen.
* The epoch, which another node may have changed for these reasons.

Every connection is checked before it is used, so that nothing of another log is shown under the
epoch of this one.
"""

import logging
import os
import secrets
import signal
from typing import Any, Final, NamedTuple

import psycopg

from mcp_node.log.epoch import EPOCH, change_epoch
from mcp_node.log.messages import HEAD
from mcp_node.log.postgres.connection import PostgresConnection

TIMELINE: Final = "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
"""SQL for the server's timeline; an error on a standby."""

SYNCHRONOUS: Final = "current_setting('synchronous_standby_names') <> ''"
"""SQL for whether a commit waits for a standby."""

LOCK_LOG: Final = "SELECT pg_advisory_xact_lock(?)"

NEXT_NUMBER: Final = "(SELECT ifnull(max(number), 0) + 1 FROM batches)"

PROMOTION: Final = "promotion"
"""In place of a node's name, in the row of ``batches`` that records a new timeline."""

_SHARE: Final = "SELECT pg_try_advisory_lock_shared(?)"
_HOLD_ALONE: Final = "SELECT pg_try_advisory_lock(?)"
_IS_STANDBY: Final = "SELECT pg_is_in_recovery()"
_STATE: Final = f"""
    SELECT ({EPOCH}), ({HEAD}), {TIMELINE}, last.timeline,
        last.synchronous
    FROM (SELECT 1) AS one
    LEFT JOIN (SELECT * FROM batches ORDER BY number DESC LIMIT 1) AS last ON true
"""
_RECORD: Final = f"""
    INSERT INTO batches (node, number, timeline, synchronous, at)
    SELECT '{PROMOTION}', {NEXT_NUMBER}, {TIMELINE}, {SYNCHRONOUS}, now()
    ON CONFLICT (node) DO UPDATE SET number = excluded.number, timeline = excluded.timeline,
        synchronous = excluded.synchronous, at = excluded.at
"""

logger = logging.getLogger(__name__)


class Standby(psycopg.OperationalError):
    """The server is a standby: it takes no writes, and may lag behind."""


class LogReplaced(psycopg.OperationalError):
    """The server holds another log than the one this node serves."""


class LogMoving(psycopg.OperationalError):
    """``partyline migrate`` uses the log."""


class State(NamedTuple):
    """What a server tells of its log.

    Attributes:
        epoch: of the log.
        head: its last id.
        timeline: of the server.
        last_timeline: of the server that committed the last transaction; None: there is none.
        synchronous: whether a synchronous standby confirmed that transaction.
    """

    epoch: str
    head: int
    timeline: str
    last_timeline: str | None
    synchronous: bool | None

    @property
    def promoted(self) -> bool:
        """Whether the server was promoted, and no transaction of a node came after that."""
        return self.last_timeline not in (None, self.timeline)


def share(connection: PostgresConnection, lock: int) -> None:
    """Hold the log as one of its nodes, until the connection is closed.

    Args:
        connection: to the server.
        lock: the number of the log's lock; that of its nodes is the next one.

    Raises:
        LogMoving: `hold_alone` was called on another connection.
    """
    (shared,) = connection.execute(_SHARE, (lock + 1,)).fetchone()
    if not shared:
        raise LogMoving("the log is being moved")


def hold_alone(connection: PostgresConnection, lock: int) -> bool:
    """Hold the log without any node, until the connection is closed; False if a node holds it."""
    (alone,) = connection.execute(_HOLD_ALONE, (lock + 1,)).fetchone()
    return bool(alone)


def state(connection: PostgresConnection) -> State:
    """What the server tells of its log.

    Raises:
        Standby: it is a standby.
    """
    (standby,) = connection.execute(_IS_STANDBY).fetchone()
    if standby:
        raise Standby("the server is a standby")
    return State(*connection.execute(_STATE).fetchone())


def settle(connection: PostgresConnection, known: int) -> State:
    """Give the log a new epoch if messages may be gone. In a transaction that holds the log's lock.

    Args:
        connection: to the server.
        known: an id that was committed in this log.
    """
    found = state(connection)
    lost = found.head < known
    if found.promoted:
        logger.warning("PostgreSQL has another timeline than before: a standby was promoted")
        connection.execute(_RECORD)
        lost = lost or not found.synchronous
    if lost:
        epoch = secrets.token_hex(16)
        logger.warning("committed messages may be gone: the log gets a new epoch")
        change_epoch(connection, epoch)
        found = found._replace(epoch=epoch)
    return found


class LogIdentity:
    """The log that this node serves, and how far it has seen it. For any thread.

    Args:
        epoch: of the log.
        head: its last id when the node started.
        lock: the number of its advisory lock.
    """

    def __init__(self, epoch: str, head: int, lock: int) -> None:
        self._epoch = epoch
        self._known = head
        self._lock = lock
        self._replaced = False

    def saw(self, head: int) -> None:
        """Note that an id was committed."""
        self._known = max(self._known, head)

    def check(self, connection: PostgresConnection) -> None:
        """Check that a new connection leads to this log.

        If not, the node stops: agents and ws_nodes know it by its epoch. When it starts again it
        serves the log that is there.

        Raises:
            Standby: the server is a standby.
            LogReplaced: it holds another log.
            psycopg.Error: the server failed.
        """
        known = self._known  # before the server is asked: it must have at least this
        found = state(connection)
        if found.promoted or (found.head < known and found.epoch == self._epoch):
            with connection.raw.transaction():
                connection.execute(LOCK_LOG, (self._lock,))
                found = settle(connection, known)
        if found.epoch != self._epoch:
            self._stop()
            raise LogReplaced("this is another log")

    def compare(self, epoch: Any, head: int, known: int) -> None:
        """Compare what a snapshot shows with what this node knew before that snapshot.

        Raises:
            LogReplaced: it is another log, or messages are gone.
        """
        if epoch != self._epoch or head < known:
            self._stop()
            raise LogReplaced("this is another log")

    def _stop(self) -> None:
        if not self._replaced:
            self._replaced = True
            logger.critical("the node stops: PARTYLINE_STORE lacks messages that it had")
            stop_node()


def stop_node() -> None:
    """Have the node stop as if an operator had asked it to. For any thread."""
    os.kill(os.getpid(), signal.SIGTERM)
