"""The mark follows the log by itself, and survives a disk that refuses it."""

import asyncio
import logging
from pathlib import Path

import pytest

from mcp_node.log.mark import Mark, MarkKeeper, read_mark
from tests.mcp_node import storing
from tests.mcp_node.making import new_message, new_session, opened
from tests.waiting import until


async def test_the_mark_follows_a_commit_soon_and_by_itself(tmp_path: Path):
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        await storing.append(store, new_message())
        last = await storing.append(store, new_message())
        await until(lambda: read_mark(tmp_path / "log.mark") == Mark(store.epoch, last.id))


async def test_a_mark_that_cannot_be_written_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "gone" / "log.mark"
    keeper = MarkKeeper(path, None, Mark("e", 1))
    with caplog.at_level(logging.WARNING):
        while not caplog.records:
            await asyncio.sleep(0.01)
    path.parent.mkdir()
    keeper.advance(2)
    await keeper.close()
    await keeper.close()
    assert read_mark(path) == Mark("e", 2)
