"""Statuses and leaving, on the real store, as list_agents shows them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mcp_node.services import Services, make_services
from proto.errors import Forbidden, InvalidInput, SessionNotFound
from proto.messages import Principal, seconds
from proto.settings import load_settings
from serving.http.identity import NOBODY
from tests.mcp_node import storing
from tests.mcp_node.coordination.test_claims import ALICE, BOB, ELSEWHERE, READER
from tests.mcp_node.making import new_session, opened


@pytest.fixture
async def able(tmp_path: Path) -> AsyncIterator[Services]:
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        yield make_services(store, load_settings(data_dir=tmp_path, writes_per_second=0))


async def alice(able: Services) -> dict[str, Any]:
    (found,) = [one for one in await able.roster.agents(BOB, "room") if one["name"] == "alice"]
    return dict(found)


async def test_a_status_is_shown_until_it_is_cleared(able: Services) -> None:
    made = await able.statuses.set(ALICE, "room", "checking A13\u200b", 3)
    shown = await alice(able)
    assert shown["status"] == {
        "text": "checking A13\u200b",
        "until": made["until"],
        "hidden_characters": 1,
    }
    assert 179 < seconds(made["until"]) - seconds(shown["last_seen"]) < 181
    await able.statuses.set(ALICE, "room", "done")
    assert (await alice(able))["status"]["text"] == "done"
    assert await able.statuses.set(ALICE, "room", " ") == {"cleared": True}
    assert "status" not in await alice(able)


async def test_a_status_ends_with_its_time(able: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await able.statuses.set(ALICE, "room", "busy", 1)
    monkeypatch.setattr("mcp_node.inbox.roster.utc_now", lambda: made["until"])
    assert "status" not in await alice(able)


async def test_who_left_is_shown_so_until_it_is_seen_again(able: Services) -> None:
    await able.statuses.set(ALICE, "room", "busy")
    left = await able.statuses.leave(ALICE, "room")
    shown = await alice(able)
    assert shown["left_at"] == left["left_at"]
    assert "status" not in shown
    await storing.read(able, ALICE)
    assert "left_at" not in await alice(able)


async def test_who_waits_has_not_left(able: Services) -> None:
    await storing.read(able, ALICE)
    waiting = asyncio.create_task(able.waits.wait(ALICE, "room", timeout_seconds=60))
    while not (await alice(able))["waiting"]:
        await asyncio.sleep(0)
    await able.statuses.leave(ALICE, "room")
    assert "left_at" not in await alice(able)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_who_was_never_there_cannot_be_seen_to_leave(able: Services) -> None:
    await able.statuses.leave(ALICE, "room")
    assert [one["name"] for one in await able.roster.agents(BOB, "room")] == ["bob"]


@pytest.mark.parametrize(
    ("text", "minutes"), [("a" * 201, 15), (None, 15), ("\x00", 15), ("a", 0), ("a", 1441)]
)
async def test_bad_arguments_are_refused(able: Services, text: Any, minutes: Any) -> None:
    with pytest.raises(InvalidInput):
        await able.statuses.set(ALICE, "room", text, minutes)


@pytest.mark.parametrize(
    ("who", "session", "error"),
    [
        (READER, "room", Forbidden),
        (NOBODY, "room", Forbidden),
        (ELSEWHERE, "room", SessionNotFound),
        (ALICE, "nowhere", SessionNotFound),
    ],
)
async def test_who_may_not(
    able: Services, who: Principal, session: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await able.statuses.set(who, session, "busy")
    with pytest.raises(error):
        await able.statuses.leave(who, session)
