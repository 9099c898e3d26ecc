"""One socket, several sessions: subscribe, unsubscribe, each with its own position."""

import json
from typing import Any

import pytest
import websockets

from tests.clients import frame, frames
from tests.pair import Pair


async def said(pair: Pair, session: str, content: str) -> int:
    async with pair.rest() as rest:
        await rest.post("/api/sessions", json={"purpose": "p", "session_id": session})
        answer = await rest.post(f"/api/sessions/{session}/messages", json={"content": content})
        return int(answer.json()["message_id"])


def socket(pair: Pair, agent: str = "watcher", **rights: Any) -> websockets.connect:
    return websockets.connect(
        f"ws://127.0.0.1:{pair.ws_port}/ws",
        additional_headers=pair.headers(agent, **rights),
        compression=None,
        proxy=None,
    )


async def asked(viewer: Any, **command: Any) -> dict[str, Any]:
    await viewer.send(json.dumps(command))
    return await frame(viewer)


async def test_a_socket_watches_sessions_it_names(pair: Pair) -> None:
    first = await said(pair, "many-a", "before")
    async with socket(pair) as viewer:
        here = await asked(viewer, type="subscribe", session_id="many-a", since=0)
        assert (here["type"], here["session_id"], here["recovered"]) == (
            "subscribed",
            "many-a",
            True,
        )
        assert (await frame(viewer))["position"] == first
        there = await asked(viewer, type="subscribe", session_id="many-b")
        assert (there["type"], there["session_id"]) == ("subscribed", "many-b")
        ids = [await said(pair, name, "x") for name in ("many-a", "many-b", "many-a")]
        got = await frames(viewer, 3)
        assert [(event["session_id"], event["position"]) for event in got] == [
            ("many-a", ids[0]),
            ("many-b", ids[1]),
            ("many-a", ids[2]),
        ]
        gone = await asked(viewer, type="unsubscribe", session_id="many-a")
        assert gone == {"type": "unsubscribed", "session_id": "many-a"}
        await said(pair, "many-a", "unseen")
        last = await said(pair, "many-b", "seen")
        assert (await frame(viewer))["position"] == last
        again = await asked(viewer, type="subscribe", session_id="many-a", since=ids[2])
        assert again["recovered"] is True
        assert (await frame(viewer))["data"]["content"] == "unseen"


async def test_a_session_socket_takes_others_besides_its_own(pair: Pair) -> None:
    async with pair.viewer("many-c") as viewer:
        await asked(viewer, type="subscribe", session_id="many-d")
        own, other = await said(pair, "many-c", "x"), await said(pair, "many-d", "x")
        assert [event["position"] for event in await frames(viewer, 2)] == [own, other]
        assert (await asked(viewer, type="unsubscribe"))["session_id"] == "many-c"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"type": "subscribe"}, "INVALID_INPUT"),
        ({"type": "subscribe", "session_id": "../etc"}, "INVALID_INPUT"),
        ({"type": "subscribe", "session_id": "elsewhere"}, "FORBIDDEN"),
        ({"type": "unsubscribe", "session_id": "many-e"}, "INVALID_INPUT"),
    ],
)
async def test_what_cannot_be_done_is_said_and_the_socket_stays(
    pair: Pair, command: dict[str, Any], code: str
) -> None:
    async with socket(pair, sessions=["many-e"]) as viewer:
        answer = await asked(viewer, **command)
        assert (answer["type"], answer["code"]) == ("error", code)
        assert (await asked(viewer, type="subscribe", session_id="many-e"))["type"] == "subscribed"


async def test_subscriptions_of_a_socket_are_bounded(pair: Pair) -> None:
    async with socket(pair) as viewer:
        for number in range(100):
            done = await asked(viewer, type="subscribe", session_id=f"bound-{number}")
            assert done["type"] == "subscribed"
        refused = await asked(viewer, type="subscribe", session_id="bound-100")
        assert (refused["type"], refused["code"]) == ("error", "RATE_LIMITED")
