"""Edits and reactions: who had the old text gets the new one; nobody is woken by a reaction."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mcp_node.log.transaction import Transaction
from mcp_node.services import Services, make_services
from mcp_node.sessions import edit_message, reactions
from proto.errors import (
    Forbidden,
    InvalidInput,
    KeyReused,
    MessageNotFound,
    PartylineError,
    SessionClosed,
    SessionNotFound,
)
from proto.messages import Principal
from proto.settings import load_settings
from tests.mcp_node import storing
from tests.mcp_node.inbox.test_inbox import ALICE, BOB, EVE, ROOT, read, say, unread
from tests.mcp_node.inbox.test_inbox import waits as waiting_are
from tests.mcp_node.making import opened


@pytest.fixture
async def able(tmp_path: Path) -> AsyncIterator[Services]:
    async with opened(tmp_path) as store:
        made = make_services(store, load_settings(data_dir=tmp_path, writes_per_second=0))
        await made.sessions.create_session(ALICE, "to talk", "room")
        yield made


async def edit(
    able: Services, who: Principal, message_id: Any, content: Any, metadata: Any = None
) -> dict[str, Any]:
    return (await able.editing.edit_message(who, "room", message_id, content, metadata)).shown()


async def news(able: Services, who: Principal) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = (await able.inbox.get_unread(who, "room"))["messages"]
    return messages


async def texts(able: Services, who: Principal, message_id: int = 1) -> list[str]:
    page = await able.inbox.get_revisions(who, "room", message_id)
    return [message["content"] for message in page["messages"]]


async def messages(able: Services, who: Principal, **part: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await storing.read(able, who, mark_read=False, **part))[
        "messages"
    ]
    return found


async def hits(able: Services, query: str) -> list[int]:
    found = await able.search.search_messages(ALICE, query, "room")
    return [hit["message_id"] for hit in found["results"]]


async def test_readers_get_the_new_text_with_its_time(able: Services) -> None:
    await say(able, ALICE, "one", "two")
    edited = await edit(able, ALICE, 1, "uno", {"lang": "es"})
    first, second = await messages(able, BOB)
    assert first == edited
    assert (first["content"], first["metadata"]) == ("uno", {"lang": "es"})
    assert first["edited_at"] > first["timestamp"]
    assert "edited_at" not in second
    assert await edit(able, ALICE, 1, "eins") | {"edited_at": ""} == {
        **first,
        "content": "eins",
        "edited_at": "",
    }


async def test_an_edit_is_unread_for_those_who_read_the_old_text(able: Services) -> None:
    await say(able, ALICE, "one", "two")
    await read(able, BOB)
    edited = await edit(able, ALICE, 1, "uno")
    assert (await unread(able, BOB), await unread(able, ALICE)) == (1, 0)
    assert await unread(able, EVE) == 2  # the messages: she never had the old text
    assert await news(able, BOB) == [
        {
            "id": 3,
            "edits": 1,
            "content": "uno",
            "metadata": {},
            "edited_at": edited["edited_at"],
        }
    ]
    assert await news(able, BOB) == []
    assert [each["id"] for each in await news(able, EVE)] == [1, 2]
    assert (await unread(able, BOB), await unread(able, EVE)) == (0, 0)


async def test_of_several_edits_the_last_is_news(able: Services) -> None:
    await say(able, ALICE, "one")
    await read(able, BOB)
    for text in ("two", "three"):
        await edit(able, ALICE, 1, text)
    assert await unread(able, BOB) == 1
    (only,) = await news(able, BOB)
    assert (only["id"], only["content"]) == (3, "three")
    await edit(able, ALICE, 1, "four")
    await able.deletion.delete_message(ALICE, "room", 1)
    assert await news(able, BOB) == [{"id": 5, "deletes": 1}]


@pytest.mark.parametrize("wanted", ["all", "calls"])
async def test_an_edit_wakes_who_had_the_text(able: Services, wanted: str) -> None:
    await say(able, ALICE, "@bob one")
    await able.waits.wait(BOB, "room", wanted=wanted)
    waiting = asyncio.create_task(able.waits.wait(BOB, "room", timeout_seconds=30, wanted=wanted))
    await waiting_are(able, 1)
    await edit(able, ALICE, 1, "@bob two")
    heard = await waiting
    assert heard["outcome"] == "messages"
    assert [(each["edits"], each["content"]) for each in heard["messages"]] == [(1, "@bob two")]
    assert await unread(able, BOB) == 0


async def test_an_edit_calls_whom_it_mentions_anew(able: Services) -> None:
    await say(able, ALICE, "@eve look")
    await read(able, BOB)
    await edit(able, ALICE, 1, "@bob look")
    heard = await able.waits.wait(BOB, "room", wanted="calls", timeout_seconds=0)
    assert [each.get("edits", each["id"]) for each in heard["messages"]] == [1]
    eves = await able.waits.wait(EVE, "room", wanted="calls", timeout_seconds=0)
    assert eves["messages"] == []
    receipts = await able.roster.receipts(ALICE, "room", 1)
    assert [each["name"] for each in receipts["mentioned"]] == ["bob"]


async def test_a_reply_still_calls_its_parents_author_after_an_edit(able: Services) -> None:
    await say(able, BOB, "question")
    await able.sessions.add_message(ALICE, "room", "@bob yes", parent_message_id=1)
    await edit(able, ALICE, 2, "no")
    heard = await able.waits.wait(BOB, "room", wanted="calls", timeout_seconds=0)
    assert [each["content"] for each in heard["messages"]] == ["no"]


async def test_earlier_texts_are_for_those_who_saw_them(able: Services) -> None:
    await say(able, ALICE, "first")
    await read(able, BOB)
    await edit(able, ALICE, 1, "second")
    await read(able, EVE)
    await edit(able, ALICE, 1, "third", {"n": 3})
    assert await texts(able, ALICE) == await texts(able, BOB) == ["first", "second", "third"]
    assert await texts(able, EVE) == ["second", "third"]
    assert await texts(able, ROOT) == ["third"]
    first, second, _ = (await able.inbox.get_revisions(BOB, "room", 1))["messages"]
    assert "edited_at" not in first
    assert first["timestamp"] < second["edited_at"]
    await able.deletion.delete_message(ALICE, "room", 1)
    assert await texts(able, BOB) == [""]


async def test_a_deletion_by_a_node_that_knows_no_edits_hides_every_text(
    able: Services,
) -> None:
    class OldDeletion:
        size = 1

        def apply(self, transaction: Transaction) -> None:
            transaction.write("UPDATE messages SET content = '', deleted_at = timestamp")

    await say(able, ALICE, "first")
    await edit(able, ALICE, 1, "second")
    await able.inbox._database.write(OldDeletion())
    assert await texts(able, ALICE) == [""]


async def test_search_finds_the_new_text_alone(able: Services) -> None:
    await say(able, ALICE, "platypus")
    await say(able, ALICE, *["filler words"] * 300)  # so that the first is indexed
    await edit(able, ALICE, 1, "wombat")
    await edit(able, ALICE, 1, "wombat quokka")
    await edit(able, ALICE, 301, "echidna")
    for word, found in {"platypus": [], "wombat": [1], "quokka": [1], "echidna": [301]}.items():
        assert await hits(able, word) == found
    await able.deletion.delete_message(ALICE, "room", 1)
    await say(able, ALICE, *["more words"] * 300)
    assert await hits(able, "wombat") == []
    assert await hits(able, "echidna") == [301]


async def test_filters_by_metadata_use_the_new_one(able: Services) -> None:
    await able.sessions.add_message(ALICE, "room", "x", metadata={"kind": "draft"})
    await edit(able, ALICE, 1, "y")
    assert len(await messages(able, BOB, metadata={"kind": "draft"})) == 1
    await edit(able, ALICE, 1, "y", {"kind": "final"})
    assert await messages(able, BOB, metadata={"kind": "draft"}) == []
    assert len(await messages(able, BOB, metadata={"kind": "final"})) == 1


async def test_a_retry_of_the_first_text_gets_the_first_answer(able: Services) -> None:
    async def add(text: str) -> int:
        added = await able.sessions.add_message(ALICE, "room", text, idempotency_key="k")
        return added.id

    await add("one")
    await edit(able, ALICE, 1, "two")
    await edit(able, ALICE, 1, "three")
    assert await add("one") == 1
    with pytest.raises(KeyReused):
        await add("three")
    await able.deletion.delete_message(ALICE, "room", 1)
    assert await add("one") == 1


async def test_the_same_text_again_changes_nothing(able: Services) -> None:
    await say(able, ALICE, "one")
    once = await edit(able, ALICE, 1, "two")
    assert await edit(able, ALICE, 1, "two") == once
    await say(able, ALICE, "next")
    assert [each["id"] for each in await messages(able, BOB)] == [1, 3]


@pytest.mark.parametrize(
    ("who", "message_id", "content", "error"),
    [
        (BOB, 1, "mine", Forbidden),
        (ROOT, 1, "mine", Forbidden),
        (BOB, 2, "x", MessageNotFound),
        (ALICE, 3, "x", MessageNotFound),
        (ALICE, 0, "x", InvalidInput),
        (ALICE, None, "x", InvalidInput),
        (ALICE, 1, "  ", InvalidInput),
        (ALICE, 1, 7, InvalidInput),
    ],
)
async def test_what_is_no_edit_is_refused(
    able: Services, who: Principal, message_id: Any, content: Any, error: type[PartylineError]
) -> None:
    await say(able, ALICE, "one")
    await able.sessions.add_message(ALICE, "room", "hidden", "private")
    with pytest.raises(error):
        await edit(able, who, message_id, content)
    with pytest.raises(SessionNotFound):
        await able.editing.edit_message(ALICE, "elsewhere", 1, "x")


async def test_neither_closed_sessions_nor_deleted_messages_are_edited(
    able: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edit_message, "MOST_EDITS", 2)
    await say(able, ALICE, "one", "two")
    for text in ("a", "b"):
        await edit(able, ALICE, 2, text)
    with pytest.raises(InvalidInput, match="2 times"):
        await edit(able, ALICE, 2, "c")
    await able.deletion.delete_message(ALICE, "room", 1)
    with pytest.raises(InvalidInput, match="deleted"):
        await edit(able, ALICE, 1, "x")
    with pytest.raises(InvalidInput, match="deleted"):
        await able.reacting.react(BOB, "room", 1, "ack")
    await able.moderation.close_session(ALICE, "room")
    with pytest.raises(SessionClosed):
        await edit(able, ALICE, 2, "x")
    with pytest.raises(SessionClosed):
        await able.reacting.react(BOB, "room", 2, "ack")


async def test_reactions_are_counted_with_names(
    able: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactions, "MOST_REACTIONS", 3)
    await say(able, ALICE, "one", "two")
    for who, word in ((BOB, "ack"), (EVE, "ack"), (BOB, "agree"), (BOB, "ack")):
        await able.reacting.react(who, "room", 1, word)
    first, second = await messages(able, ALICE)
    assert first["reactions"] == {
        "ack": {"count": 2, "names": ["bob", "eve"]},
        "agree": {"count": 1, "names": ["bob"]},
    }
    assert "reactions" not in second
    with pytest.raises(InvalidInput, match="3 reactions"):
        await able.reacting.react(ROOT, "room", 1, "done")
    for _ in range(2):
        done = await able.reacting.react(BOB, "room", 1, "ack", remove=True)
        assert done == {"message_id": 1, "reaction": "ack", "removed": True}
    await able.deletion.delete_message(ALICE, "room", 1)
    (first, _) = await messages(able, ALICE)
    assert first["deleted"] and "reactions" not in first


async def test_a_reaction_calls_and_wakes_nobody(able: Services) -> None:
    await say(able, ALICE, "@bob one")
    await read(able, BOB)
    waiting = asyncio.create_task(able.waits.wait(ALICE, "room", after=1, timeout_seconds=30))
    await waiting_are(able, 1)
    await able.reacting.react(BOB, "room", 1, "ack")
    assert (await unread(able, ALICE), await unread(able, BOB)) == (0, 0)
    assert await messages(able, EVE, after=1) == []
    await say(able, BOB, "a message")
    heard = await waiting
    assert [each["content"] for each in heard["messages"]] == ["a message"]
    assert heard["messages"][0]["id"] == 3


@pytest.mark.parametrize(
    ("who", "message_id", "reaction", "error"),
    [
        (BOB, 1, "lol", InvalidInput),
        (BOB, 1, None, InvalidInput),
        (BOB, 2, "ack", MessageNotFound),
        (BOB, 9, "ack", MessageNotFound),
    ],
)
async def test_what_is_no_reaction_is_refused(
    able: Services, who: Principal, message_id: Any, reaction: Any, error: type[PartylineError]
) -> None:
    await say(able, ALICE, "one")
    await able.sessions.add_message(ALICE, "room", "hidden", "private")
    with pytest.raises(error):
        await able.reacting.react(who, "room", message_id, reaction)
