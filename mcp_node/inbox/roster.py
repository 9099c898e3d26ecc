"""Receipts and agents: who was given a message, and who is in a session."""

from functools import partial
from operator import itemgetter
from typing import Any, Final, Literal, NotRequired

import msgspec
from typing_extensions import TypedDict

from mcp_node.coordination.status_rows import Status, statuses
from mcp_node.inbox.mentions import calls, mentioned
from mcp_node.inbox.read_positions import Readers
from mcp_node.inbox.rows import Receipts, RosterEntry, receipts, roster, roster_of
from mcp_node.inbox.waiting import Waiting, Wish
from mcp_node.log.interface import Database
from mcp_node.log.messages import COLUMNS, message_from_row
from mcp_node.log.sql import Connection, numbers
from mcp_node.sessions import checks, reads
from mcp_node.sessions.authorization import entered
from mcp_node.sessions.reads import PageQuery
from proto.errors import InvalidInput, MessageNotFound
from proto.hidden import hidden_characters
from proto.messages import ANONYMOUS, Audience, Message, Principal, utc_now
from proto.visibility import may_see

_KNOWN: Final = (
    f"SELECT {COLUMNS} FROM messages WHERE session_id = ? AND deletes IS NULL"
    f" AND id IN {numbers('?')}"
)
MOST_AGENTS: Final = 500
"""The most agents listed for a session, the latest seen first."""


class Awaited(TypedDict):
    """What a wait is for: all messages or those that call the agent, under a message, of a sender.

    A message or a sender that the reader may not know of is left out.
    """

    wanted: Literal["all", "calls"]
    thread: NotRequired[int]
    sender: NotRequired[str]


class StatusListed(TypedDict):
    """What somebody says it does, until a time."""

    text: str
    until: str
    hidden_characters: NotRequired[int]


class AgentListed(TypedDict):
    """Somebody who was in the session; ``waiting``: it waits for messages right now.

    ``left_at``: it has said then that it left, and was not active since.

    ``waiting_for``: what for; not there if it waits on another node.
    """

    name: str
    agent_type: str
    first_seen: str
    last_seen: str
    waiting: bool
    waiting_for: NotRequired[list[Awaited]]
    status: NotRequired[StatusListed]
    left_at: NotRequired[str]


class Roster:
    """Who is in a session and was given what; methods raise as those of `Sessions` do."""

    def __init__(self, database: Database, readers: Readers, waiting: Waiting) -> None:
        self._database = database
        self._readers = readers
        self._waiting = waiting

    async def agents(self, principal: Principal, session_id: Any) -> list[AgentListed]:
        """All who were in a session, the latest seen first, and whether each waits there now."""
        name = await self._entered(principal, session_id)
        await self._readers.save()
        everybody = await self._database.read(partial(roster, session_id=name))
        now = utc_now()
        said = await self._database.read(partial(statuses, session_id=name, now=now))
        shown: list[AgentListed] = [
            {
                "name": each.audience.agent_id,
                "agent_type": each.audience.agent_type,
                "first_seen": each.first_seen,
                "last_seen": max(
                    each.last_seen, self._readers.last_seen(name, each.audience.agent_id) or ""
                ),
                "waiting": (each.waiting_until or "") > now
                or self._waiting.waits(name, each.audience.agent_id),
            }
            for each in everybody
        ]
        shown.sort(key=itemgetter("last_seen"), reverse=True)
        del shown[MOST_AGENTS:]
        for agent in shown:
            if agent["name"] in said:
                _add_status(agent, said[agent["name"]])
        names = {each.audience.agent_id for each in everybody}
        await self._say_what_for(principal, name, shown, names)
        return shown

    async def _say_what_for(
        self, principal: Principal, session_id: str, agents: list[AgentListed], names: set[str]
    ) -> None:
        """Add what each agent that waits on this node waits for, as far as the caller may know.

        A message is told to those who may see it. A sender is told if it is among ``names``, which
        the caller is told anyway, or if the caller may see a message of it.
        """
        wishes = {
            each["name"]: found
            for each in agents
            if (found := self._waiting.wishes(session_id, each["name"]))
        }
        every = [wish for found in wishes.values() for wish in found]
        threads = {wish.thread for wish in every if wish.thread is not None}
        senders = {wish.sender for wish in every if wish.sender is not None} - names
        if threads or senders:
            visible = await self._database.read(
                partial(
                    known,
                    audience=principal.audience,
                    session_id=session_id,
                    threads=threads,
                    senders=senders,
                )
            )
            threads, senders = visible
        for agent in agents:
            if agent["name"] in wishes:
                awaited = [_awaited(one, threads, senders | names) for one in wishes[agent["name"]]]
                agent["waiting_for"] = [
                    one for number, one in enumerate(awaited) if one not in awaited[:number]
                ]

    async def receipts(
        self, principal: Principal, session_id: Any, message_id: Any
    ) -> dict[str, Any]:
        """Who was given a message and when, who was not, and the state of those it calls.

        It calls those it mentions, and if it is a reply, the author of its parent. Only principals
        that may see the message are listed. A reply proves that its author was given the message.

        Raises:
            MessageNotFound: the session has no such message that the principal may see.
        """
        name = await self._entered(principal, session_id)
        wanted = checks.check_id(message_id, "message_id", least=1)
        if wanted is None:
            raise InvalidInput("message_id is needed.")
        await self._readers.save()
        found = await self._database.read(partial(receipts, session_id=name, message_id=wanted))
        if found is None or not _sees(principal.audience, found.message):
            raise MessageNotFound
        return _shown(found, principal.audience)

    async def unreached(self, principal: Principal, *messages: Message) -> list[str]:
        """The names in messages of the principal's that reach nobody, at most 50 of each.

        A name reaches an agent that was in the session and may see the message. A principal
        without the scope ``read`` gets an empty list: it may not learn who was there.
        """
        if "read" not in principal.scopes:
            return []
        found = [await self._unreached(message) for message in messages]
        return list(dict.fromkeys(name for names in found for name in names))

    async def _unreached(self, message: Message) -> list[str]:
        names = [
            each for each in mentioned(message.content) if not calls((each,), message.principal)
        ]
        if not names:
            return []
        here = [audience for audience, _ in self._readers.of(message.session_id)]
        names = _uncalled(names, here, message)
        if names:
            owners = [name.partition("/")[0] for name in names]
            look = partial(roster_of, session_id=message.session_id, names=owners)
            names = _uncalled(names, await self._database.read(look), message)
        return names

    async def _entered(self, principal: Principal, session_id: Any) -> str:
        name = entered(principal, session_id, "read")
        await self._database.read(partial(reads.session, session_id=name))
        self._readers.seen(principal, name)
        return name


def known(
    connection: Connection,
    audience: Audience,
    session_id: str,
    threads: set[int],
    senders: set[str],
) -> tuple[set[int], set[str]]:
    """Those of some messages that a reader may see, and of some senders that it sees speak."""
    ids = msgspec.json.encode(sorted(threads)).decode()
    rows = connection.execute(_KNOWN, (session_id, ids)).fetchall()
    messages = [message_from_row(row) for row in rows]
    newest = PageQuery(session_id, None, None, 1, descending=True)
    speak = {
        sender
        for sender in senders
        if reads.page(connection, audience, newest._replace(sender=sender)).messages
    }
    return {each.id for each in messages if _sees(audience, each)}, speak


def _add_status(agent: AgentListed, said: Status) -> None:
    if said.text:
        agent["status"] = {"text": said.text, "until": said.until}
        if hidden := hidden_characters(said.text):
            agent["status"]["hidden_characters"] = hidden
    if said.left_at is not None and said.left_at >= agent["last_seen"] and not agent["waiting"]:
        agent["left_at"] = said.left_at


def _awaited(wish: Wish, threads: set[int], senders: set[str]) -> Awaited:
    shown: Awaited = {"wanted": "calls" if wish.calls else "all"}
    if wish.thread in threads:
        shown["thread"] = wish.thread
    if wish.sender in senders:
        shown["sender"] = wish.sender
    return shown


def _shown(found: Receipts, asker: Audience) -> dict[str, Any]:
    message = found.message
    given = _replied(found, asker)
    missing: dict[str, str] = {}
    hidden = [message.principal]  # has the message, but was not given it
    for each in found.entries:
        name = each.audience.agent_id
        if name == message.principal:
            continue
        if not _sees(each.audience, message):
            hidden.append(name)
            continue
        at = _given_at(each, found)
        if at is not None:
            given[name] = min(at, given.get(name, at))
        elif name not in given:
            missing[name] = each.last_seen
    return {
        "message_id": message.id,
        "given": [
            {"name": name, "at": at} for name, at in sorted(given.items(), key=itemgetter(1))
        ],
        "not_given": [{"name": name, "last_seen": at} for name, at in missing.items()],
        "mentioned": [
            _mention(name, given, missing)
            for name in found.mentions
            if not any(calls((name,), each) for each in hidden)
            or any(calls((name,), each) for each in (*given, *missing))
        ],
    }


def _replied(found: Receipts, asker: Audience) -> dict[str, str]:
    """The time of each principal's first reply to the message that the caller may see."""
    message, replied = found.message, dict[str, str]()
    for reply in found.replies:
        nobody = reply.principal in (message.principal, ANONYMOUS)
        if not nobody and may_see(asker, reply.visibility, reply.principal, reply.sender_type):
            replied.setdefault(reply.principal, reply.at)
    return replied


def _uncalled(names: list[str], audiences: list[Audience], message: Message) -> list[str]:
    """The names that match none of the audiences that may see the message."""
    seeing = [each.agent_id for each in audiences if _sees(each, message)]
    return [name for name in names if not any(calls((name,), each) for each in seeing)]


def _given_at(each: RosterEntry, found: Receipts) -> str | None:
    """When a principal was given the message, in or out of turn; None if it was not."""
    who, place, id_ = each.audience.agent_id, each.place, found.message.id
    times = [found.out_of_turn.get(who)]
    if place.position is not None and (place.joined_after or 0) < id_ <= place.position:
        times.append(found.passed.get(who))
    return min((at for at in times if at is not None), default=None)


def _mention(name: str, given: dict[str, str], missing: dict[str, str]) -> dict[str, Any]:
    for each, at in given.items():
        if calls((name,), each):
            return {"name": name, "state": "given", "at": at}
    here = any(calls((name,), each) for each in missing)
    return {"name": name, "state": "not_given" if here else "not_here", "at": None}


def _sees(audience: Audience, message: Message) -> bool:
    return may_see(audience, message.visibility, message.principal, message.sender_type)
