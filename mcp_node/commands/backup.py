"""``partyline backup`` and ``partyline restore``: copies of the log."""

from pathlib import Path

from mcp_node.log.sqlite.backup import back_up, restore
from mcp_node.storage import SCHEMA
from proto.errors import ConfigurationError
from proto.keyfile import open_data_dir
from proto.settings import Settings
from serving.process.lockfile import LockFile


def make_backup(settings: Settings, target: Path) -> str:
    """Back up the log; return the text to print.

    Raises:
        ConfigurationError: the backup failed; the text says why.
    """
    _check_is_sqlite(settings)
    copy = back_up(open_data_dir(settings.data_dir), target.absolute(), SCHEMA)
    return f"{target}: {copy.head} messages, {copy.size} bytes."


def restore_backup(settings: Settings, source: Path) -> str:
    """Replace the log with a backup; return the text to print.

    Raises:
        ConfigurationError: mcp_node is running, or the backup cannot be restored; the text says
            why.
    """
    _check_is_sqlite(settings)
    data_dir = open_data_dir(settings.data_dir)
    with LockFile(data_dir / "mcp.lock", "mcp_node"):
        copy = restore(data_dir, source.absolute(), SCHEMA)
    return (
        f"The log in {data_dir} now has {copy.head} messages. Viewers will reload (a new epoch). "
        "The previous log is kept as partyline.db.before-restore."
    )


def _check_is_sqlite(settings: Settings) -> None:
    if settings.store is not None:
        raise ConfigurationError(
            "the log is in PARTYLINE_STORE: use PostgreSQL's own tools (docs/cluster.md)"
        )
