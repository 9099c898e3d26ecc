"""Change notifications over real HTTP, in both eras: who is told, who is not, and until when."""

import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from fastmcp import Client
from mcp import MCPError
from mcp.client.subscriptions import listen

from tests.integration.rooms import make_room, say
from tests.integration.subscribers import (
    ERAS,
    Subscriber,
    speak_with,
    subscribe,
    subscribed,
    subscriptions,
    unsubscribe,
)
from tests.integration.test_revocation import WITHIN, revoke
from tests.integration.test_stopping import STOP_WITHIN
from tests.integration.test_visibility import LEVELS, READERS, SEES, SENDER, Reader, post
from tests.pair import Pair
from tests.waiting import until

ERA = pytest.mark.parametrize("era", ERAS)
BRIEF = 6
"""Seconds that a token is valid: enough to subscribe with it, also on a slow machine."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def _own() -> AsyncIterator[Pair]:
    async with Pair(start=("mcp",)) as pair:
        yield pair


@pytest.fixture
async def own(_own: Pair) -> Pair:
    """A node where nobody but this test subscribes."""

    async def quiet() -> bool:
        return await subscriptions(_own) == 0

    await until(quiet)
    return _own


@contextlib.asynccontextmanager
async def subscribing(
    pair: Pair, era: str, *uris: str, agent: str = "subscriber", **rights: Any
) -> AsyncIterator[Subscriber]:
    async with subscribed(pair, era, uris, pair.token(agent, **rights)) as subscriber:
        yield subscriber


@ERA
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("who", [name for name in READERS if "other sessions" not in name])
async def test_only_who_may_see_a_message_is_told(
    pair: Pair, open_pair: Pair, name: str, who: str, level: str, era: str
) -> None:
    rights = READERS[who]
    where = open_pair if rights is None else pair
    author = Reader(where, name, SENDER)
    other = await make_room(where, f"{name}-other")
    await make_room(where, name)
    uris = (f"session://{name}", f"session://{name}/messages", f"session://{other}")
    token = None if rights is None else where.token(**rights)
    async with subscribed(where, era, uris, token) as subscriber:
        await post(author, "perhaps seen", level)
        await post(Reader(where, other, SENDER), "a mark", "public")
        told = uris[:2] if level in SEES[who] else ()
        await subscriber.receives(*told, uris[2])
        await post(author, "seen by all", "public")
        await subscriber.receives(*uris[:2])


@ERA
async def test_two_subscribers_of_one_resource_have_each_their_own_rights(
    pair: Pair, room: str, era: str
) -> None:
    uri = f"session://{room}/messages"
    async with (
        subscribing(pair, era, uri, agent="alice", kind="claude") as alice,
        subscribing(pair, era, uri, agent="carol", kind="codex") as carol,
        pair.rest("alice") as rest,
    ):
        await say(rest, room, "to myself", visibility="private")
        await alice.receives(uri)
        await say(rest, room, "to claudes", visibility="agent_only")
        await alice.receives(uri)
        await say(rest, room, "to all")
        await alice.receives(uri)
        await carol.receives(uri)


@ERA
async def test_a_changed_or_closed_session_is_notified(pair: Pair, room: str, era: str) -> None:
    uri = f"session://{room}"
    async with (
        subscribing(pair, era, uri, f"{uri}/messages") as subscriber,
        pair.agent("alice") as alice,
    ):
        await alice.call_tool("update_session", {"session_id": room, "purpose": "another"})
        await subscriber.receives(uri)
        await alice.call_tool("close_session", {"session_id": room})
        await subscriber.receives(uri)


async def refusal(pair: Pair, client: Client[Any], era: str, uri: str) -> tuple[int, str, Any]:
    with pytest.raises(MCPError) as refused:
        if era == "modern":
            async with listen(client.session, resource_subscriptions=[uri]):
                pass
        else:
            await subscribe(client, uri)
    error = refused.value.error
    return error.code, error.message, error.data


@ERA
async def test_other_resources_are_refused_to_subscribers(pair: Pair, room: str, era: str) -> None:
    mode = "auto" if era == "modern" else "legacy"
    async with (
        pair.agent("erin", mode=mode, sessions=["elsewhere"]) as foreign,
        pair.agent("alice", mode=mode) as alice,
        pair.agent("mute", mode=mode, scopes="write") as mute,
    ):
        covered_not = await refusal(pair, foreign, era, f"session://{room}")
        assert covered_not == await refusal(pair, alice, era, "session://no-such-session")
        assert covered_not == await refusal(pair, foreign, era, "session://elsewhere/messages")
        assert covered_not[0] == -32602 and covered_not[1].startswith("SESSION_NOT_FOUND: ")
        code, message, _ = await refusal(pair, mute, era, f"session://{room}")
        assert code == -32602 and message.startswith("FORBIDDEN: ")
        for uri in (
            *("xYzzY", "", "session://", f"session://{room}/", f"session://{room}/xYzzY"),
            *(f"session://{room}?xYzzY", f"SESSION://{room}", f"session://{room}/messages/"),
            *("session://xY zzY", "session://xY%20zzY", "agent://me/memory", f"session://{room}\n"),
            *(f"session://{'x' * 65}", f"session://{'x' * 100_000}"),
        ):
            code, message, data = await refusal(pair, alice, era, uri)
            assert code == -32602 and message.startswith("INVALID_INPUT: ") and data is None
            assert "xYzzY" not in message


async def test_a_stream_with_one_uri_that_is_refused_is_refused(pair: Pair, room: str) -> None:
    async with pair.agent() as alice:
        with pytest.raises(MCPError, match="SESSION_NOT_FOUND"):
            async with listen(
                alice.session, resource_subscriptions=[f"session://{room}", "session://nowhere"]
            ):
                pass


async def test_a_stream_may_ask_for_the_lists_alone(pair: Pair) -> None:
    async with (
        pair.agent() as alice,
        listen(alice.session, tools_list_changed=True, prompts_list_changed=True) as stream,
    ):
        assert stream.honored.tools_list_changed is True
        assert stream.honored.prompts_list_changed is True
        assert stream.honored.resources_list_changed is None
        assert stream.honored.resource_subscriptions is None


@ERA
async def test_both_eras_are_told_that_they_can_subscribe(pair: Pair, era: str) -> None:
    async with pair.agent(mode="auto" if era == "modern" else "legacy") as alice:
        if era == "modern":
            found = alice.session.server_capabilities
        else:
            assert alice.initialize_result is not None
            found = alice.initialize_result.capabilities
        assert found is not None and found.resources is not None
        assert found.resources.subscribe is True
        assert found.completions is not None and found.prompts is not None


async def test_an_unsubscribed_resource_is_not_notified_any_more(pair: Pair, room: str) -> None:
    uri, other = f"session://{room}", f"session://{room}/messages"
    async with subscribing(pair, "legacy", uri, other) as subscriber, pair.rest() as rest:
        await unsubscribe(subscriber.client, uri)
        for unknown in (uri, "session://never-subscribed", "xYzzY"):
            await unsubscribe(subscriber.client, unknown)
        await say(rest, room, "one")
        await subscriber.receives(other)
        await subscribe(subscriber.client, uri)
        await subscribe(subscriber.client, uri)  # again: told once all the same
        await say(rest, room, "two")
        await until(lambda: len(subscriber.received) == 2)
        assert sorted(subscriber.received) == [uri, other]


@ERA
async def test_a_client_that_leaves_is_unsubscribed(own: Pair, name: str, era: str) -> None:
    await make_room(own, name)
    assert await subscriptions(own) == 0
    async with subscribing(own, era, f"session://{name}", f"session://{name}/messages"):
        assert await subscriptions(own) == 2

    async def gone() -> bool:
        return await subscriptions(own) == 0

    await until(gone)


@ERA
async def test_a_revoked_token_ends_its_subscriptions(own: Pair, name: str, era: str) -> None:
    await make_room(own, name)
    uri = f"session://{name}"
    async with (
        subscribing(own, era, uri, agent="mallory") as subscriber,
        subscribing(own, era, uri, agent="alice") as stays,
        own.rest() as rest,
    ):
        await say(rest, name, "one")
        await subscriber.receives(uri)
        await stays.receives(uri)
        await revoke(own, "--agent", "mallory")
        await say(rest, name, "two")  # at once, before any sweep
        await stays.receives(uri)

        async def ended() -> bool:
            return await subscriptions(own) == 1

        await until(ended, within=WITHIN)
        await say(rest, name, "three")
        await stays.receives(uri)
        assert subscriber.received == []
        if era == "modern":
            await until(lambda: subscriber.end is not None)


@ERA
async def test_an_expired_token_ends_its_subscriptions(own: Pair, name: str, era: str) -> None:
    await make_room(own, name)
    async with subscribing(
        own, era, f"session://{name}", agent="brief", seconds=BRIEF
    ) as subscriber:

        async def ended() -> bool:
            return await subscriptions(own) == 0

        await until(ended, within=BRIEF + WITHIN)
        if era == "modern":
            await until(lambda: subscriber.end is not None)


async def test_rights_are_those_of_the_token_that_subscribed(own: Pair, name: str) -> None:
    """In the older era one session may be used with several tokens of its principal."""
    await make_room(own, name)
    uri = f"session://{name}/messages"
    async with subscribing(own, "legacy", agent="alice") as subscriber, own.rest("alice") as rest:
        speak_with(subscriber.client, own.token("alice", seconds=BRIEF))
        await subscribe(subscriber.client, uri)
        speak_with(subscriber.client, own.token("alice"))

        async def ended() -> bool:
            return await subscriptions(own) == 0

        await until(ended, within=BRIEF + WITHIN)
        await say(rest, name, "one")
        await subscribe(subscriber.client, f"session://{name}")  # the stream is still open
        await say(rest, name, "two")
        await subscriber.receives(f"session://{name}")


async def test_subscriptions_beyond_a_limit_are_refused(name: str) -> None:
    limits = {"MAX_RESOURCE_SUBSCRIPTIONS": 3, "MAX_RESOURCE_SUBSCRIPTIONS_PER_PRINCIPAL": 2}
    async with Pair(start=("mcp",), mcp_settings=limits) as pair:
        await make_room(pair, name)
        uris = (f"session://{name}", f"session://{name}/messages")
        async with (
            subscribing(pair, "modern", *uris, agent="greedy"),
            pair.agent("greedy") as again,
            pair.agent("other") as other,
        ):
            code, message, _ = await refusal(pair, again, "modern", uris[0])
            assert code == -32603 and message.startswith("RATE_LIMITED: ")
            with pytest.raises(MCPError, match="OVERLOADED"):
                async with listen(other.session, resource_subscriptions=uris):
                    pass
            async with listen(other.session, resource_subscriptions=uris[:1]):
                assert await subscriptions(pair) == 3
        async with subscribing(pair, "modern", *uris, agent="greedy"):  # room again
            assert await subscriptions(pair) >= 2


async def test_ws_node_has_no_part_in_it(killable: Pair, name: str) -> None:
    await make_room(killable, name)
    killable.ws.kill()
    uri = f"session://{name}"
    async with (
        subscribing(killable, "modern", uri) as modern,
        subscribing(killable, "legacy", uri) as legacy,
        killable.rest() as rest,
    ):
        await say(rest, name, "received")
        await modern.receives(uri)
        await legacy.receives(uri)


async def test_streams_end_in_peace_when_the_node_stops(killable: Pair, name: str) -> None:
    await make_room(killable, name)
    before = len(killable.mcp.output())
    async with (
        subscribing(killable, "modern", f"session://{name}") as modern,
        subscribing(killable, "modern", f"session://{name}/messages", agent="other") as other,
        subscribing(killable, "legacy", f"session://{name}"),
    ):
        code, seconds = await killable.mcp.stop(signal.SIGTERM)
        assert code == 0 and seconds < STOP_WITHIN
        await until(lambda: modern.end and other.end)
        assert (modern.end, other.end) == ("graceful", "graceful")
    said = killable.mcp.output()[before:]
    assert "Traceback" not in said and "ERROR" not in said, said
