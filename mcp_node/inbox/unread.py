"""What somebody has not been given yet: counted, and read.

Everything up to the position was given, and beyond it single entries, out of turn: a mention
somebody waited for, a page further on. Those are rows of ``advances`` with ``out_of_turn``; the
latest of them may not be stored yet and come as ``pending``.

An entry that deletes is news to whoever said the text or was given it, unless they deleted it
themselves. To others it says nothing and is not counted.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from mcp_node.log.messages import COLUMNS, message_from_row
from mcp_node.log.sql import Connection, numbers
from mcp_node.sessions import reads
from mcp_node.sessions import rows as queries
from mcp_node.sessions.reads import Narrowing, Page, PageQuery
from proto.messages import Audience, Message
from proto.visibility import SQL_IS_OF_ANY_TYPE, is_private_key

COUNTED: Final = 1_000
"""Unread messages are counted up to here; the count then means "so many or more"."""

LOOKED_AT: Final = 2_000
"""Entries behind a position that are looked at for deletions its reader was not told of."""

_OTHERS: Final = " AND deleted_at IS NULL AND iif(deletes IS NULL, principal, sender) <> :reader"
_OUT_OF_TURN: Final = (
    f"({{id}} IN {numbers(':pending')} OR EXISTS (SELECT 1 FROM advances AS a"
    " WHERE a.session_id = :session AND a.principal = :reader AND a.out_of_turn = 1"
    " AND a.position = {id}))"
)
_UNGIVEN: Final = f" AND NOT {_OUT_OF_TURN.format(id='messages.id')}"
_OF_READ: Final = " AND (deletes IS NULL OR deletes <= :read OR principal = :reader)"
_OF_GIVEN: Final = (
    " AND (deletes IS NULL OR deletes <= :read OR principal = :reader"
    f" OR {_OUT_OF_TURN.format(id='messages.deletes')})"
)
_PASSED_OVER: Final = (
    f"SELECT {COLUMNS} FROM messages INDEXED BY messages_by_deletion"
    " WHERE session_id = ? AND principal <> ? AND deletes > ? AND deletes <= ? AND id > ?"
)
_COUNT: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM messages INDEXED BY messages_by_audience"
    " WHERE session_id = :session AND audience = :key AND id > :after{narrowed}"
    f" LIMIT {COUNTED}) AS unread"
)
_READER: Final = "SELECT joined_after, position FROM readers WHERE session_id = ? AND principal = ?"
_FURTHEST: Final = (
    "SELECT max(position) FROM advances WHERE session_id = ? AND principal = ? AND out_of_turn = 1"
)
_RECORDED: Final = (
    "SELECT position FROM advances WHERE session_id = ? AND principal = ? AND out_of_turn = 1"
    f" AND position IN {numbers('?')}"
)
_MENTIONING: Final = (
    f"SELECT {COLUMNS} FROM messages WHERE id > :after AND ("
    "id IN (SELECT message_id FROM mentions WHERE session_id = :session AND message_id > :after"
    " AND (name = :name OR (name > :name || '/' AND name < :name || '0')))"
    " OR id IN (SELECT m.id FROM messages AS m INDEXED BY messages_by_deletion"
    " WHERE m.session_id = :session AND m.deletes IS NOT NULL AND m.id > :after"
    f" AND {_OUT_OF_TURN.format(id='m.deletes')})"
    f"){_OTHERS}{{narrowed}}"
    " AND (audience IN (SELECT value FROM json_each(:keys))"
    f" OR (:all_types = 1 AND {SQL_IS_OF_ANY_TYPE}))"
    " ORDER BY id LIMIT :limit"
)


class ReadPosition(msgspec.Struct, frozen=True):
    """How far somebody has read in a session.

    ``position``: everything visible up to it that came after ``joined_after`` was given; None
    when no page was read yet. ``furthest``: the last id that was given out of turn, 0 if none was.
    """

    joined_after: int | None = None
    position: int | None = None
    furthest: int = 0

    @property
    def ahead(self) -> bool:
        """Whether something beyond the position was given."""
        return self.furthest > (self.position or 0)


class Reach(NamedTuple):
    """What a reader was given in a session, as far as that is known.

    ``place``: None if it is to be looked up. ``pending``: ids given out of turn that may not be
    stored yet.
    """

    session_id: str
    place: ReadPosition | None = None
    pending: Sequence[int] = ()


class Standing(msgspec.Struct, frozen=True):
    """A reader's place, what it has not read (up to `COUNTED`), and the log's last id then.

    ``known``: whether it has been in the session before, as far as that is stored.
    """

    place: ReadPosition
    unread: int
    head: int
    known: bool


class News(NamedTuple):
    """Unread entries, oldest first, and the id up to which everything is given with them.

    ``needless``: deletions further on of messages up to there that were gone already.
    """

    page: Page
    through: int
    needless: list[Message]


def standing(connection: Connection, audience: Audience, reach: Reach) -> Standing:
    """Where a reader stands."""
    row = connection.execute(_READER, (reach.session_id, audience.agent_id)).fetchone()
    place = reach.place
    if place is None:
        who = (reach.session_id, audience.agent_id)
        (furthest,) = connection.execute(_FURTHEST, who).fetchone()
        joined_after, position = row or (None, None)
        place = ReadPosition(joined_after, position, furthest or 0)
    count = _count(connection, audience, reach._replace(place=place))
    return Standing(place, count, reads.head(connection), row is not None)


def standings(
    connection: Connection, audience: Audience, reaches: Sequence[Reach]
) -> dict[str, Standing]:
    """Where a reader stands in several sessions."""
    return {each.session_id: standing(connection, audience, each) for each in reaches}


def news(connection: Connection, audience: Audience, reach: Reach, limit: int) -> News:
    """Others' entries that a reader was not given: the oldest, at first the newest."""
    place = reach.place or ReadPosition()
    first_time = place.position is None
    query = PageQuery(
        reach.session_id,
        place.position,
        None,
        limit,
        descending=first_time,
        deletions=True,
        narrowing=_narrowing(audience, reach),
    )
    page = reads.page(connection, audience, query)
    through = page.messages[-1].id if page.messages else place.position or 0
    if first_time or not page.has_more:
        through = max(through, place.furthest)
    passed = (reach.session_id, audience.agent_id, place.position or 0, through, through)
    needless = [message_from_row(row) for row in connection.execute(_PASSED_OVER, passed)]
    return News(page, through, needless)


def mentioning(
    connection: Connection, audience: Audience, reach: Reach, after: int | None, limit: int
) -> Page:
    """Others' messages that mention a reader, and deletions of those it was given out of turn.

    Args:
        connection: in a read transaction.
        audience: the reader.
        reach: what it was given.
        after: all of them after this id; None: those it was not given.
        limit: how many at most.
    """
    place = reach.place or ReadPosition()
    keys, all_types = queries.visible_keys(audience, None)
    narrowed = _UNGIVEN if after is None and (place.ahead or reach.pending) else ""
    rows = connection.execute(
        _MENTIONING.format(narrowed=narrowed),
        {
            "session": reach.session_id,
            "after": reads.clamp(after if after is not None else place.position or 0),
            "name": audience.agent_id.lower(),
            "reader": audience.agent_id,
            "pending": _json(reach.pending),
            "keys": _json(keys),
            "all_types": all_types,
            "limit": limit + 1,
        },
    ).fetchall()
    return Page([message_from_row(row) for row in rows[:limit]], len(rows) > limit)


def not_recorded(
    connection: Connection, session_id: str, principal: str, ids: Sequence[int]
) -> list[int]:
    """Those of some ids that are not stored as given out of turn."""
    found = connection.execute(_RECORDED, (session_id, principal, _json(ids)))
    recorded = {position for (position,) in found}
    return [id_ for id_ in ids if id_ not in recorded]


def told_through(
    connection: Connection, audience: Audience, reach: Reach, shown: Sequence[int]
) -> int | None:
    """How far a page read backwards tells its reader everything.

    It shows which of its messages were deleted, and nothing of other deletions.

    Args:
        connection: in a read transaction.
        audience: the reader.
        reach: what it was given; the page continues it.
        shown: the page's ids.

    Returns:
        At least the page's last id: deletions that it shows, right behind what is read, are told.
        None: on the way there is a deletion that it does not tell of.
    """
    place, last, on_page = reach.place or ReadPosition(), shown[-1], set(shown)
    joins = place.position is None
    behind = PageQuery(
        reach.session_id,
        last if joins else place.position,
        None,
        LOOKED_AT,
        deletions=True,
        narrowing=_narrowing(audience, reach, read=max(last, place.position or 0)),
    )
    page = reads.page(connection, audience, behind)
    through = last
    for entry in page.messages:
        told = joins or entry.deletes in on_page
        if entry.id <= last:
            if entry.deletes is not None and not told:
                return None
        elif entry.deletes is None or not told:
            return through
        else:
            through = entry.id
    return None if page.has_more and page.messages[-1].id < last else through


def _narrowing(audience: Audience, reach: Reach, read: int | None = None) -> Narrowing:
    """Others' entries that a reader was not given, and deletions of what it was given.

    Up to ``read`` everything was given; None: up to its position.
    """
    place = reach.place or ReadPosition()
    if read is None:
        read = place.position or 0
    out_of_turn = place.ahead or bool(reach.pending)
    sql = _OTHERS + (_UNGIVEN + _OF_GIVEN if out_of_turn else _OF_READ)
    return Narrowing(sql, audience.agent_id, _json(reach.pending), read)


def _count(connection: Connection, audience: Audience, reach: Reach) -> int:
    """Others' visible entries that a reader was not given, up to `COUNTED`."""
    keys, all_types = queries.visible_keys(audience, None)
    if all_types:
        found = connection.execute(queries.ALL_TYPES, {"session": reach.session_id})
        keys.extend(key for (key,) in found)
    place, narrowing = reach.place or ReadPosition(), _narrowing(audience, reach)
    sql = _COUNT.format(narrowed=narrowing.sql)
    where = {
        "session": reach.session_id,
        "after": place.position or 0,
        "reader": narrowing.reader,
        "pending": narrowing.pending,
        "read": narrowing.read,
    }
    count = 0
    for key in keys:
        if not is_private_key(key):  # private messages are one's own
            (found_here,) = connection.execute(sql, {**where, "key": key}).fetchone()
            count += found_here
            if count >= COUNTED:
                return COUNTED
    return count


def _json(values: Sequence[object]) -> str:
    return msgspec.json.encode(values).decode()
