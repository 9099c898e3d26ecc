"""Positions a viewer is told move with the whole log: they say nothing of what it may not see.

Two rooms hold the same words, one of them hidden messages as well, which came after; then somebody
spoke elsewhere. Whatever a viewer asks for, in whatever way, it is told the same in both.
"""

import json
import re
from typing import Any

import pytest_asyncio
import websockets

from tests.clients import frame, plain_client
from tests.integration.rooms import make_room, say
from tests.links.redeeming import guest
from tests.pair import Pair
from tests.waiting import until

FIRST, SECOND, ELSEWHERE = "with-hidden", "sans-hidden", "elsewhere"
_IDS = re.compile(rb'"(id|position)":\d+')


class Rooms:
    """The rooms, and the ids that matter.

    Attributes:
        seen: the id of the visible message, by room.
        hidden: of the last hidden message.
        head: of the log.
        epoch: of the log.
    """

    def __init__(self, seen: dict[str, int], hidden: int, head: int) -> None:
        self.seen = seen
        self.hidden = hidden
        self.head = head
        self.epoch = ""

    def wishes(self) -> list[dict[str, Any]]:
        """Every kind of position a viewer may ask for; ``{}``: from now."""
        sinces = [0, self.hidden - 1, self.hidden, self.head - 1, self.head, self.head + 1]
        known = [{"since": since, "epoch": self.epoch} for since in (0, self.hidden, self.head + 1)]
        foreign = [{"since": since, "epoch": "other"} for since in (0, self.hidden, 2**50)]
        return [{}, *({"since": since} for since in sinces), *known, *foreign]


async def fill(pair: Pair) -> Rooms:
    """Speak in both rooms, hide something in one, and speak elsewhere."""
    for room in (FIRST, SECOND, ELSEWHERE):
        await make_room(pair, room)
    async with pair.rest("ann") as ann:
        seen = {room: await say(ann, room, "the same") for room in (FIRST, SECOND)}
        for _ in range(3):
            hidden = await say(ann, FIRST, "hidden", visibility="private")
        head = await say(ann, ELSEWHERE, "something else")
    return Rooms(seen, hidden, head)


def asked(wish: dict[str, Any]) -> str:
    """A wish as the query of an address."""
    return "&".join(f"{key}={value}" for key, value in wish.items())


async def known(pair: Pair, room: str, head: int) -> dict[str, Any]:
    """What a viewer from now on is told, once ws_node has heard of everything."""

    async def told() -> dict[str, Any] | None:
        async with pair.viewer(room, "eve") as viewer:
            await viewer.send('{"type":"subscribe"}')
            answer = await frame(viewer)
            return answer if answer["position"] >= head else None

    found: dict[str, Any] = await until(told)
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def rooms(pair: Pair) -> Rooms:
    made = await fill(pair)
    made.epoch = (await known(pair, SECOND, made.head))["epoch"]
    await known(pair, FIRST, made.head)
    return made


def same(raw: bytes, room: str) -> bytes:
    """A frame without what may differ: the room's name and a message's own id and time."""
    raw = raw.replace(room.encode(), b"ROOM")
    if json.loads(raw)["type"] == "new_message":
        raw = re.sub(rb'"timestamp":"[^"]+"', b"", _IDS.sub(b"", raw))
    return raw


async def test_subscriptions_tell_nothing_of_hidden_messages(pair: Pair, rooms: Rooms) -> None:
    """On one socket for both, and in the address of a socket."""
    async with pair.viewer(SECOND, "eve") as viewer:
        for wish in rooms.wishes():
            told = []
            for room in (FIRST, SECOND):
                await viewer.send(json.dumps({"type": "subscribe", "session_id": room, **wish}))
                answer = await frame(viewer)
                while answer["type"] != "subscribed":
                    answer = await frame(viewer)
                told.append({**answer, "session_id": "ROOM"})
            assert told[0] == told[1], wish
            if not wish:
                assert told[0]["position"] >= rooms.head
    for wish in rooms.wishes()[1:]:
        told = []
        for room in (FIRST, SECOND):
            async with pair.viewer(room, "eve", query=f"?{asked(wish)}") as viewer:
                told.append({**await frame(viewer), "session_id": "ROOM"})
        assert told[0] == told[1], wish


async def test_event_streams_tell_nothing_of_hidden_messages(pair: Pair, rooms: Rooms) -> None:
    async with plain_client(base_url=pair.ws_url, headers=pair.headers("eve")) as client:
        for wish in rooms.wishes():
            told = []
            for room in (FIRST, SECOND):
                async with client.stream("GET", f"/events/{room}?{asked(wish)}") as answer:
                    lines = answer.aiter_lines()
                    told.append([(await anext(lines)).replace(room, "ROOM") for _ in range(2)])
            assert told[0] == told[1], wish


async def test_a_guest_gets_the_same_bytes(pair: Pair, rooms: Rooms) -> None:
    """From before the hidden messages on, while more come, and when it comes back."""
    got: dict[str, list[bytes]] = {FIRST: [], SECOND: []}
    for room, frames in got.items():
        headers = await guest(pair, room, "ann")
        for since in (0, rooms.seen[room]):
            url = f"ws://127.0.0.1:{pair.ws_port}/ws/{room}?since={since}"
            async with (
                websockets.connect(url, additional_headers=headers, proxy=None) as viewer,
                pair.rest("ann") as ann,
            ):
                assert (await frame(viewer))["position"] == since
                frames.append(await said(viewer, room))
                if room == FIRST:
                    await say(ann, room, "hidden", visibility="private")
                await say(ann, room, "heard")
                frames.append(await said(viewer, room))
                await viewer.send("ping")
                frames.append(await viewer.recv(decode=False))
    assert got[FIRST] == got[SECOND]
    assert [b"heard" in one for one in got[FIRST]] == [False, True, False, True, True, False]


async def said(viewer: Any, room: str) -> bytes:
    """The next frame as `same` leaves it."""
    return same(await viewer.recv(decode=False), room)
