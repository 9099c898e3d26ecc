"""Receipts and agents: who was given a message, and who is in a session at all."""

from functools import partial
from typing import Any, Final

from mcp_node import checks
from mcp_node.rooms.readers import Readers
from mcp_node.rooms.rights import entered
from mcp_node.rooms.waiting import Waiting
from mcp_node.store.interface import Store
from mcp_node.store.readers import Attendant, Receipts, receipts, roster
from proto.errors import InvalidInput, MessageNotFound
from proto.mentions import calls
from proto.messages import Message, Principal
from proto.visibility import may_see

MOST_AGENTS: Final = 500
"""How many of a session are listed, the latest seen first."""


class Attending:
    """Who is in a session and has what; methods raise as those of `Rooms` do."""

    def __init__(self, store: Store, readers: Readers, waiting: Waiting) -> None:
        self._store = store
        self._readers = readers
        self._waiting = waiting

    async def agents(self, principal: Principal, session_id: Any) -> list[dict[str, Any]]:
        """Who was in a session, the latest seen first, and whether it waits there now."""
        name = await self._entered(principal, session_id)
        await self._readers.save()
        everybody = await self._store.read(partial(roster, session_id=name))
        shown = [
            {
                "name": each.audience.agent_id,
                "agent_type": each.audience.agent_type,
                "first_seen": each.first_seen,
                "last_seen": self._readers.last_seen(name, each.audience.agent_id)
                or each.last_seen,
                "waiting": self._waiting.waits(name, each.audience.agent_id),
            }
            for each in everybody
        ]
        shown.sort(key=lambda one: str(one["last_seen"]), reverse=True)
        return shown[:MOST_AGENTS]

    async def receipts(
        self, principal: Principal, session_id: Any, message_id: Any
    ) -> dict[str, Any]:
        """Who was given a message and when, who was not, and how it is with those it mentions.

        Only those count who may see the message.

        Raises:
            MessageNotFound: there is none of that id in the session that the principal may see.
        """
        name = await self._entered(principal, session_id)
        wanted = checks.check_id(message_id, "message_id", least=1)
        if wanted is None:
            raise InvalidInput("message_id is needed.")
        await self._readers.save()
        found = await self._store.read(partial(receipts, session_id=name, message_id=wanted))
        if found is None or not _sees(principal.audience, found.message):
            raise MessageNotFound
        return _shown(found)

    async def _entered(self, principal: Principal, session_id: Any) -> str:
        name = entered(principal, session_id, "read")
        await self._store.get_session(name)
        self._readers.seen(principal, name)
        return name


def _shown(found: Receipts) -> dict[str, Any]:
    message = found.message
    given: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    for each in found.attendants:
        who = each.audience
        if who.agent_id == message.principal or not _sees(who, message):
            continue
        at = _given_at(each, found)
        if at is None:
            missing.append({"name": who.agent_id, "last_seen": each.last_seen})
        else:
            given.append({"name": who.agent_id, "at": at})
    given.sort(key=lambda one: str(one["at"]))
    return {
        "message_id": message.id,
        "given": given,
        "not_given": missing,
        "mentioned": [_mention(name, given, missing) for name in found.mentions],
    }


def _given_at(each: Attendant, found: Receipts) -> str | None:
    """When somebody was given the message, in its turn or as a mention; None if not."""
    who, place, id_ = each.audience.agent_id, each.place, found.message.id
    times = [found.out_of_turn.get(who)]
    if place.position is not None and (place.joined_after or 0) < id_ <= place.position:
        times.append(found.passed.get(who))
    return min((at for at in times if at is not None), default=None)


def _mention(
    name: str, given: list[dict[str, Any]], missing: list[dict[str, Any]]
) -> dict[str, Any]:
    for one in given:
        if calls((name,), one["name"]):
            return {"name": name, "state": "given", "at": one["at"]}
    for one in missing:
        if calls((name,), one["name"]):
            return {"name": name, "state": "not_given", "at": None}
    return {"name": name, "state": "not_here", "at": None}


def _sees(audience: Any, message: Message) -> bool:
    return may_see(audience, message.visibility, message.principal, message.sender_type)
