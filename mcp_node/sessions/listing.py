"""The list of sessions by latest visible activity, without reading every session."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from mcp_node.log.sql import Connection
from mcp_node.sessions.rows import SESSION_COLUMNS, all_types, session_from_row
from mcp_node.sessions.tallies import key_parameters, seen
from proto.messages import Audience, Session
from proto.visibility import held_keys, holds_all_types


class SessionListing(msgspec.Struct, frozen=True):
    """A session as an audience may see it.

    ``last_activity``: when something visible to it last happened (UTC). ``message_count``: how
    many messages it may see, without deleted ones.
    """

    session: Session
    last_activity: str
    message_count: int


NEWEST: Final = "SELECT session_id FROM sessions ORDER BY created_at DESC, session_id LIMIT ?"
LATEST: Final = (
    "SELECT session_id FROM tallies INDEXED BY tallies_by_time WHERE audience = ?"
    " ORDER BY last_at DESC, session_id LIMIT ?"
)
ALL_TYPES: Final = all_types("tallies INDEXED BY tallies_by_time WHERE")
"""The ``t:`` keys that occur anywhere."""


def sessions(
    connection: Connection,
    audience: Audience,
    *,
    within: frozenset[str] | None,
    limit: int,
    active_since: str | None,
) -> list[SessionListing]:
    """Sessions by the latest activity that ``audience`` may see, the latest first.

    Activity is the creation of a session, or a message under an audience key that the reader
    holds. The ``limit`` latest sessions are each among the ``limit`` latest by creation or under
    one of the keys, so only those candidates are read.

    Args:
        connection: in a read transaction.
        audience: the reader.
        within: only these sessions; None for all.
        limit: the most sessions.
        active_since: only sessions with activity at or after this time; None for all.
    """
    keys = held_keys(audience)
    of_all_types = holds_all_types(audience)
    if within is None:
        within = _candidates(connection, keys, of_all_types, limit)
    parameters = {
        "within": msgspec.json.encode(sorted(within)).decode(),
        "since": active_since,
        "limit": limit,
        **key_parameters(keys),
    }
    found = connection.execute(listing(len(keys), of_all_types=of_all_types), parameters)
    return [SessionListing(session_from_row(row), *row[8:]) for row in found]


def _candidates(
    connection: Connection, keys: Sequence[str], of_all_types: bool, limit: int
) -> frozenset[str]:
    found = set(connection.execute(NEWEST, (limit,)))
    types = [key for (key,) in connection.execute(ALL_TYPES)] if of_all_types else []
    for key in (*keys, *types):
        found.update(connection.execute(LATEST, (key, limit)))
    return frozenset(session_id for (session_id,) in found)


@lru_cache(maxsize=16)
def listing(keys: int, *, of_all_types: bool) -> str:
    """SQL for the sessions of a JSON array by latest activity, with activity and message count.

    Parameters of the statement: within (the array), since (or NULL), limit, key0, key1 and so on.
    """
    tallies = seen(keys, of_all_types, "s.session_id")
    latest = (
        "SELECT * FROM (SELECT s.*,"
        f" max(created_at, ifnull((SELECT max(last_at) FROM ({tallies}) AS seen), '')) AS activity"
        " FROM json_each(:within) AS one CROSS JOIN sessions AS s ON s.session_id = one.value"
        ") AS wanted WHERE CAST(:since AS TEXT) IS NULL OR activity >= :since"
        " ORDER BY activity DESC, session_id LIMIT :limit"
    )
    return (
        f"SELECT {SESSION_COLUMNS}, activity,"
        f" (SELECT ifnull(sum(messages), 0) FROM ({tallies}) AS seen)"
        f" FROM ({latest}) AS s ORDER BY activity DESC, session_id"
    )
