"""WS_COMPRESSION=deflate on the real pair: plain, compressed and event stream say the same."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.clients import frames
from tests.integration.rooms import make_room, say
from tests.integration.test_event_stream import Reader, stream
from tests.pair import Pair

TEXTS = ["short", "naïve – " * 400, "x" * 90_000, "z"]


async def heard(viewer: Any, count: int) -> list[dict[str, Any]]:
    if isinstance(viewer, Reader):
        return [(await viewer.event())["data"] for _ in range(count)]
    return await frames(viewer, count)


async def test_all_kinds_of_viewers_get_the_same_live_and_replayed(tmp_path: Path) -> None:
    bounds = {"ROOM_RING_MESSAGES": 5}
    async with Pair(tmp_path, ws_settings={"WS_COMPRESSION": "deflate", **bounds}) as pair:
        await make_room(pair, "room")
        async with pair.rest() as rest:

            async def round_of(query: str, before: int, then: list[str]) -> list[dict[str, Any]]:
                async with (
                    pair.viewer("room", query=query) as plain,
                    pair.viewer("room", query=query, compression="deflate") as deflated,
                    pair.viewer("room", "bob", query=query, compression="deflate") as other,
                    stream(pair, "room", query) as streamed,
                ):
                    assert "Sec-WebSocket-Extensions" not in plain.response.headers
                    assert "Sec-WebSocket-Extensions" in deflated.response.headers
                    viewers = (plain, deflated, other, streamed)
                    for viewer in viewers:
                        (subscribed,) = await heard(viewer, 1)
                        assert subscribed["recovered"] is True
                    for text in then:
                        await say(rest, "room", text)
                    count = before + len(then)
                    got = await asyncio.gather(*(heard(each, count) for each in viewers))
                    assert all(each == got[0] for each in got)
                    return got[0]

            said = [await say(rest, "room", text) for text in TEXTS * 3]
            replayed = await round_of("?since=0", 12, TEXTS)  # from history: nobody watched
            assert [one["position"] for one in replayed[:12]] == said
            assert [one["data"]["content"] for one in replayed] == TEXTS * 4
            last = replayed[-1]["position"]
            assert await round_of(f"?since={last - 4}", 4, []) == replayed[-4:]  # from the ring
            assert await round_of("?since=0", 16, []) == replayed  # both


async def test_by_default_nothing_is_negotiated(pair: Pair, room: str) -> None:
    async with pair.viewer(room, query="?since=0", compression="deflate") as viewer:
        assert "Sec-WebSocket-Extensions" not in viewer.response.headers
        assert json.loads(await viewer.recv())["type"] == "subscribed"
