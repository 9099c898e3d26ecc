"""Must hold 4: ws_node killed under load, and 1,000 viewers back at once, each from its own place.

1,000 viewers of 10 sessions, each with a token of its own, while agents write to all of them.
ws_node is killed with -9 and started again a little later; the writing never stops. The moment it
answers, all viewers come back at once with ``since`` and ``epoch``. How far each had read before
is drawn at random from the last messages it got (a browser may have shown them or not), so that
hardly any two ask for the same. In the end every viewer must have exactly the messages of its
session after its place, in order: its list of ids is compared with the log's.

History requests are those ws_node made since its start, its own (rooms, heads) among them. "Until
the last is caught up" is from the first connection to the moment the last viewer has what the
log held when they came back.
"""

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import httpx

from bench.calls import CONTENT, Caller, answered, callers, request
from bench.measured_pair import allow_open_files, bench_pair, resident_bytes
from bench.returning_viewers import ReturningViewer
from bench.row import Row, quantile
from tests.pair import Pair

SESSIONS = 10
AGENTS = 10
RATE = 200.0
AWAY_SECONDS = 2.0
FAR_BACK = 100
"""How many of the last messages of its session a viewer may not have noted."""

SHARE = 0.25
"""Most history requests for each viewer ("far fewer than viewers")."""


async def measure(quick: bool) -> list[Row]:
    """Who has everything, what mcp_node was asked, and how long it took."""
    allow_open_files()
    count = 200 if quick else 1_000
    random.seed(1)
    async with (
        bench_pair(METRICS_LOOPBACK="true", WRITES_PER_SECOND=0) as pair,
        callers(pair, AGENTS) as connections,
    ):
        names = [f"storm-{number}" for number in range(SESSIONS)]
        for name in names:
            made = request(pair, "create_session", purpose="bench", session_id=name)
            await connections[0].call(made)
        async with _written(pair, connections, names):
            places, epochs = await _watched(pair, names, count)
            pair.ws.kill()
            await asyncio.sleep(AWAY_SECONDS)
            await pair.ws.start()
            heads = {name: (await _log(pair, name))[-1] for name in names}
            begin = time.monotonic()
            viewers = [
                _Back(pair, names[number % SESSIONS], number, place, epochs, heads)
                for number, place in enumerate(places)
            ]
            await asyncio.gather(*(viewer.connect() for viewer in viewers))
            connected = time.monotonic() - begin
            await _until(lambda: all(viewer.viewer.caught_up_at for viewer in viewers))
            asked = await _metric(pair, "history_requests_total")
            resident = resident_bytes(pair.ws)
        logs = {name: await _log(pair, name) for name in names}
        await _until(lambda: all(viewer.has(logs) for viewer in viewers), within=10, must=False)
        whole = sum(viewer.is_exact(logs) for viewer in viewers)
        took = [(viewer.viewer.caught_up_at or 0) - begin for viewer in viewers]
        missed = [
            sum(place < id_ <= heads[viewer.session_id] for id_ in logs[viewer.session_id])
            for place, viewer in zip(places, viewers, strict=True)
        ]
        for viewer in viewers:
            viewer.viewer.close()
    name = f"{count:,} viewers come back at once"
    return [
        Row(f"{name}: have exactly the log", whole, f"of {count}", bar="all", met=whole == count),
        Row(
            f"{name}: history requests",
            asked,
            "",
            count,
            "viewers",
            f"≤ {SHARE} x",
            asked <= count * SHARE,
        ),
        Row(f"{name}: messages each had missed, median", quantile(missed, 0.5), ""),
        Row(f"{name}: all connected", connected, "s"),
        Row(f"{name}: median caught up", quantile(took, 0.5), "s"),
        Row(f"{name}: last caught up", max(took), "s"),
        Row(f"{name}: RSS of ws_node then", resident / 1_048_576, "MiB"),
    ]


class _Back:
    """A viewer that comes back."""

    def __init__(
        self,
        pair: Pair,
        session_id: str,
        number: int,
        place: int,
        epochs: dict[str, str],
        heads: dict[str, int],
    ) -> None:
        self.session_id = session_id
        self._port = pair.ws_port
        self._place = place
        self._path = f"{session_id}?since={place}&epoch={epochs[session_id]}"
        self._token = pair.token(f"viewer-{number}")
        self._target = heads[session_id]
        self.viewer = self._returning()

    async def connect(self) -> None:
        """Come back; again if nobody listens yet."""
        loop = asyncio.get_running_loop()
        while True:
            self.viewer = self._returning()
            try:
                await loop.create_connection(partial(_same, self.viewer), "127.0.0.1", self._port)
                return
            except OSError:
                await asyncio.sleep(0.1)

    def has(self, logs: dict[str, list[int]]) -> bool:
        """Whether the last message has come."""
        return self.viewer.ids[-1:] == logs[self.session_id][-1:]

    def is_exact(self, logs: dict[str, list[int]]) -> bool:
        """Whether it has exactly the log after its place."""
        told = json.loads(self.viewer.subscribed or b"{}")
        wanted = [id_ for id_ in logs[self.session_id] if id_ > self._place]
        return bool(told.get("recovered")) and self.viewer.ids == wanted

    def _returning(self) -> ReturningViewer:
        return ReturningViewer(self._port, self._path, self._token, self._target)


async def _watched(pair: Pair, names: list[str], count: int) -> tuple[list[int], dict[str, str]]:
    """Where each of so many viewers has read to, and the epochs they were told."""
    loop = asyncio.get_running_loop()
    viewers: list[ReturningViewer] = []
    for number in range(count):
        session = f"{names[number % SESSIONS]}?since=0"
        viewer = ReturningViewer(pair.ws_port, session, pair.token(f"viewer-{number}"))
        await loop.create_connection(partial(_same, viewer), "127.0.0.1", pair.ws_port)
        viewers.append(viewer)
    enough = FAR_BACK * 3 // 2
    await _until(lambda: all(len(viewer.ids) >= enough for viewer in viewers))
    places = [viewer.ids[-random.randint(1, FAR_BACK)] for viewer in viewers]
    epochs = {
        names[number]: str(json.loads(viewers[number].subscribed)["epoch"])
        for number in range(SESSIONS)
    }
    for viewer in viewers:
        viewer.close()
    return places, epochs


def _same(viewer: ReturningViewer) -> ReturningViewer:
    return viewer


@asynccontextmanager
async def _written(pair: Pair, connections: list[Caller], names: list[str]) -> AsyncIterator[None]:
    """Agents write to all sessions at a steady rate for the length of a block."""
    stopped = asyncio.Event()

    async def write(number: int, caller: Caller) -> None:
        adding = request(
            pair, "add_message", number, session_id=names[number % SESSIONS], content=CONTENT
        )
        start, done = time.monotonic(), 0
        while not stopped.is_set():
            await caller.call(adding)
            done += 1
            await asyncio.sleep(max(0.0, start + done * AGENTS / RATE - time.monotonic()))

    writing = [asyncio.create_task(write(*each)) for each in enumerate(connections)]
    try:
        yield
    finally:
        stopped.set()
        await asyncio.gather(*writing)


async def _log(pair: Pair, session_id: str) -> list[int]:
    """Every id of a session."""
    ids: list[int] = []
    async with callers(pair, 1) as (caller,):
        while True:
            after = ids[-1] if ids else 0
            asking = request(pair, "get_messages", session_id=session_id, after=after, limit=100)
            page = await answered(caller, asking)
            ids += [message["id"] for message in page["messages"]]
            if not page["has_more"]:
                return ids


async def _metric(pair: Pair, name: str) -> float:
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"{pair.ws_url}/metrics")).text
    found = re.search(rf"^\w*{name} ([0-9.e+]+)$", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"no {name} in /metrics:\n{text}")
    return float(found[1])


async def _until(
    condition: Callable[[], object], *, within: float = 60.0, must: bool = True
) -> None:
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end:
            if must:
                raise TimeoutError("viewers did not get what they wait for")
            return
        await asyncio.sleep(0.05)
