"""Memory: who has one, what it takes, and that nobody else's exists; on the real store."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_node.memory.memory import Memory, check_key, check_memory_value
from mcp_node.services import make_services
from mcp_node.sessions.authorization import Rights
from proto.errors import (
    Forbidden,
    InvalidInput,
    MemoryExists,
    MemoryNotFound,
    PartylineError,
    RateLimited,
    SessionNotFound,
    TooLarge,
)
from proto.messages import Principal
from proto.settings import Settings, load_settings
from serving.http.identity import NOBODY
from tests.mcp_node import storing
from tests.mcp_node.making import new_session, opened
from tests.waiting import until

BOTH = frozenset({"read", "write"})
ALICE = Principal("alice", "claude", BOTH, token_id="t1")
ALICE_AGAIN = Principal("alice", "codex", BOTH, token_id="t2")
ALICE_ELSEWHERE = Principal("alice", "claude", BOTH, frozenset({"other"}), token_id="t3")
BOB = Principal("bob", "claude", BOTH, token_id="t4")
ROOT = Principal("root", "ops", BOTH | {"admin"}, token_id="t5")
READER = Principal("alice", "claude", frozenset({"read"}), token_id="t6")
WRITER = Principal("alice", "claude", frozenset({"write"}), token_id="t7")
GUEST = Principal("guest:alice-0123abcd", "guest", BOTH, token_id="t8")
SAYS_ALICE = Principal("alice", "claude", BOTH)


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Made(NamedTuple):
    memory: Memory
    clock: Clock


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Made]:
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        await storing.create_session(store, new_session("other"))
        settings = load_settings(data_dir=tmp_path)
        clock = Clock()
        yield Made(Memory(store, settings, Rights(settings), clock=clock), clock)


@pytest.fixture
def memory(made: Made) -> Memory:
    return made.memory


async def keys(memory: Memory, who: Principal, **arguments: Any) -> list[str]:
    return [one["key"] for one in (await memory.list(who, **arguments))["memories"]]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "text",
        "123",
        '{"a":1}',
        0,
        -1,
        2**53,
        0.5,
        1.0,
        True,
        None,
        [],
        [1, [2]],
        {"a": {}},
        "é",
    ],
    ids=repr,
)
async def test_kept_values_come_back(memory: Memory, value: Any) -> None:
    written = await memory.set(ALICE, "k", value)
    got = await memory.get(ALICE, "k")
    assert type(got["value"]) is type(value)
    assert got == {
        "key": "k",
        "value": value,
        "session_id": None,
        "updated_at": written["updated_at"],
        "expires_at": None,
    }
    assert written == {"created": True, "updated_at": got["updated_at"], "expires_at": None}


async def test_only_its_principal_knows_of_it(memory: Memory) -> None:
    await memory.set(ALICE, "k", "mine")
    assert (await memory.get(ALICE_AGAIN, "k"))["value"] == "mine"
    for other in (BOB, ROOT):
        with pytest.raises(MemoryNotFound) as there:
            await memory.get(other, "k")
        with pytest.raises(MemoryNotFound) as nowhere:
            await memory.get(other, "unknown")
        assert str(there.value) == str(nowhere.value)
        assert await memory.list(other) == {"memories": [], "has_more": False}
        assert await memory.newest(other) == {"memories": [], "has_more": False}
        assert await memory.delete(other, "k") == {"deleted": False}
        assert (await memory.set(other, "k", "theirs", overwrite=False))["created"]
    assert (await memory.get(ALICE, "k"))["value"] == "mine"


@pytest.mark.parametrize("who", [NOBODY, SAYS_ALICE, GUEST], ids=lambda who: who.agent_id)
async def test_principals_without_a_token_have_no_memory(memory: Memory, who: Principal) -> None:
    await memory.set(ALICE, "k", "mine")
    for call in (
        memory.set(who, "k", 1),
        memory.get(who, "k"),
        memory.list(who),
        memory.delete(who, "k"),
        memory.newest(who),
    ):
        with pytest.raises(Forbidden, match="token of their own"):
            await call
    assert (await memory.get(ALICE, "k"))["value"] == "mine"


async def test_a_token_without_the_scope_is_refused_memory(memory: Memory) -> None:
    await memory.set(WRITER, "k", 1)
    for call in (
        memory.set(READER, "k", 2),
        memory.delete(READER, "k"),
        memory.get(WRITER, "k"),
        memory.list(WRITER),
        memory.newest(WRITER),
    ):
        with pytest.raises(Forbidden, match="scope"):
            await call
    assert (await memory.get(READER, "k"))["value"] == 1
    assert await memory.delete(WRITER, "k") == {"deleted": True}


async def test_each_session_has_keys_of_its_own(memory: Memory) -> None:
    for session in (None, "room", "other"):
        await memory.set(ALICE, "k", session, session)
    for session in (None, "room", "other"):
        got = await memory.get(ALICE, "k", session)
        assert (got["value"], got["session_id"]) == (session, session)
        assert await keys(memory, ALICE, session_id=session) == ["k"]
    assert await memory.delete(ALICE, "k", "room") == {"deleted": True}
    assert await keys(memory, ALICE) == await keys(memory, ALICE, session_id="other") == ["k"]
    assert await keys(memory, ALICE, session_id="room") == []


async def test_sessions_outside_a_token_do_not_exist(memory: Memory) -> None:
    await memory.set(ALICE, "k", "mine", "room")
    await memory.set(ALICE, "k", "far", "other")
    await memory.set(ALICE, "k", "anywhere")
    for who, session in ((ALICE_ELSEWHERE, "room"), (ALICE_ELSEWHERE, "nowhere"), (ALICE, "none")):
        for call in (
            memory.set(who, "k", 1, session),
            memory.get(who, "k", session),
            memory.list(who, session_id=session),
            memory.delete(who, "k", session),
        ):
            with pytest.raises(SessionNotFound):
                await call
    shown = await memory.newest(ALICE_ELSEWHERE)
    assert [one["session_id"] for one in shown["memories"]] == [None, "other"]
    assert shown["has_more"] is False
    assert (await memory.get(ALICE, "k", "room"))["value"] == "mine"


async def test_what_has_expired_does_not_exist(made: Made) -> None:
    memory, clock = made
    written = await memory.set(ALICE, "k", "short", expires_in="30m")
    assert written["expires_at"] == "2027-01-15T08:30:00.000000Z"
    await memory.set(ALICE, "stays", "long")
    clock.now += 1_799.999
    assert (await memory.get(ALICE, "k"))["expires_at"] == written["expires_at"]
    assert await keys(memory, ALICE) == ["k", "stays"]
    with pytest.raises(MemoryExists):
        await memory.set(ALICE, "k", 1, overwrite=False)
    clock.now += 0.001
    with pytest.raises(MemoryNotFound):
        await memory.get(ALICE, "k")
    assert await keys(memory, ALICE) == ["stays"]
    assert [one["key"] for one in (await memory.newest(ALICE))["memories"]] == ["stays"]
    assert await memory.delete(ALICE, "k") == {"deleted": False}
    assert (await memory.set(ALICE, "k", 1, overwrite=False))["created"]


async def test_setting_again_sets_its_time_anew(made: Made) -> None:
    memory, clock = made
    await memory.set(ALICE, "k", 1, expires_in=10)
    again = await memory.set(ALICE, "k", 2)
    assert (again["created"], again["expires_at"]) == (False, None)
    clock.now += 11
    assert await memory.sweep() == 0
    assert (await memory.get(ALICE, "k"))["value"] == 2


async def test_a_sweep_takes_as_many_turns_as_it_needs(made: Made) -> None:
    memory, clock = made
    for n in range(100):
        await memory.set(ALICE, f"k{n}", n, expires_in=1)
    assert await memory.sweep() == 0
    clock.now += 1
    assert await memory.sweep() == 100
    assert await memory.sweep() == 0


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"key": ""}, InvalidInput),
        ({"key": "x" * 129}, InvalidInput),
        ({"key": 7}, InvalidInput),
        ({"key": " k"}, InvalidInput),
        ({"value": float("nan")}, InvalidInput),
        ({"value": 2**53 + 1}, InvalidInput),
        ({"value": {"a": "\x00"}}, InvalidInput),
        ({"value": "\ud800"}, InvalidInput),
        ({"value": b"x"}, InvalidInput),
        ({"value": "x" * 65_535}, TooLarge),
        ({"session_id": "a b"}, InvalidInput),
        ({"session_id": ""}, InvalidInput),
        ({"session_id": "unknown"}, SessionNotFound),
        ({"expires_in": "soon"}, InvalidInput),
        ({"expires_in": 0}, InvalidInput),
        ({"expires_in": True}, InvalidInput),
        ({"overwrite": "false"}, InvalidInput),
    ],
    ids=repr,
)
async def test_a_refused_entry_leaves_nothing(
    memory: Memory, changes: dict[str, Any], error: type[PartylineError]
) -> None:
    with pytest.raises(error):
        await memory.set(ALICE, **{"key": "k", "value": 1} | changes)
    assert await memory.newest(ALICE) == {"memories": [], "has_more": False}


async def test_a_list_is_ordered_cut_and_paged(memory: Memory) -> None:
    names = ["a", "b", "p", "p/", "p/1", "p/10", "p/2", "p/é", "p/😀", "p0", "%", "P/1"]
    for name in names:
        await memory.set(ALICE, name, name)
    assert await keys(memory, ALICE) == sorted(names)
    assert await keys(memory, ALICE, prefix="p/") == sorted(n for n in names if n[:2] == "p/")
    assert await keys(memory, ALICE, prefix="%") == ["%"]
    assert await keys(memory, ALICE, prefix="p/😀") == ["p/😀"]
    seen: list[str] = []
    has_more = True
    while has_more:
        page = await memory.list(ALICE, "p/", after=seen[-1] if seen else None, limit=2)
        seen += [one["key"] for one in page["memories"]]
        has_more = page["has_more"]
    assert seen == sorted(n for n in names if n[:2] == "p/")
    one = (await memory.list(ALICE, "a"))["memories"][0]
    assert one == {"key": "a", "bytes": 3, "updated_at": one["updated_at"], "expires_at": None}
    for bad in ({"prefix": "\n"}, {"prefix": 1}, {"after": ""}, {"limit": 0}, {"limit": 1001}):
        with pytest.raises(InvalidInput):
            await memory.list(ALICE, **bad)


async def test_the_newest_entries_are_bounded(made: Made) -> None:
    memory, clock = made
    for n in range(102):
        clock.now += 1
        await memory.set(ALICE, f"k{n}", n)
    shown = await memory.newest(ALICE)
    assert [one["value"] for one in shown["memories"]] == list(range(101, 1, -1))
    assert shown["has_more"] is True
    clock.now += 1
    await memory.set(ALICE, "large", "x" * 65_000)
    shown = await memory.newest(ALICE)
    assert shown["memories"][0]["key"] == "large"
    assert len(json.dumps(shown)) < 65_536 + 100 * 250


async def test_memory_counts_towards_the_rate_of_writes(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, writes_per_second=1)
    async with opened(tmp_path) as store:
        memory = make_services(store, settings).memory
        await memory.set(ALICE, "k", 1)
        await memory.delete(ALICE, "k")
        with pytest.raises(RateLimited):
            await memory.set(ALICE, "k", 1)
        await memory.set(BOB, "k", 1)
        assert await keys(memory, ALICE) == []


async def test_of_many_that_claim_a_key_one_wins(memory: Memory) -> None:
    calls = [memory.set(ALICE, "claim", n, overwrite=False) for n in range(20)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    won = [n for n, result in enumerate(results) if not isinstance(result, MemoryExists)]
    assert len(won) == 1
    assert (await memory.get(ALICE, "claim"))["value"] == won[0]


@given(st.text(max_size=130))
def test_a_key_is_taken_as_it_is_or_refused_without_being_repeated(text: str) -> None:
    try:
        assert check_key(text) == text
        assert 1 <= len(text) <= 128 and text.isprintable() and text.strip() == text
    except InvalidInput as error:
        assert str(error) in {
            "INVALID_INPUT: key must be 1 to 128 printable characters. Correct it and call again.",
            "INVALID_INPUT: key must not begin or end with a space. Correct it and call again.",
        }


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S"]), min_size=1, max_size=128))
def test_letters_marks_numbers_punctuation_and_symbols_make_a_key(text: str) -> None:
    assert check_key(text) == text


@pytest.mark.parametrize(
    "character", ["\x00", "\n", "\x7f", "\x85", "\u200b", "\u202e", "\u2028", "\xa0", "\ufeff"]
)
def test_what_nobody_sees_is_in_no_key(character: str) -> None:
    with pytest.raises(InvalidInput):
        check_key(f"a{character}b")


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
        lambda inner: st.lists(inner) | st.dictionaries(st.just("k") | st.just("é"), inner),
        max_leaves=10,
    )
)
def test_every_strict_value_is_json_that_says_the_same(value: Any) -> None:
    assert json.loads(bytes(check_memory_value(value, Settings()))) == value


async def test_the_sweep_goes_on_when_the_store_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load_settings(data_dir=tmp_path)
    async with opened(tmp_path) as store:
        memory = make_services(store, settings).memory
    sweeping = asyncio.create_task(memory.sweep_for_ever(every=0.001))
    await until(lambda: caplog.text.count("expired memory was not swept: UNAVAILABLE") > 1)
    assert not sweeping.done()
    sweeping.cancel()
