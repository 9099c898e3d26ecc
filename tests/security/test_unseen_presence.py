"""Who is there: only what others may see moves what they see. A table of every tool and route."""

import itertools
from typing import Any

import pytest

from tests.integration.rooms import make_room, say
from tests.pair import Pair
from tests.security.test_unseen import KINDS, NOWHERE, TOOLS, Room, listed, looking

_numbers = itertools.count(1)

QUIET: dict[str, list[dict[str, Any]]] = {
    "list_sessions": [{}],
    "add_message": [
        {"content": "to myself", "visibility": "private"},
        {"content": "to my kind", "visibility": "agent_only"},
        {"content": "to my kind", "visibility": "agent_only", "parent_message_id": "SEEN"},
        {"content": "nowhere", "parent_message_id": NOWHERE},
        {"content": ""},
    ],
    "add_messages": [
        {"messages": [{"content": "to myself", "visibility": "private"}]},
        {"messages": [{"content": "a"}, {"content": "nowhere", "parent_message_id": NOWHERE}]},
    ],
    "search_messages": [{"query": "common"}],
    "edit_message": [
        {"message_id": "OWN", "content": "x"},
        {"message_id": "SEEN", "content": "x"},
        {"message_id": NOWHERE, "content": "x"},
    ],
    "react": [{"message_id": NOWHERE, "reaction": "ack"}],
    "delete_message": [{"message_id": "OWN"}, {"message_id": "SEEN"}, {"message_id": NOWHERE}],
    "get_live_link": [{}],
    "close_session": [{}],
    "leave_session": [{}],
    "update_session": [{"purpose": "mine now"}],
    "set_memory": [{"key": "k", "value": 1}],
    "get_memory": [{"key": "k"}],
    "list_memory": [{}],
    "delete_memory": [{"key": "k"}],
}
"""Tools after which nobody else sees that somebody called them."""

HEARD: dict[str, dict[str, Any]] = {
    "create_session": {"purpose": "p"},
    "get_session": {},
    "get_messages": {},
    "wait_for_messages": {"timeout_seconds": 0},
    "get_receipts": {"message_id": "SEEN"},
    "list_agents": {},
    "claim": {"names": ["deploy"]},
    "release": {},
    "set_status": {"text": "busy"},
    "set_note": {"key": "plan", "text": "a"},
    "get_notes": {},
    "add_message": {"content": "hello all"},
    "add_messages": {"messages": [{"content": "hello all"}]},
}
"""Tools by which somebody is there: it enters, reads, waits, or speaks to all."""

QUIET_ROUTES: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/api/sessions", {}),
    ("POST", "/api/sessions/{room}/messages", {"content": "a", "visibility": "private"}),
    ("POST", "/api/sessions/{room}/messages", {"content": "a", "visibility": "agent_only"}),
    (
        "POST",
        "/api/sessions/{room}/messages",
        {"content": "a", "visibility": "private", "if_last_seen": 0},
    ),
    (
        "POST",
        "/api/sessions/{room}/messages/batch",
        {"messages": [{"content": "a", "visibility": "private"}]},
    ),
    ("DELETE", "/api/sessions/{room}/messages/{own}", {}),
    ("DELETE", "/api/sessions/{room}/messages/{seen}", {}),
    ("PATCH", "/api/sessions/{room}", {"purpose": "mine now"}),
    ("POST", "/api/sessions/{room}/close", {}),
    ("GET", "/api/search?q=common&session_id={room}", {}),
]


async def seen_from_outside(pair: Pair, room: str, message_id: int) -> list[Any]:
    """All that others are told of who is in a room, over every door that tells of it."""
    async with looking(pair, "ann") as who:
        told = [
            await who.tool("list_agents", session_id=room),
            await who.tool("get_receipts", session_id=room, message_id=message_id),
            await who.rest("GET", f"/api/sessions/{room}/agents"),
            await listed(who, Room(room, [], [])),
        ]
    async with pair.service() as client:
        told.append((await client.post("/api/agents", json={"session_ids": [room]})).json())
    return [without(each, "ann") for each in told]


def without(told: Any, name: str) -> Any:
    """What was told, but for who asked."""
    if isinstance(told, dict):
        return {key: without(inside, name) for key, inside in told.items()}
    if isinstance(told, list):
        return [without(one, name) for one in told if not _is_named(one, name)]
    return told


def _is_named(one: Any, name: str) -> bool:
    return isinstance(one, dict) and one.get("name") == name


@pytest.fixture
async def stage(pair: Pair) -> tuple[str, int]:
    """A room that ann speaks in, and her message."""
    room = await make_room(pair, f"quiet-{next(_numbers)}")
    async with pair.rest("ann", **KINDS["ann"]) as ann:
        return room, await say(ann, room, "common")


async def test_what_others_may_not_see_moves_nothing_they_see(
    pair: Pair, stage: tuple[str, int]
) -> None:
    """By somebody who was never there; each act alone."""
    room, said = stage
    before = await seen_from_outside(pair, room, said)
    async with looking(pair, "eve") as eve:
        for name, calls in QUIET.items():
            for arguments in calls:
                own = None
                if arguments.get("message_id") == "OWN":
                    own = await whispered(pair, room)
                places = {"SEEN": said, "OWN": own}
                filled = {
                    key: places.get(value, value) if isinstance(value, str) else value
                    for key, value in arguments.items()
                }
                if name not in ("list_sessions", "list_memory"):
                    filled = {"session_id": room, **filled}
                await eve.tool(name, **filled)
                assert await seen_from_outside(pair, room, said) == before, (name, arguments)
        for method, path, body in QUIET_ROUTES:
            own = await whispered(pair, room) if "{own}" in path else None
            await eve.rest(method, path.format(room=room, own=own, seen=said), **body)
            assert await seen_from_outside(pair, room, said) == before, (method, path)


async def whispered(pair: Pair, room: str) -> int:
    """A message of eve's that nobody else sees."""
    async with pair.rest("eve", **KINDS["eve"]) as eve:
        return await say(eve, room, "psst", visibility="private")


async def test_what_others_may_see_shows_who_is_there(pair: Pair) -> None:
    for name, arguments in HEARD.items():
        room = await make_room(pair, f"heard-{next(_numbers)}")
        async with pair.rest("ann", **KINDS["ann"]) as ann:
            said = await say(ann, room, "common")
        filled = {key: said if value == "SEEN" else value for key, value in arguments.items()}
        async with looking(pair, "eve") as eve:
            await eve.tool(name, session_id=room, **filled)
        agents = (await seen_from_outside(pair, room, said))[0]["agents"]
        assert "eve" in {one["name"] for one in agents}, name


def test_every_tool_is_either_quiet_or_heard() -> None:
    assert QUIET.keys() | HEARD.keys() == TOOLS.keys()
