"""WS_WORKERS=2: one port, every viewer gets everything, whichever process it came to."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import websockets

from tests.clients import closed_with, frame
from tests.integration.rooms import broadcast, make_room, say
from tests.integration.worker_viewers import VIEWERS, viewers_of_both, viewers_of_workers
from tests.pair import Pair
from tests.waiting import PATIENCE, START_SECONDS, until


def processes(pair: Pair) -> list[psutil.Process]:
    """The workers."""
    assert pair.ws.process is not None
    return sorted(psutil.Process(pair.ws.process.pid).children(), key=lambda one: one.pid)


async def came_back(pair: Pair, name: str, *, since: int, count: int) -> list[dict[str, Any]]:
    """The first frames of a viewer that connects again, as every client does, until it is let in.

    A connection may meet the killed process once more: the kernel completes handshakes for a
    listener until its process is taken down, and cuts them then.
    """

    async def tried() -> list[dict[str, Any]]:
        try:
            async with pair.viewer(name, query=f"?since={since}") as back:
                return [await frame(back) for _ in range(count)]
        except (OSError, websockets.InvalidMessage, websockets.ConnectionClosedError):
            return []

    found: list[dict[str, Any]] = await until(tried)
    return found


async def test_messages_and_broadcasts_reach_the_viewers_of_both(workers: Pair, name: str) -> None:
    await reach_everybody(workers, name)


async def test_limits_are_of_the_whole_node_and_the_http_bridge_reaches_all(name: str) -> None:
    limit = 2 * VIEWERS
    async with Pair(WS_WORKERS=2, BRIDGE="http", METRICS_LOOPBACK=True, MAX_VIEWERS=limit) as pair:
        async with contextlib.AsyncExitStack() as stack:

            async def let_in() -> bool:
                try:
                    await stack.enter_async_context(pair.viewer(name))
                except websockets.InvalidStatus as answer:
                    assert answer.response.status_code == 503
                    return False
                return True

            # The kernel chooses the worker, so one is full before the other: each has half.
            inside = 0
            for _ in range(20 * limit):
                inside += await let_in()
                if inside == limit:
                    break
            assert inside == limit
            assert not any([await let_in() for _ in range(10)])

        async def nobody() -> bool:
            return sum(await viewers_of_workers(pair)) == 0

        await until(nobody)
        await reach_everybody(pair, name)


async def reach_everybody(pair: Pair, name: str) -> None:
    """What is said and what is broadcast comes to the viewers of both workers."""
    await make_room(pair, name)
    async with pair.rest() as rest, viewers_of_both(pair, name) as viewers:
        said = [await say(rest, name, str(n)) for n in range(20)]
        for viewer in viewers:
            assert [(await frame(viewer))["position"] for _ in said] == said
        for n in range(4):  # whichever worker takes it
            answer = await broadcast(pair, name, {"type": "note", "data": {"n": n}})
            assert answer.json() == {"success": True, "session_id": name}
            for viewer in viewers:
                assert (await frame(viewer))["data"] == {"n": n}


async def test_a_killed_worker_comes_back_and_its_viewers_miss_nothing(
    workers: Pair, name: str
) -> None:
    await make_room(workers, name)
    async with workers.rest() as rest, viewers_of_both(workers, name) as viewers:
        first = await say(rest, name, "before")
        for viewer in viewers:
            assert (await frame(viewer))["position"] == first
        before = processes(workers)
        before[0].kill()
        cut = []
        said = [await say(rest, name, "meanwhile")]
        for viewer in viewers:
            try:
                assert (await frame(viewer))["position"] == said[0]
            except websockets.ConnectionClosed:
                cut.append(viewer)
        assert 0 < len(cut) < len(viewers)
        for _ in cut:
            answers = await came_back(workers, name, since=first, count=2)
            assert answers[0]["recovered"] is True
            assert answers[1]["position"] == said[0]
        await until(lambda: len(processes(workers)) == 2 and processes(workers) != before)
        await until(workers.joined)


async def test_a_killed_supervisor_takes_its_workers_along_and_can_be_started_at_once(
    workers: Pair, name: str
) -> None:
    await make_room(workers, name)
    await until(lambda: len(processes(workers)) == 2)
    before = processes(workers)
    workers.ws.kill()
    await asyncio.to_thread(psutil.wait_procs, before, PATIENCE)
    assert not [one for one in before if one.is_running() and one.status() != "zombie"]
    await workers.ws.start()
    await until(workers.joined)
    async with workers.viewer(name) as viewer, workers.rest() as rest:
        said = await say(rest, name, "again")
        assert (await frame(viewer))["position"] == said


async def test_stopping_ends_all_of_them_and_viewers_are_told(workers: Pair, name: str) -> None:
    await make_room(workers, name)
    await until(lambda: len(processes(workers)) == 2)
    before = processes(workers)
    async with workers.viewer(name) as viewer:
        code, _ = await workers.ws.stop()
        assert await closed_with(viewer) == 4001
    assert code == 0
    assert not [one for one in before if one.is_running() and one.status() != "zombie"]
    await workers.ws.start()
    await until(workers.joined)


async def test_a_port_that_is_taken_is_refused_by_name(tmp_path: Path) -> None:
    async with Pair(tmp_path / "one", start=("ws",), WS_WORKERS=2) as pair:
        other = Pair(
            tmp_path / "two", start=("ws",), WS_WORKERS=2, ws_settings={"WS_PORT": pair.ws_port}
        )
        other.ws.spawn()
        assert other.ws.process is not None
        assert await asyncio.to_thread(other.ws.process.wait, START_SECONDS) == 2
        assert f"port {pair.ws_port}" in other.ws.output()
