"""Sockets that are refused: told why, soon gone, and in nobody's place."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

import ws_node.endpoints.websocket
from tests.waiting import PATIENCE, until
from tests.ws_node.making import Live

BAD = "Authorization: Basic x\r\n"


async def refused(live: Live, count: int, stack: contextlib.ExitStack) -> None:
    """Viewers with a bad token that leave their close frame unanswered."""
    for _ in range(count):
        stack.enter_context(contextlib.closing(await live.raw_viewer(header=BAD)))


async def test_refused_sockets_take_no_viewers_place_and_end(tmp_path: Path) -> None:
    live = Live(tmp_path, max_viewers=2)
    async with live.running():
        with contextlib.ExitStack() as stack:
            await refused(live, 5, stack)
            assert (live.places.total, live.sockets.refusals.total) == (0, 5)
            async with live.viewer() as one, live.viewer() as two:
                await one.send("ping")
                await two.send("ping")
                assert await one.recv() == await two.recv() == "pong"
            await until(lambda: live.sockets.refusals.total == 0)


async def test_only_so_many_are_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ws_node.endpoints.websocket, "MAX_REFUSED", 3)
    live = Live(tmp_path)
    async with live.running():
        with contextlib.ExitStack() as stack:
            await refused(live, 3, stack)
            with pytest.raises(InvalidStatus) as full:
                async with live.viewer(additional_headers={"Authorization": "Basic x"}):
                    pass
            assert full.value.response.status_code == 503
            await until(lambda: len(live.connections) == 4 and live.connections[3].disconnected)
            assert not [record for record in caplog.records if record.levelname == "ERROR"]
            async with live.viewer() as one:
                await one.send("ping")
                assert await asyncio.wait_for(one.recv(), PATIENCE) == "pong"
