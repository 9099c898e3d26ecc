"""What was acknowledged survives kill -9."""

import subprocess
import sys
from pathlib import Path

import pytest

from mcp_node.log.interface import Database
from tests.mcp_node import storing
from tests.mcp_node.making import opened

pytestmark = pytest.mark.sqlite

ROOMS = [f"room-{number}" for number in range(4)]

PROGRAM = """
import asyncio, pathlib, sys
from mcp_node.storage import open_store
from proto.settings import Settings
from tests.mcp_node import storing
from tests.mcp_node.making import new_message, new_session

async def main(path):
    store = await open_store(path, Settings(data_dir=path))
    for number in range(4):
        await storing.create_session(store, new_session(f"room-{number}"))

    async def write(number):
        while True:
            message = await storing.append(store, new_message(f"room-{number % 4}", f"by {number}"))
            sys.stdout.write(f"{message.id} {message.session_id} {message.prev}\\n")
            sys.stdout.flush()

    await asyncio.gather(*(write(number) for number in range(50)))

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


def write_until_killed(data_dir: Path, count: int) -> dict[int, tuple[str, int]]:
    """What a process acknowledged before it was killed under load: id to session and prev."""
    acknowledged: dict[int, tuple[str, int]] = {}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(data_dir)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                # The kill may cut the last line short: without its end it says nothing.
                if line.endswith("\n"):
                    number, room, prev = line.split()
                    acknowledged[int(number)] = (room, int(prev))
                if len(acknowledged) >= count:
                    process.kill()
        finally:
            process.kill()  # whatever happened: leaving waits for its end
    return acknowledged


async def stored_in(store: Database, room: str) -> dict[int, tuple[str, int]]:
    """A whole session, whose chain is unbroken."""
    stored: dict[int, tuple[str, int]] = {}
    through, head, last = 0, 1, 0
    while through < head:
        page = await storing.log_page(store, room, after=through, limit=1000, audience=None)
        through, head = page.through, page.head
        for message in page.messages:
            assert message.prev == last
            last = message.id
            stored[message.id] = (room, message.prev)
    return stored


async def test_everything_acknowledged_survives_kill_9(tmp_path: Path):
    acknowledged: dict[int, tuple[str, int]] = {}
    epochs = set()
    for _ in range(2):
        acknowledged |= write_until_killed(tmp_path, 3000)
        assert (tmp_path / "partyline.db-wal").exists()
        async with opened(tmp_path) as store:
            epochs.add(store.epoch)
            stored = {}
            for room in ROOMS:
                stored |= await stored_in(store, room)
            assert acknowledged.items() <= stored.items()
            assert sorted(stored) == list(range(1, store.starts[-1].head + 1))
    assert len(acknowledged) >= 6000
    assert len(epochs) == 1
