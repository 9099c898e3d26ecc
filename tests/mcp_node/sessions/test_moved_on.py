"""A message that is only added if nobody else has spoken since."""

import asyncio
import json

import pytest

from mcp_node.services import Services
from mcp_node.sessions.moved_on import LOOKED_AT, TOLD
from proto.errors import Forbidden, InvalidInput, MovedOn, SessionClosed
from proto.messages import Principal
from tests.mcp_node.doors.test_answers import Agent, agents
from tests.mcp_node.inbox.test_inbox import (
    ALICE,
    BOB,
    EVE,
    ROOT,
    WRITER,
    able,
    read,
    say,
)

__all__ = ["able", "agents"]


async def told(able: Services, who: Principal, last_seen: int, **more: object) -> list[int]:
    """The ids that the refusal of a message contains; nothing if it is stored."""
    before = await able.sessions.view(who, "room")
    try:
        await say(able, who, "I propose", if_last_seen=last_seen, **more)
    except MovedOn as moved:
        assert (await able.sessions.view(who, "room"))[1] == before[1]
        return [message.id for message in moved.messages]
    return []


async def test_it_is_refused_if_others_have_spoken_since(able: Services) -> None:
    await say(able, ALICE, "one")
    await say(able, BOB, "two")
    assert await told(able, ALICE, 1) == [2]
    assert await told(able, ALICE, 0) == [2]
    assert await told(able, ALICE, 2) == []  # it is message 3
    assert await told(able, ALICE, 2) == []  # one's own does not count
    assert await told(able, EVE, 2) == [3, 4]
    assert await told(able, EVE, 2**53) == []


async def test_of_two_proposals_at_once_one_is_refused_with_the_other(able: Services) -> None:
    await say(able, ROOT, "who does it?")
    answers = await asyncio.gather(
        *(say(able, who, "I do", if_last_seen=1) for who in (ALICE, BOB, EVE)),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, MovedOn)]
    assert len(refused) == 2
    assert [[message.id for message in each.messages] for each in refused] == [[2], [2]]
    assert await read(able, ROOT) == [1, 2]


async def test_what_may_not_be_seen_does_not_count(able: Services) -> None:
    await say(able, ALICE, "one")
    await say(able, ALICE, "hush", visibility="private")
    await say(able, ALICE, "ours", visibility="agent_only")
    await say(able, ROOT, "theirs", visibility="admin_only")
    assert await told(able, EVE, 1) == []
    assert await told(able, BOB, 1) == [3, 5]
    assert await told(able, ROOT, 1) == [3, 5]


async def test_deletions_and_deleted_messages_do_not_count(able: Services) -> None:
    await say(able, ALICE, "one")
    (oops,) = await say(able, ALICE, "oops")
    await able.deletion.delete_message(ALICE, "room", oops)
    await able.deletion.delete_message(ALICE, "room", 1)
    assert await told(able, BOB, 1) == []


async def test_it_tells_twenty_messages_at_most(able: Services) -> None:
    await say(able, ALICE, *(f"m{number}" for number in range(TOLD)))
    with pytest.raises(MovedOn) as refused:
        await say(able, BOB, "late", if_last_seen=0)
    assert not refused.value.has_more
    await say(able, ALICE, "one more")
    with pytest.raises(MovedOn) as refused:
        await say(able, BOB, "late", if_last_seen=0)
    assert refused.value.has_more
    assert [message.id for message in refused.value.messages] == list(range(1, TOLD + 1))


async def test_too_many_messages_of_ones_own_cannot_be_looked_through(able: Services) -> None:
    await say(able, BOB, *(f"m{number}" for number in range(LOOKED_AT)))
    assert await told(able, BOB, 0) == []
    with pytest.raises(InvalidInput, match="too far back"):
        await say(able, BOB, "one more", if_last_seen=0)
    assert await told(able, BOB, 1) == []


async def test_a_retry_of_what_was_stored_is_answered_as_before(able: Services) -> None:
    first = await say(able, ALICE, "I do", if_last_seen=0, idempotency_key="k")
    await say(able, BOB, "so do I")
    assert await say(able, ALICE, "I do", if_last_seen=0, idempotency_key="k") == first
    with pytest.raises(MovedOn):
        await say(able, ALICE, "I do", if_last_seen=0, idempotency_key="other")
    assert await say(able, ALICE, "I do", if_last_seen=2, idempotency_key="other") == [3]


async def test_who_may_not_read_is_told_nothing(able: Services) -> None:
    await say(able, ALICE, "one")
    with pytest.raises(Forbidden):
        await say(able, WRITER, "I do", if_last_seen=0)
    for bad in (-1, "1", True, 1.0, 2**53 + 1):
        with pytest.raises(InvalidInput):
            await say(able, BOB, "I do", if_last_seen=bad)
    await able.moderation.close_session(ALICE, "room")
    with pytest.raises(SessionClosed):
        await say(able, BOB, "I do", if_last_seen=0)


async def test_what_a_tool_tells_is_read_and_what_it_does_not_tell_is_not(
    agents: tuple[Agent, Agent, Agent],
) -> None:
    alice, bob, _ = agents
    for number in range(TOLD + 1):
        await alice.say(f"m{number}")
    text = await bob.refused("add_message", session_id="room", content="I do", if_last_seen=0)
    problem, details = text.split("\n")
    assert problem.startswith("MOVED_ON: Others have spoken")
    said = json.loads(details)
    assert said["untrusted"] and said["has_more"]
    page = await bob("get_messages", session_id="room", limit=TOLD, before=TOLD + 1)
    assert said["messages"] == page["messages"]
    assert page["unread"] == 1
