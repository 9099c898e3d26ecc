"""Composes the database: each feature's tables, and what it keeps in step with the log.

A feature that stores something is registered here: its migrations in `SCHEMA`, its companions in
`companions`. The engine (`mcp_node.log`) knows no feature.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from mcp_node.coordination import tables as coordination
from mcp_node.inbox import tables as inbox
from mcp_node.inbox.mention_rows import Mentions
from mcp_node.links import tables as links
from mcp_node.log import tables as log
from mcp_node.log.interface import Database
from mcp_node.log.migrations import Schema, merge_versions
from mcp_node.log.sqlite.database import open_database
from mcp_node.log.transaction import Companion
from mcp_node.memory import tables as memory
from mcp_node.search import index as search
from mcp_node.search.fts5 import add_search_functions
from mcp_node.sessions import tables as sessions
from mcp_node.sessions.digests import Digests
from mcp_node.sessions.guard import Limits
from mcp_node.sessions.metadata_index import MetadataIndex
from mcp_node.sessions.reactions import Reactions
from mcp_node.sessions.revisions import Revisions
from mcp_node.sessions.states import SessionStates
from mcp_node.sessions.tallies import Tallies
from proto.errors import ConfigurationError
from proto.keyfile import digests_key, open_key_dir
from proto.settings import Settings

_FEATURES: Final = (
    sessions.MIGRATIONS,
    log.MIGRATIONS,
    inbox.MIGRATIONS,
    memory.MIGRATIONS,
    links.MIGRATIONS,
    coordination.MIGRATIONS,
)
SCHEMA: Final = Schema(merge_versions([*_FEATURES, search.MIGRATIONS]), add_search_functions)
"""All tables of the database in SQLite. Within a version, features keep this order."""

POSTGRES_VERSIONS: Final = merge_versions(
    [
        *_FEATURES,
        log.POSTGRES_MIGRATIONS,
        memory.POSTGRES_MIGRATIONS,
        search.POSTGRES_MIGRATIONS,
    ]
)
"""The steps of each schema version in PostgreSQL."""


def companions(data_dir: Path, settings: Settings) -> Sequence[Companion]:
    """New companions of all features, for one opening of the database.

    Raises:
        ConfigurationError: the key file of the digests cannot be read or created.
    """
    return (
        SessionStates(Limits.of_server(settings)),
        Tallies(),
        Mentions(),
        MetadataIndex(),
        Revisions(),
        Reactions(),
        Digests(digests_key(open_key_dir(data_dir, settings.key_dir))),
        search.SearchIndex(),
    )


async def open_store(data_dir: Path, settings: Settings) -> Database:
    """Open the deployment's database. The caller must close it.

    Args:
        data_dir: of the node. The caller holds its lock file.
        settings: where the log is stored, and limits on pending writes.

    Raises:
        ConfigurationError: the database, or the key file of the digests, cannot be used.
    """
    make_companions = partial(companions, data_dir, settings)
    if settings.store is None:
        return await open_database(data_dir, SCHEMA, make_companions, settings)
    try:
        from mcp_node.log.postgres.database import open_database as open_postgres
    except ImportError:
        raise ConfigurationError(
            "PARTYLINE_STORE needs the driver of PostgreSQL: pip install 'partyline[cluster]'"
        ) from None
    return await open_postgres(data_dir, POSTGRES_VERSIONS, make_companions, settings)
