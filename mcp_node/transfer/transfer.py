"""A transfer: copies a deployment from one store to another, compares, and makes it usable."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from mcp_node.log.mark import Mark
from mcp_node.log.migrations import Schema
from mcp_node.transfer.catalogue import Table, catalogue
from mcp_node.transfer.copying import Progress, copy_table, index_messages
from mcp_node.transfer.store import Store, begin, complete, origin
from mcp_node.transfer.verification import MESSAGES, Difference, compare
from proto.errors import ConfigurationError

SHOWN_DIFFERENCES: Final = 10

Say = Callable[[str], None]


class Moved(NamedTuple):
    """What was moved.

    Attributes:
        messages, sessions: how many messages, in how many sessions that have any.
        tables: how many tables were compared.
        was_complete: whether the target was a complete copy before.
    """

    messages: int
    sessions: int
    tables: int
    was_complete: bool


def transfer(source: Store, target: Store, schema: Schema, mark: Mark | None, say: Say) -> Moved:
    """Copy everything from one store to another, or what is missing there after an interruption.

    No node can use the target before everything was compared and found equal.

    Args:
        source: used by nobody else.
        target: the same; empty, or filled in part by an earlier call.
        schema: the tables in SQLite.
        mark: the last durable id that the node of this data directory knew.
        say: prints a line.

    Raises:
        ConfigurationError: a store cannot be used for this, or the copy differs.
        Exception: an engine's own error. The next call continues.
    """
    tables = catalogue(schema)
    wanted = origin(source, mark, say)
    was_complete = begin(target, tables, wanted)
    tables = [target.columns(source.columns(table)) for table in tables]
    if not was_complete:
        say("Copying:")
        progress = Progress(say)
        for table in tables:
            copy_table(source, target, table, progress)
        index_messages(target, progress)
        say("Preparing the copy for use.")
        target.prepare_for_use()
    moved = _compare(source, target, tables, say)
    if not was_complete:
        complete(source, target)
    return moved._replace(was_complete=was_complete)


def _compare(source: Store, target: Store, tables: Sequence[Table], say: Say) -> Moved:
    say("Comparing both sides:")
    differences: list[Difference] = []
    messages = sessions = 0
    for table in tables:
        compared = compare(source, target, table)
        if compared.table == MESSAGES:
            messages, sessions = compared.rows, compared.sessions
        verdict = "different" if compared.differences else "equal"
        rooms = f" in {compared.sessions:,} sessions" if compared.sessions else ""
        say(f"  {table.name:<14} {compared.rows:>12,} rows{rooms}, {verdict}")
        differences += compared.differences
    if differences:
        for difference in differences[:SHOWN_DIFFERENCES]:
            say(f"  DIFFERENT  {difference}")
        raise ConfigurationError(
            f"{target.name} is not an exact copy: remove it ({target.removal}), then run this"
            " command again"
        )
    return Moved(messages, sessions, len(tables), was_complete=False)
