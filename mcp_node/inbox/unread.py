"""Unread entries of a reader: counting and reading them.

A reader was given everything up to its position. Beyond it, it may have been given single entries
"out of turn", such as a mention or a page further on. Those are rows of ``advances`` with
``out_of_turn``; the latest may not be stored yet and are passed as ``pending``.

A deletion entry is unread for the author of the deleted message and for those who were given it,
unless they deleted it themselves. An edit is unread for those who were given the message. For
others they do not count. Reactions are never unread.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from mcp_node.log.messages import COLUMNS, IS_CHANGE, message_from_row, with_texts
from mcp_node.log.sql import Connection, numbers
from mcp_node.sessions import reads
from mcp_node.sessions import rows as queries
from mcp_node.sessions.filters import under
from mcp_node.sessions.reads import Narrowing, Page, PageQuery
from proto.messages import Audience, Message
from proto.visibility import SQL_IS_OF_ANY_TYPE, is_private_key

COUNTED: Final = 1_000
"""Unread messages are counted up to here; this count means "so many or more"."""

LOOKED_AT: Final = 2_000
"""The most entries after a position in which `told_through` looks for deletions."""

_OTHERS: Final = (
    " AND deleted_at IS NULL AND iif(deletes IS NULL, principal, sender) <> :reader"
    f" AND (deletes IS NULL OR {IS_CHANGE})"
)
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
    f" AND {IS_CHANGE}"
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
    """How far a principal has read in a session.

    ``position``: everything visible after ``joined_after`` up to this id was given; None if no
    page was read yet. ``furthest``: the highest id given out of turn, 0 if there is none.
    """

    joined_after: int | None = None
    position: int | None = None
    furthest: int = 0

    @property
    def ahead(self) -> bool:
        """Whether something after the position was given."""
        return self.furthest > (self.position or 0)


class Reach(NamedTuple):
    """What a reader was given in a session, as far as this process knows.

    ``place``: its read position; None if it must be loaded. ``pending``: ids given out of turn
    that may not be stored yet.
    """

    session_id: str
    place: ReadPosition | None = None
    pending: Sequence[int] = ()


class Standing(msgspec.Struct, frozen=True):
    """A reader's position and unread count, read in one snapshot.

    ``unread``: up to `COUNTED`. ``head``: the log's last id in that snapshot. ``known``: whether
    the reader is stored as having been in the session.
    """

    place: ReadPosition
    unread: int
    head: int
    known: bool


class News(NamedTuple):
    """Unread entries, oldest first, and the id up to which all is read with them.

    ``needless``: later deletions and edits of messages up to there. The page left these messages
    out, or has their new text, so these entries need not be told.
    """

    page: Page
    through: int
    needless: list[Message]


def standing(connection: Connection, audience: Audience, reach: Reach) -> Standing:
    """A reader's position and unread count in a session."""
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
    """A reader's positions and unread counts in several sessions, by session id."""
    return {each.session_id: standing(connection, audience, each) for each in reaches}


def news(connection: Connection, audience: Audience, reach: Reach, limit: int) -> News:
    """A reader's oldest unread entries; if it has read nothing in the session, the newest."""
    place = reach.place or ReadPosition()
    first_time = place.position is None
    query = PageQuery(
        reach.session_id,
        place.position,
        None,
        limit,
        descending=first_time,
        entries="changes",
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
    connection: Connection,
    audience: Audience,
    reach: Reach,
    after: int | None,
    limit: int,
    thread: int | None = None,
    sender: str | None = None,
) -> Page:
    """Others' messages that mention a reader or reply to it, and deletions given out of turn.

    A deletion is given out of turn if the message was.

    Args:
        connection: in a read transaction.
        audience: the reader.
        reach: what it was given.
        after: all after this id; None: only those it was not given.
        limit: the most entries.
        thread: only messages under this one, without deletions.
        sender: only this sender's messages, without deletions.

    Raises:
        MessageNotFound, InvalidInput: see `mcp_node.sessions.filters.under`.
    """
    place = reach.place or ReadPosition()
    under_it: Sequence[int] = ()
    keys, all_types = queries.visible_keys(audience, None)
    narrowed = _UNGIVEN if after is None and (place.ahead or reach.pending) else ""
    if thread is not None:
        under_it = under(connection, reach.session_id, audience, thread)
        narrowed += f" AND deletes IS NULL AND id IN {numbers(':under')}"
    if sender is not None:
        narrowed += " AND deletes IS NULL AND sender = :sender"
    rows = connection.execute(
        _MENTIONING.format(narrowed=narrowed),
        {
            "under": _json(under_it),
            "sender": sender,
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
    entries = with_texts(connection, [message_from_row(row) for row in rows[:limit]])
    return Page(entries, len(rows) > limit)


def unread_part(
    connection: Connection,
    audience: Audience,
    reach: Reach,
    after: int | None,
    limit: int,
    thread: int | None,
    sender: str | None,
) -> Page:
    """A reader's oldest unread messages under a message, of a sender, or both; no deletions.

    Args and errors are those of `mentioning`; with ``after`` its own messages are included.
    """
    place = reach.place or ReadPosition()
    query = PageQuery(
        reach.session_id,
        after if after is not None else place.position or 0,
        None,
        limit,
        sender=sender,
        narrowing=_narrowing(audience, reach) if after is None else Narrowing(),
        thread=thread,
    )
    return reads.page(connection, audience, query)


def not_recorded(
    connection: Connection, session_id: str, principal: str, ids: Sequence[int]
) -> list[int]:
    """Those of ``ids`` that are not stored as given out of turn."""
    found = connection.execute(_RECORDED, (session_id, principal, _json(ids)))
    recorded = {position for (position,) in found}
    return [id_ for id_ in ids if id_ not in recorded]


def told_through(
    connection: Connection, audience: Audience, reach: Reach, shown: Sequence[int]
) -> int | None:
    """Up to which id a newest page tells its reader everything.

    Such a page has no deletion entries: it shows which of its own messages are deleted, and says
    nothing of deletions of earlier messages.

    Args:
        connection: in a read transaction.
        audience: the reader.
        reach: what it was given; the page continues it.
        shown: the page's ids.

    Returns:
        The page's last id, or a higher one if only deletions that the page shows follow it. None:
        up to the page's last id there is a deletion that the page does not tell of.
    """
    place, last, on_page = reach.place or ReadPosition(), shown[-1], set(shown)
    joins = place.position is None
    behind = PageQuery(
        reach.session_id,
        last if joins else place.position,
        None,
        LOOKED_AT,
        entries="changes",
        narrowing=_narrowing(audience, reach, read=max(last, place.position or 0)),
    )
    page = reads.page(connection, audience, behind)
    through = last
    for entry in page.messages:
        told = joins or entry.about in on_page
        if entry.id <= last:
            if entry.about is not None and not told:
                return None
        elif entry.about is None or not told:
            return through
        else:
            through = entry.id
    return None if page.has_more and page.messages[-1].id < last else through


def _narrowing(audience: Audience, reach: Reach, read: int | None = None) -> Narrowing:
    """The condition for a reader's unread entries.

    ``read``: everything up to this id was given; None: up to its position.
    """
    place = reach.place or ReadPosition()
    if read is None:
        read = place.position or 0
    out_of_turn = place.ahead or bool(reach.pending)
    sql = _OTHERS + (_UNGIVEN + _OF_GIVEN if out_of_turn else _OF_READ)
    return Narrowing(sql, audience.agent_id, _json(reach.pending), read)


def _count(connection: Connection, audience: Audience, reach: Reach) -> int:
    """How many entries are unread, up to `COUNTED`.

    One query for each audience key reads one range of an index and stops after `COUNTED` rows, so
    the cost is bounded however long the session is. Private messages are the reader's own.
    """
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
        if not is_private_key(key):
            (found_here,) = connection.execute(sql, {**where, "key": key}).fetchone()
            count += found_here
            if count >= COUNTED:
                return COUNTED
    return count


def _json(values: Sequence[object]) -> str:
    return msgspec.json.encode(values).decode()
