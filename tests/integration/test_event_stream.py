"""Server-sent events: the same session, the same rules, ids that resume."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.clients import plain_client
from tests.pair import Pair
from tests.waiting import PATIENCE, until


class Reader:
    """Parses one event stream."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def event(self) -> dict[str, Any]:
        """The next event: its fields, with ``data`` decoded."""
        fields: dict[str, Any] = {}
        async with asyncio.timeout(PATIENCE):
            async for line in self._lines:
                if not line and "data" in fields:
                    return fields | {"data": json.loads(fields["data"])}
                name, _, value = line.partition(": ")
                if name:
                    fields[name] = value
        raise EOFError


@contextlib.asynccontextmanager
async def stream(
    pair: Pair, session: str, query: str = "", last: int | None = None, **who: Any
) -> AsyncIterator[Reader]:
    headers = pair.headers(**who) | ({} if last is None else {"Last-Event-ID": str(last)})
    async with (
        plain_client(base_url=pair.ws_url) as client,
        client.stream("GET", f"/events/{session}{query}", headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Reader(response)


async def add(pair: Pair, session: str, count: int, **fields: Any) -> list[int]:
    async with pair.rest() as rest:
        await rest.post("/api/sessions", json={"purpose": "p", "session_id": session})
        path = f"/api/sessions/{session}/messages"
        answers = [await rest.post(path, json={"content": "x"} | fields) for _ in range(count)]
    return [int(answer.json()["message_id"]) for answer in answers]


async def test_a_stream_goes_live_and_resumes_where_it_was(pair: Pair) -> None:
    async with stream(pair, "sse-a") as reader:
        assert (await reader.event())["data"]["type"] == "subscribed"
        ids = await add(pair, "sse-a", 3)
        events = [await reader.event() for _ in range(3)]
        assert [int(event["id"]) for event in events] == ids
        assert events[0]["data"]["type"] == "new_message"
        assert events[0]["data"]["data"]["id"] == ids[0]
    missed = await add(pair, "sse-a", 3)
    async with stream(pair, "sse-a", last=ids[1]) as reader:
        assert (await reader.event())["data"]["recovered"] is True
        got = [int((await reader.event())["id"]) for _ in range(4)]
        assert got == [ids[2], *missed]


async def test_a_stream_shows_what_its_reader_may_see(pair: Pair) -> None:
    hidden = await add(pair, "sse-b", 1, visibility="private")
    seen = await add(pair, "sse-b", 1)
    async with stream(pair, "sse-b", "?since=0", agent="bob") as reader:
        await reader.event()
        assert int((await reader.event())["id"]) == seen[0]
    async with stream(pair, "sse-b", "?since=0", agent="alice") as reader:
        await reader.event()
        assert [int((await reader.event())["id"]) for _ in range(2)] == [hidden[0], seen[0]]


async def test_external_events_have_no_id(pair: Pair) -> None:
    async with stream(pair, "sse-c") as reader, plain_client() as client:
        await reader.event()
        await client.post(
            f"{pair.ws_url}/broadcast/sse-c", json={"type": "build", "data": {"ok": True}}
        )
        event = await reader.event()
        assert "id" not in event
        assert event["data"]["origin"] == "external"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/events/sse-d", {}, 401),
        ("/events/sse-d", {"Authorization": "Bearer nonsense"}, 401),
        ("/events/elsewhere", None, 403),
        ("/events/..%2Fetc", None, 404),
        ("/events/sse-d?since=x", None, 422),
        ("/events/sse-d?since=1&since=2", None, 422),
    ],
)
async def test_refusals_have_rests_form(
    pair: Pair, path: str, headers: dict[str, str] | None, status: int
) -> None:
    mine = pair.headers(sessions=["sse-d"]) if headers is None else headers
    async with plain_client(base_url=pair.ws_url) as client:
        answer = await client.get(path, headers=mine)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"code", "message", "next_step"}


async def test_a_malformed_last_event_id_is_refused(pair: Pair) -> None:
    async with plain_client(base_url=pair.ws_url) as client:
        headers = pair.headers() | {"Last-Event-ID": "-1"}
        assert (await client.get("/events/sse-e", headers=headers)).status_code == 422


async def test_a_client_that_leaves_frees_its_place(pair: Pair) -> None:
    async def viewers() -> float:
        return await pair.metric(pair.ws, "viewers")

    before = await viewers()
    async with stream(pair, "sse-f") as reader:
        await reader.event()
        assert await viewers() == before + 1

    async def left() -> bool:
        return await viewers() == before

    await until(left)
