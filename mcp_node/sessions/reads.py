"""Reads of sessions and messages: functions of a connection in a read transaction."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from mcp_node.log.messages import HEAD, SESSION_HEAD, message_from_row, with_texts
from mcp_node.log.sql import Connection, numbers
from mcp_node.sessions.filters import has_fields, in_thread, keys_in, rarest_field, under
from mcp_node.sessions.reactions import Shown, reactions_of
from mcp_node.sessions.rows import (
    BRANCHES,
    EVERYTHING,
    MOVED,
    PRUNED,
    SESSION,
    Entries,
    session_from_row,
    visible,
)
from mcp_node.sessions.tallies import key_parameters, message_count
from proto.errors import SessionNotFound
from proto.internal_api import Heads, LogPage, LogStart
from proto.messages import MAX_ID, Audience, Message, Session, Visibility, seconds

_TIMES: Final = f"SELECT id, timestamp FROM messages WHERE id IN {numbers('?')}"

PAGE_CHARS: Final = 8 * 1024 * 1024
"""A page ends early once its texts have this many characters: 1,000 of the largest messages
would be a hundred megabytes at once."""

HEADS_ROWS: Final = 2_000
"""The most messages that one call of `heads` reads."""


class Page(msgspec.Struct, frozen=True):
    """Messages ascending by id, and entries about messages if they were asked for.

    Attributes:
        messages: the messages.
        has_more: whether more visible ones follow in the page's direction.
        reactions: of the messages that have any, by id.
    """

    messages: list[Message]
    has_more: bool
    reactions: dict[int, Shown] = {}

    def shown(self) -> dict[str, Any]:
        """The page as tools and REST give it."""
        messages = [message.shown() for message in self.messages]
        for shown in messages if self.reactions else ():
            if shown["id"] in self.reactions:
                shown["reactions"] = self.reactions[shown["id"]]
        return {"messages": messages, "has_more": self.has_more}


class Narrowing(NamedTuple):
    """A condition for `mcp_node.sessions.rows.visible`, and the parameters it names."""

    sql: str = ""
    reader: str = ""
    pending: str = "[]"
    read: int = 0


class PageQuery(NamedTuple):
    """Which part of a session to read; `mcp_node.sessions.checks.check_page` makes a caller's.

    Attributes:
        session_id: the session.
        after: only ids above this one.
        before: only ids below this one.
        limit: the most messages of a page.
        descending: whether a page has the newest messages of the part, not the oldest.
        sender: only messages of this sender.
        visibility: only messages of this visibility.
        entries: which entries about messages are included.
        narrowing: a further condition.
        thread: only messages under this one (see `mcp_node.sessions.filters.under`).
        fields: only messages whose metadata has all fields of these digests.
    """

    session_id: str
    after: int | None
    before: int | None
    limit: int
    descending: bool = False
    sender: str | None = None
    visibility: Visibility | None = None
    entries: Entries = "none"
    narrowing: Narrowing = Narrowing()
    thread: int | None = None
    fields: tuple[str, ...] = ()

    @property
    def filtered(self) -> bool:
        """Whether the page leaves out messages between those it has."""
        filters = (self.sender, self.visibility, self.thread)
        return bool(self.fields) or any(value is not None for value in filters)


def page(connection: Connection, audience: Audience, query: PageQuery) -> Page:
    """A page of the messages that ``audience`` may see, ascending by id in either direction.

    Raises:
        MessageNotFound: there is no such message as ``query.thread`` that ``audience`` may see.
        InvalidInput: that thread is too long.
    """
    messages, more = _cut(_visible_rows(connection, audience, query), query.limit)
    if query.descending:
        messages.reverse()
    messages = with_texts(connection, messages)
    return Page(messages, more, reactions_of(connection, messages))


def view(
    connection: Connection, session_id: str, audience: Audience, limit: int
) -> tuple[Session, int, Page]:
    """A session, how many of its messages ``audience`` may see, and the newest of them.

    Raises:
        SessionNotFound: there is no such session.
    """
    found = session(connection, session_id)
    count = message_count(connection, audience, session_id)
    newest = PageQuery(session_id, None, None, limit, descending=True)
    return found, count, page(connection, audience, newest)


def log_page(
    connection: Connection, epoch: str, audience: Audience | None, query: PageQuery
) -> LogPage:
    """A part of a session's log for ws_node, with all entries.

    Args:
        connection: in a read transaction.
        epoch: of the log, for the answer.
        audience: only entries that it may see; None for all.
        query: the part to read.
    """
    head = session_head(connection, query.session_id)
    if audience is None:
        rows: Iterable[Any] = connection.execute(EVERYTHING, _parameters(query))
    else:
        rows = _visible_rows(connection, audience, query._replace(entries="all"))
    messages, more = _cut(rows, query.limit)
    full = more or len(messages) >= query.limit
    through = messages[-1].id if full and messages else max(head, query.after or 0)
    return LogPage(epoch, head, through, with_texts(connection, messages))


def head(connection: Connection) -> int:
    """The log's last id."""
    return int(connection.execute(HEAD).fetchone()[0])


def session_head(connection: Connection, session_id: str) -> int:
    """A session's last id."""
    return int(connection.execute(SESSION_HEAD, (session_id,)).fetchone()[0])


def heads_of(connection: Connection, session_id: str) -> tuple[int, int]:
    """A session's last id, and the log's."""
    return session_head(connection, session_id), head(connection)


def heads(connection: Connection, epoch: str, after: int) -> Heads:
    """Which sessions have messages after an id, of at most `HEADS_ROWS` messages."""
    last = head(connection)
    rows = connection.execute(MOVED, (clamp(after), HEADS_ROWS)).fetchall()
    changed = {session_id: message_id for message_id, session_id in rows}
    through = rows[-1][0] if len(rows) == HEADS_ROWS else last
    pruned = connection.execute(PRUNED).fetchone()
    return Heads(epoch, last, changed, through, 0 if pruned is None else int(pruned[0]))


def with_last_commits(connection: Connection, starts: Sequence[LogStart]) -> list[LogStart]:
    """Starts with the time of the last message before each, as far as it was not pruned."""
    ids = msgspec.json.encode([start.head for start in starts]).decode()
    times = dict(connection.execute(_TIMES, (ids,)).fetchall())
    return [
        msgspec.structs.replace(start, quiet_since=seconds(times[start.head]))
        if start.head in times
        else start
        for start in starts
    ]


def session(connection: Connection, session_id: str) -> Session:
    """The session of an id.

    Raises:
        SessionNotFound: there is no such session.
    """
    row = connection.execute(SESSION, (session_id,)).fetchone()
    if row is None:
        raise SessionNotFound
    return session_from_row(row)


def _visible_rows(connection: Connection, audience: Audience, query: PageQuery) -> Iterator[Any]:
    """Rows in order of id, read from the database as the caller iterates."""
    keys = keys_in(connection, query.session_id, audience, query.visibility)
    parameters = _parameters(query)
    narrowed = query.narrowing.sql + (f" AND {has_fields('messages')}" if query.fields else "")
    if query.thread is not None:
        ids = under(connection, query.session_id, audience, query.thread)
        parameters |= {"ids": _json(ids), "keys": _json(keys)}
        sql = in_thread(
            descending=query.descending,
            by_sender=query.sender is not None,
            entries=query.entries,
            narrowed=narrowed,
        )
        return iter(connection.execute(sql, parameters))
    by_field: dict[str | None, list[str]] = {}
    for key in keys:
        field = rarest_field(connection, key, parameters, query.fields, query.sender)
        by_field.setdefault(field, []).append(key)
    parts = [
        (field, some[start : start + BRANCHES])
        for field, some in by_field.items()
        for start in range(0, len(some), BRANCHES)
    ]
    cursors = []
    for field, part in parts:
        sql = visible(
            len(part),
            descending=query.descending,
            by_sender=query.sender is not None,
            by_field=field is not None,
            entries=query.entries,
            narrowed=narrowed,
            engine=connection.engine,
        )
        where = {**parameters, **key_parameters(part), "field": field}
        cursors.append(connection.execute(sql, where))
    return heapq.merge(*cursors, key=itemgetter(0), reverse=query.descending)


def _cut(rows: Iterable[Any], limit: int) -> tuple[list[Message], bool]:
    """The messages of a page, cut at ``limit`` and `PAGE_CHARS`, and whether rows are left."""
    messages: list[Message] = []
    chars = 0
    for row in rows:
        if len(messages) >= limit or chars >= PAGE_CHARS:
            return messages, True
        message = message_from_row(row)
        chars += len(message.content) + len(row[9])
        messages.append(message)
    return messages, False


def _parameters(query: PageQuery) -> dict[str, object]:
    return {
        "session": query.session_id,
        "after": clamp(query.after or 0),
        "before": MAX_ID + 1 if query.before is None else clamp(query.before),
        "sender": query.sender,
        "reader": query.narrowing.reader,
        "pending": query.narrowing.pending,
        "read": query.narrowing.read,
        "fields": _json(query.fields),
        "wanted": len(query.fields),
        "limit": query.limit + 1,
    }


def _json(values: Sequence[object]) -> str:
    return msgspec.json.encode(values).decode()


def clamp(message_id: int) -> int:
    """An id bounded to what SQLite's integers hold; it compares to existing ids as before."""
    return min(max(message_id, 0), MAX_ID + 1)
