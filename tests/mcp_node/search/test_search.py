"""Search in a store: the same whether messages are indexed already or not yet."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mcp_node.log.interface import Database
from mcp_node.search.finding import find
from mcp_node.search.query import parse
from mcp_node.search.rows import SECONDS, Criteria
from mcp_node.search.vocabulary import Vocabulary
from proto.messages import Message, Visibility
from tests.mcp_node import storing
from tests.mcp_node.making import ADMIN, CLAUDE, CODEX, NOBODY, new_message, new_session
from tests.mcp_node.search.searching import IndexNow, Statement, found, search

Say = Callable[..., Awaitable[Message]]
DELETE = "UPDATE messages SET content = '', metadata = '{}', deleted_at = 'x' WHERE id = ?"


@pytest.fixture(params=["not yet indexed", "indexed one by one", "indexed at the end"])
def say(store: Database, request: pytest.FixtureRequest) -> Say:
    async def add(content: str, **fields: Any) -> Message:
        message = await storing.append(store, new_message(content=content, **fields))
        if request.param == "indexed one by one":
            await store.write(IndexNow())
        return message

    return add


@pytest.fixture
async def settle(store: Database, request: pytest.FixtureRequest) -> Callable[[], Any]:
    async def now() -> None:
        if "at the end" in request.node.name:
            await store.write(IndexNow())

    return now


async def test_results_hold_every_word_newest_first(store: Database, say: Say, settle: Any) -> None:
    await say("the router drops packets")
    await say("packets arrive")
    await say("Router, and packets again")
    await settle()
    result = await search(store, "PACKETS router")
    assert [hit.message_id for hit in result.hits] == [3, 1]
    assert result.hits[1].snippet == "the «router» drops «packets»"
    assert (result.has_more, result.corrected) == (False, {})


async def test_a_limit_tells_whether_there_is_more(store: Database, say: Say, settle: Any) -> None:
    for _ in range(3):
        await say("again and again")
    await settle()
    for limit, more in ((1, True), (2, True), (3, False), (4, False)):
        result = await search(store, "again", limit=limit)
        assert [hit.message_id for hit in result.hits] == [3, 2, 1][:limit]
        assert result.has_more is more


async def test_phrases_prefixes_and_other_scripts_are_found(
    store: Database, say: Say, settle: Any
) -> None:
    await say("call add_message first")
    await say("message add, routing tables")
    await say("我们今天吃饭 Café")
    await settle()
    assert await found(store, "add_message") == [1]
    assert await found(store, '"message add"') == [2]
    assert await found(store, "rout*") == [2]
    assert await found(store, "add mess*") == [2, 1]
    assert await found(store, "xy*") == []
    assert await found(store, "今天") == [3]
    assert await found(store, "天今") == []
    assert await found(store, "cafe") == [3]


async def test_typing_errors_are_forgiven_the_closest_first(
    store: Database, say: Say, settle: Any
) -> None:
    for text in ("the router", "the routes", "the rooster", "a walrus", "ruote is right"):
        await say(text)
    await settle()
    result = await search(store, "ruoter")
    assert [hit.message_id for hit in result.hits] == [5, 1, 3, 2]
    assert result.corrected == {"ruoter": ["router", "ruote", "routes", "rooster"]}
    result = await search(store, "teh walrsu")
    assert [hit.message_id for hit in result.hits] == [] and result.corrected == {}
    result = await search(store, "a walrsu")
    assert [hit.message_id for hit in result.hits] == [4]
    assert result.corrected == {"walrsu": ["walrus"]}
    assert await found(store, "ruoter", limit=1) == [5]
    assert (await search(store, "ruoter", limit=1)).has_more


async def test_a_word_that_occurs_is_not_corrected(store: Database, say: Say, settle: Any) -> None:
    await say("cat", sender="bob")
    await say("car")
    await settle()
    assert await found(store, "cat") == [1]
    assert await search(store, "cat", sender="claude-main") == ([], False, {})


async def test_a_sender_with_its_sub_agents(store: Database, say: Say, settle: Any) -> None:
    for sender in ("claude-main", "claude-main/reviewer", "claude-main-2", "bob"):
        await say("hello", sender=sender)
    await settle()
    assert await found(store, "hello", sender="claude-main") == [2, 1]
    assert await found(store, "hello", sender="claude-main/reviewer") == [2]
    assert await found(store, "hello", sender="bob") == [4]
    for nobody in ("Bob", "claude", "claude-main/", '"', "b b", "*", "é"):
        assert await found(store, "hello", sender=nobody) == [], nobody


async def test_since_and_until_count_themselves(store: Database, say: Say, settle: Any) -> None:
    times = [(await say("hello")).timestamp for _ in range(3)]
    await settle()
    assert await found(store, "hello", since=times[1]) == [3, 2]
    assert await found(store, "hello", until=times[1]) == [2, 1]
    assert await found(store, "hello", since=times[1], until=times[1]) == [2]
    assert await found(store, "hello", since="9999-12-31T23:59:59.999999Z") == []
    assert await found(store, "hello", until="0001-01-01T00:00:00.000000Z") == []


async def test_search_is_restricted_to_the_given_sessions(
    store: Database, say: Say, settle: Any
) -> None:
    await storing.create_session(store, new_session("other"))
    await say("hello")
    await say("hello", session_id="other")
    await settle()
    assert await found(store, "hello") == [2, 1]
    assert await found(store, "hello", within=frozenset({"other"})) == [2]
    assert await found(store, "helo", within=frozenset({"room"})) == [1]
    assert await found(store, "hello", within=frozenset({"nowhere", ""})) == []
    assert await found(store, "hello", within=frozenset()) == []


async def test_what_may_be_seen_is_found(store: Database, say: Say, settle: Any) -> None:
    for visibility in Visibility:
        await say(f"hello {visibility}", visibility=visibility)
    await settle()
    public, private, agent_only, admin_only = range(1, 5)
    for reader, expected in (
        (CLAUDE, [agent_only, private, public]),
        (CODEX, [public]),
        (NOBODY, [public]),
        (ADMIN, [admin_only, agent_only, public]),
    ):
        assert await found(store, "hello", audience=reader) == expected
        assert await found(store, "helo", audience=reader) == expected
        assert await found(store, "hel*", audience=reader) == expected
        assert await found(store, "hello", audience=reader, within=frozenset({"room"})) == expected
    assert await search(store, "agent_onyl", audience=CODEX) == ([], False, {})


@pytest.mark.parametrize("statement", [DELETE, "DELETE FROM messages WHERE id = ?"])
async def test_what_is_gone_is_not_found(
    store: Database, say: Say, settle: Any, statement: str
) -> None:
    await say("secret plan", sender="bob")
    await say("another plan")
    await settle()
    await store.write(Statement(statement, 1))
    assert await found(store, "plan") == [2]
    assert await search(store, "secret") == ([], False, {})
    assert await search(store, "secre") == ([], False, {})
    assert await found(store, "sec*") == []
    assert await found(store, "plans") == [2]  # the word itself has not gone
    await say("a secret again")
    await settle()
    assert await found(store, "secre") == [3]
    await store.write(IndexNow())
    await store.write(Statement(statement, 3))
    assert await search(store, "secre") == ([], False, {})


@pytest.mark.sqlite
async def test_nothing_of_what_is_gone_stays_in_the_index(store: Database) -> None:
    await storing.append(store, new_message(content="secret plan"))
    await storing.append(store, new_message(content="plan"))
    await store.write(IndexNow())
    await store.write(Statement(DELETE, 1))
    words = await store.read(lambda c: c.execute("SELECT * FROM search_words").fetchall())
    assert [(message_id, word) for _, message_id, word in words] == [(2, "plan")]
    await store.write(Statement("INSERT INTO search (search) VALUES ('optimize')"))
    blocks = await store.read(lambda c: c.execute("SELECT block FROM search_data").fetchall())
    assert b"plan" in b"".join(block for (block,) in blocks)
    assert b"secret" not in b"".join(block for (block,) in blocks)


async def test_a_search_that_takes_too_long_ends_with_what_it_has(store: Database) -> None:
    for _ in range(3):
        await storing.append(store, new_message(content="hello"))
    criteria = Criteria(CLAUDE, None, parse("hello"), None, None, None, 20)
    ticks = iter([0.0, 0.0, 2 * SECONDS, 2 * SECONDS, 2 * SECONDS])
    result = await store.read(
        lambda c: find(c, vocabulary=Vocabulary(), criteria=criteria, clock=lambda: next(ticks))
    )
    assert [hit.message_id for hit in result.hits] == [3, 2]
    assert result.has_more


async def test_words_apart_are_looked_through_only_so_long(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_node.search.rows.MISSES", 3)
    await storing.append(store, new_message(content="one two"))
    for _ in range(4):
        await storing.append(store, new_message(content="two one"))
    assert await found(store, '"one two"') == [1]  # not indexed yet
    await store.write(IndexNow())
    result = await search(store, '"one two"')
    assert (result.hits, result.has_more, result.corrected) == ([], True, {})


async def test_long_logs_are_looked_through_in_windows(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_node.search.rows.WINDOW", 3)
    for number in range(10):
        await storing.append(store, new_message(content=f"hello {number % 4}"))
    await store.write(IndexNow())
    assert await found(store, "hello") == list(range(10, 0, -1))
    assert await found(store, "hello 1") == [10, 6, 2]
    assert await found(store, "hello", limit=4) == [10, 9, 8, 7]


async def test_a_token_of_many_sessions_takes_several_statements(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_node.search.rows.TERMS", 4)
    rooms = [f"room-{number}" for number in range(9)]
    for room in rooms:
        await storing.create_session(store, new_session(room))
    for number in range(30):
        await storing.append(store, new_message(rooms[number * 7 % 9], f"hello {number % 2}"))
    await store.write(IndexNow())
    within = frozenset(rooms[2:])
    expected = [n + 1 for n in range(29, -1, -1) if rooms[n * 7 % 9] in within]
    assert await found(store, "hello", within=within, limit=100) == expected
    assert await found(store, "helol", within=within, limit=100) == expected
    assert (
        await found(store, "hello 1", within=within, limit=5)
        == [n for n in expected if n % 2 == 0][:5]
    )
