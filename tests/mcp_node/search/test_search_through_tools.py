"""search_messages as agents and programs have it: the tool, REST, rights and bounds."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastmcp.exceptions import ToolError

from mcp_node.doors.mcp.tools.results import NOTICE
from mcp_node.services import Services, make_services
from proto.errors import Forbidden, InvalidInput, PartylineError, RateLimited, SessionNotFound
from proto.messages import Principal
from proto.settings import load_settings
from tests.mcp_node.making import opened
from tests.pair import Pair

WRITER = frozenset({"read", "write"})
ALICE = Principal("alice", "claude", WRITER, token_id="t1")
BOB = Principal("bob", "codex", WRITER, token_id="t2")
EVE = Principal("eve", "codex", WRITER, sessions=frozenset({"open"}), token_id="t3")


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    """A node's services, with messages in the sessions ``open`` and ``closed``."""
    async with opened(tmp_path) as store:
        made = make_services(store, load_settings(data_dir=tmp_path, max_searches_per_principal=2))
        for room in ("open", "closed"):
            await made.sessions.create_session(ALICE, "p", room)
            await made.sessions.add_message(ALICE, room, f"the walrus of {room}")
        await made.sessions.add_message(ALICE, "open", "a private penguin", "private")
        yield made


def ids(answer: dict[str, Any]) -> list[int]:
    return [hit["message_id"] for hit in answer["results"]]


async def test_an_answer_has_what_the_contract_names(services: Services) -> None:
    answer = await services.search.search_messages(BOB, "walrsu", "open")
    (hit,) = answer["results"]
    assert hit.pop("timestamp") > "2026"
    assert hit == {
        "session_id": "open",
        "message_id": 1,
        "sender": "alice",
        "sender_type": "claude",
        "visibility": "public",
        "snippet": "the «walrus» of open",
    }
    assert answer["has_more"] is False
    assert answer["corrected"] == {"walrsu": ["walrus"]}
    assert "corrected" not in await services.search.search_messages(BOB, "walrus")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"query": ""}, InvalidInput),
        ({"query": "a\x00b"}, InvalidInput),
        ({"query": None}, InvalidInput),
        ({"query": "a" * 201}, InvalidInput),
        ({"session_id": "no such"}, InvalidInput),
        ({"session_id": "unknown"}, SessionNotFound),
        ({"session_id": ""}, InvalidInput),
        ({"sender": ""}, InvalidInput),
        ({"sender": 5}, InvalidInput),
        ({"sender": "a\x00"}, InvalidInput),
        ({"since": "yesterday"}, InvalidInput),
        ({"until": 5}, InvalidInput),
        ({"limit": 0}, InvalidInput),
        ({"limit": 101}, InvalidInput),
        ({"limit": True}, InvalidInput),
        ({"limit": "3"}, InvalidInput),
    ],
    ids=range(16),
)
async def test_bad_search_arguments_are_refused(
    services: Services, changes: dict[str, Any], error: type[PartylineError]
) -> None:
    with pytest.raises(error):
        await services.search.search_messages(BOB, **{"query": "walrus"} | changes)


async def test_only_sessions_that_the_token_covers(services: Services) -> None:
    assert ids(await services.search.search_messages(BOB, "walrus")) == [2, 1]
    assert ids(await services.search.search_messages(EVE, "walrus")) == [1]
    assert (await services.search.search_messages(EVE, "clossed walrus"))["results"] == []
    assert "corrected" not in await services.search.search_messages(EVE, "closde")
    errors = []
    for room in ("closed", "unknown"):
        with pytest.raises(SessionNotFound) as refusal:
            await services.search.search_messages(EVE, "walrus", room)
        errors.append(str(refusal.value))
    assert errors[0] == errors[1]


async def test_without_the_scope_nothing_is_found(services: Services) -> None:
    mute = Principal("mute", "claude", frozenset({"write"}), token_id="t4")
    with pytest.raises(Forbidden):
        await services.search.search_messages(mute, "walrus")


async def test_the_private_is_for_its_author(services: Services) -> None:
    for query in ("penguin", "pengiun", "pengu*", '"private penguin"'):
        answer = await services.search.search_messages(BOB, query)
        assert answer == {"results": [], "has_more": False}
        assert ids(await services.search.search_messages(ALICE, query)) == [3]


async def test_one_principal_searches_only_so_much_at_once(services: Services) -> None:
    searches = [services.search.search_messages(BOB, "walrus") for _ in range(5)]
    other = services.search.search_messages(ALICE, "walrus")
    *own, others = await asyncio.gather(*searches, other, return_exceptions=True)
    assert [isinstance(answer, RateLimited) for answer in own] == [False] * 2 + [True] * 3
    assert isinstance(others, dict)
    with pytest.raises(InvalidInput):
        await services.search.search_messages(BOB, "")
    task = asyncio.create_task(services.search.search_messages(BOB, "walrus"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(3):  # what ended, however, counts no more
        assert ids(await services.search.search_messages(BOB, "walrus")) == [2, 1]


async def test_over_mcp_and_rest_it_is_the_same_search(tmp_path: Path) -> None:
    async with Pair(tmp_path, start=("mcp",)) as pair:
        async with pair.agent("alice") as alice:
            await alice.call_tool("create_session", {"purpose": "p", "session_id": "room"})
            for visibility in ("public", "private"):
                content = f"the {visibility} router café 今天"
                await alice.call_tool(
                    "add_message",
                    {"session_id": "room", "content": content, "visibility": visibility},
                )
            seen = (
                await alice.call_tool("search_messages", {"query": "ruoter"})
            ).structured_content
        for mode in ("auto", "legacy"):
            async with pair.agent("bob", kind="codex", mode=mode) as bob:
                tool = (
                    await bob.call_tool("search_messages", {"query": "ruoter CAFE"})
                ).structured_content
                with pytest.raises(ToolError, match=r"INVALID_INPUT: query has no word in it\."):
                    await bob.call_tool("search_messages", {"query": "…"})
        async with pair.rest("bob", kind="codex") as rest:
            answer = await rest.get(
                "/api/search", params={"q": "ruoter CAFE", "session_id": "room"}
            )
            nothing = await rest.get("/api/search")
            bad = await rest.get("/api/search", params={"q": "a", "limit": "0"})
            hostile = [
                await rest.get("/api/search", params={"q": q})
                for q in ('"', "router* AND", "NEAR(", "a:b", "-", "\x00", "😀 router", "a" * 201)
            ]
            document = (await rest.get("/openapi.json")).json()
        async with pair.rest("mute", scopes="write") as rest:
            mute = await rest.get("/api/search", params={"q": "router"})
    assert ids(seen) == [2, 1]
    assert ids(tool) == [1]
    assert (tool["untrusted"], tool["notice"]) == (True, NOTICE)
    assert tool["results"][0]["snippet"] == "the public «router» «café» 今天"
    assert answer.status_code == 200
    assert answer.json() == {k: v for k, v in tool.items() if k not in ("untrusted", "notice")}
    assert [nothing.status_code, bad.status_code, mute.status_code] == [422, 422, 403]
    assert [one.status_code for one in hostile] == [422, 200, 200, 200, 422, 422, 200, 413]
    assert set(document["paths"]["/api/search"]["get"]["responses"]) >= {"200", "404", "429"}


async def test_searching_while_others_write(tmp_path: Path) -> None:
    async with (
        Pair(tmp_path, start=("mcp",)) as pair,
        pair.rest("alice") as alice,
        pair.rest("bob", kind="codex") as bob,
    ):
        await alice.post("/api/sessions", json={"purpose": "p", "session_id": "room"})

        async def missed(first: int) -> list[int]:
            """Messages that were not found as soon as they were acknowledged."""
            lost = []
            for number in range(first, first + 60):
                body = {"content": f"needle number{number} in the hay"}
                made = await alice.post("/api/sessions/room/messages", json=body)
                found = await bob.get("/api/search", params={"q": f"number{number}"})
                if ids(found.json()) != [made.json()["message_id"]]:
                    lost.append(number)
            return lost

        assert await asyncio.gather(*(missed(1_000 * n) for n in range(1, 4))) == [[], [], []]
        mistyped = await bob.get("/api/search", params={"q": "needel", "limit": 100})
        assert len(ids(mistyped.json())) == 100
        assert mistyped.json()["has_more"] is True
