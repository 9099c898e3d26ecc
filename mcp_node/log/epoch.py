"""The epoch: which log a store holds, and whether a node may use it.

Viewers and agents keep positions, which are ids of one epoch. If messages are lost, their ids will
be assigned again, so the log gets a new epoch and those positions become invalid: when the database
was replaced by an older copy, or by a standby that had not received all.
"""

import secrets
from typing import Final

from mcp_node.log.mark import Mark
from mcp_node.log.messages import HEAD
from mcp_node.log.sql import Connection
from proto.errors import ConfigurationError

TRANSFER: Final = "transfer"
"""Name of the row of ``meta`` that a store has while ``partyline migrate`` fills it. It has no
epoch then, so that a node cannot use it."""

EPOCH: Final = "SELECT value FROM meta WHERE name = 'epoch'"
_TRANSFER: Final = f"SELECT value FROM meta WHERE name = '{TRANSFER}'"


def transfer_under_way(connection: Connection) -> str | None:
    """The value of the row `TRANSFER`, None if there is none."""
    row = connection.execute(_TRANSFER).fetchone()
    return None if row is None else str(row[0])


def known_id(connection: Connection, mark: Mark | None) -> int:
    """An id that was committed in the log, for all that this node knows; 0 if it knows none.

    Args:
        connection: in a transaction or in autocommit.
        mark: the last one that this node wrote.

    Raises:
        ConfigurationError: the store is the target of a ``partyline migrate`` that has not
            finished.
    """
    if transfer_under_way(connection) is not None:
        raise ConfigurationError(
            "the log is the target of a partyline migrate that has not finished; "
            "run that command again, or use the store it was copied from"
        )
    (epoch,) = connection.execute(EPOCH).fetchone()
    return mark.id if mark is not None and mark.epoch == epoch else 0


def settle_epoch(connection: Connection, mark: Mark | None) -> tuple[str, int]:
    """Give the log a new epoch if its last id is below the one known; return epoch and last id.

    Raises:
        ConfigurationError: as `known_id`.
    """
    known = known_id(connection, mark)
    (head,) = connection.execute(HEAD).fetchone()
    if head < known:
        change_epoch(connection, secrets.token_hex(16))
    (epoch,) = connection.execute(EPOCH).fetchone()
    return epoch, head


def change_epoch(connection: Connection, epoch: str) -> None:
    """Give the log another epoch, and drop its openings: their ids belong to the old one."""
    connection.execute("UPDATE meta SET value = ? WHERE name = 'epoch'", (epoch,))
    connection.execute("DELETE FROM starts")
