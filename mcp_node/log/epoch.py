"""The epoch: which log a store holds, and whether a node may use it.

Viewers and agents keep positions, which are ids of one epoch. If messages are lost, their ids will
be assigned again, so the log gets a new epoch and those positions become invalid.
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

_TRANSFER: Final = f"SELECT value FROM meta WHERE name = '{TRANSFER}'"


def transfer_under_way(connection: Connection) -> str | None:
    """The value of the row `TRANSFER`, None if there is none."""
    row = connection.execute(_TRANSFER).fetchone()
    return None if row is None else str(row[0])


def settle_epoch(connection: Connection, mark: Mark | None) -> tuple[str, int]:
    """Give the log a new epoch if messages were lost; return its epoch and last id.

    Messages were lost if the last id is below the mark of the same epoch: the database was replaced
    by an older copy, or by a standby that had not received them.

    Args:
        connection: writable, in a transaction or in autocommit.
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
    (epoch,) = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
    (head,) = connection.execute(HEAD).fetchone()
    if mark is not None and mark.epoch == epoch and head < mark.id:
        epoch = secrets.token_hex(16)
        change_epoch(connection, epoch)
    return epoch, head


def change_epoch(connection: Connection, epoch: str) -> None:
    """Give the log another epoch, and drop its openings: their ids belong to the old one."""
    connection.execute("UPDATE meta SET value = ? WHERE name = 'epoch'", (epoch,))
    connection.execute("DELETE FROM starts")
