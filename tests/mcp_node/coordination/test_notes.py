"""Notes on the real store: versions, conflicts, bounds, and who may."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mcp_node.coordination.notes import Notes
from mcp_node.services import Services, make_services
from proto.errors import (
    Forbidden,
    InvalidInput,
    NoteNotFound,
    RateLimited,
    SessionClosed,
    SessionNotFound,
    VersionConflict,
)
from proto.messages import Principal
from proto.settings import load_settings
from serving.http.identity import NOBODY
from tests.mcp_node import storing
from tests.mcp_node.coordination.test_claims import ALICE, BOB, ELSEWHERE, GUEST, READER, ROOT
from tests.mcp_node.making import new_session, opened


@pytest.fixture
async def able(tmp_path: Path) -> AsyncIterator[Services]:
    async with opened(tmp_path) as store:
        for name in ("room", "other"):
            await storing.create_session(store, new_session(name))
        yield make_services(store, load_settings(data_dir=tmp_path, writes_per_second=0))


@pytest.fixture
def notes(able: Services) -> Notes:
    return able.notes


async def texts(notes: Notes, **wanted: Any) -> dict[str, list[tuple[str, int, str]]]:
    found = await notes.get(BOB, "room", **wanted)
    return {
        name: [(one["key"], one["version"], one["text"]) for one in listed]
        for name, listed in found.items()
    }


async def test_a_note_is_replaced_and_its_earlier_texts_stay(notes: Notes) -> None:
    assert await texts(notes) == {"notes": []}
    made = await notes.set(ALICE, "room", "split/of work", "alice: a")
    assert (made["key"], made["version"]) == ("split/of work", 1)
    await notes.set(GUEST, "room", "split/of work", "bob: b\u200b")
    await notes.set(BOB, "room", "decisions", "none")
    await notes.set(BOB, "other", "decisions", "elsewhere")
    assert await texts(notes) == {
        "notes": [("decisions", 1, "none"), ("split/of work", 2, "bob: b\u200b")]
    }
    assert await texts(notes, key="split/of work") == {
        "notes": [("split/of work", 2, "bob: b\u200b")],
        "earlier": [("split/of work", 1, "alice: a")],
    }
    (shown,) = (await notes.get(BOB, "room", "split/of work"))["notes"]
    assert shown["author"] == GUEST.agent_id and shown["hidden_characters"] == 1
    with pytest.raises(NoteNotFound):
        await notes.get(BOB, "room", "nothing")


async def test_another_version_is_a_conflict_that_tells_the_note(notes: Notes) -> None:
    with pytest.raises(VersionConflict) as refused:
        await notes.set(ALICE, "room", "k", "a", 1)
    assert refused.value.details == {"version": 0}
    await notes.set(ALICE, "room", "k", "a", 0)
    for version in (0, 2):
        with pytest.raises(VersionConflict) as refused:
            await notes.set(BOB, "room", "k", "b", version)
        assert refused.value.details == (await notes.get(BOB, "room"))["notes"][0]
    await notes.set(BOB, "room", "k", "b", 1)
    assert (await texts(notes))["notes"] == [("k", 2, "b")]


async def test_of_many_at_once_one_is_stored(notes: Notes) -> None:
    async def attempt(n: int) -> bool:
        try:
            await notes.set(ALICE, "room", "k", str(n), 0)
        except VersionConflict:
            return False
        return True

    assert sum(await asyncio.gather(*map(attempt, range(8)))) == 1
    assert len((await texts(notes, key="k"))["earlier"]) == 0


async def test_bounds_of_notes_and_versions(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_node.coordination.note_rows.MOST_NOTES", 2)
    monkeypatch.setattr("mcp_node.coordination.note_rows.KEPT_VERSIONS", 3)
    for n in range(5):
        await notes.set(ALICE, "room", "a", str(n))
    await notes.set(ALICE, "room", "b", "b")
    with pytest.raises(RateLimited):
        await notes.set(ALICE, "room", "c", "c")
    await notes.set(ALICE, "room", "b", "again")
    assert await texts(notes, key="a") == {
        "notes": [("a", 5, "4")],
        "earlier": [("a", 4, "3"), ("a", 3, "2")],
    }


@pytest.mark.parametrize(
    "arguments",
    [
        {"key": ""},
        {"key": "a" * 129},
        {"key": "a\nb"},
        {"key": None},
        {"text": ""},
        {"text": " \n"},
        {"text": "\x00"},
        {"text": "\ud800"},
        {"text": None},
        {"text": "é" * 8_193},
        {"if_version": -1},
        {"if_version": True},
        {"if_version": "1"},
    ],
)
async def test_bad_arguments_are_refused(notes: Notes, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await notes.set(ALICE, "room", **{"key": "k", "text": "t", **arguments})
    assert await texts(notes) == {"notes": []}


@pytest.mark.parametrize(
    ("who", "error"), [(READER, Forbidden), (NOBODY, Forbidden), (ELSEWHERE, SessionNotFound)]
)
async def test_who_may_not_write(notes: Notes, who: Principal, error: type[Exception]) -> None:
    with pytest.raises(error):
        await notes.set(who, "room", "k", "t")
    assert await texts(notes) == {"notes": []}


async def test_sessions_one_may_not_enter(notes: Notes) -> None:
    for who, session in ((ELSEWHERE, "room"), (ALICE, "nowhere")):
        with pytest.raises(SessionNotFound):
            await notes.get(who, session)
        with pytest.raises(SessionNotFound):
            await notes.set(who, session, "k", "t")


async def test_a_closed_session_keeps_its_notes_as_they_are(able: Services) -> None:
    await able.notes.set(ALICE, "room", "k", "t")
    await able.moderation.close_session(ROOT, "room")
    with pytest.raises(SessionClosed):
        await able.notes.set(ALICE, "room", "k", "u")
    assert (await texts(able.notes))["notes"] == [("k", 1, "t")]
