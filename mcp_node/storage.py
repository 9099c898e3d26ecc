"""Composes the database: each feature's tables, and what it keeps in step with the log.

A feature that stores something is registered here: its migrations in `SCHEMA`, its companions in
`companions`. The engine (`mcp_node.log`) knows no feature.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from mcp_node.inbox import tables as inbox
from mcp_node.inbox.mention_rows import Mentions
from mcp_node.links import tables as links
from mcp_node.log import tables as log
from mcp_node.log.migrations import Schema, merge_versions
from mcp_node.log.sqlite import SqliteDatabase, open_database
from mcp_node.log.transaction import Companion
from mcp_node.memory import tables as memory
from mcp_node.search import index as search
from mcp_node.sessions import tables as sessions
from mcp_node.sessions.digests import Digests
from mcp_node.sessions.guard import Limits
from mcp_node.sessions.states import SessionStates
from mcp_node.sessions.tallies import Tallies
from proto.keyfile import digests_key
from proto.settings import Settings

SCHEMA: Final = Schema(
    merge_versions(
        [
            log.MIGRATIONS,
            sessions.MIGRATIONS,
            inbox.MIGRATIONS,
            memory.MIGRATIONS,
            links.MIGRATIONS,
            search.MIGRATIONS,
        ]
    ),
    search.add_search_functions,
)
"""All tables of the database. Within a version, the log's own steps run first."""


def companions(data_dir: Path, settings: Settings) -> Sequence[Companion]:
    """New companions of all features, for one opening of the database.

    Raises:
        ConfigurationError: the key file of the digests cannot be read or created.
    """
    return (
        SessionStates(Limits.of_server(settings)),
        Tallies(),
        Mentions(),
        Digests(digests_key(data_dir)),
        search.SearchIndex(),
    )


async def open_store(data_dir: Path, settings: Settings) -> SqliteDatabase:
    """Open the database of a data directory; see `open_database`.

    Raises:
        ConfigurationError: the database, or the key file of the digests, cannot be used.
    """
    return await open_database(data_dir, SCHEMA, partial(companions, data_dir, settings), settings)
