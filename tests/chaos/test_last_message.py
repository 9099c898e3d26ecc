"""The loss of the very last bridge message of a quiet session heals without another one."""

import random
import time
from pathlib import Path

import pytest

from tests.chaos.link import make_link
from tests.chaos.link_faults import ALL_LOST, LinkFaults
from tests.clients import frame
from tests.integration.rooms import make_room, say
from tests.pair import Pair

HEAL_SECONDS = 3.0


@pytest.mark.parametrize("bridge", ["zmq", "http"])
async def test_a_lost_last_message_arrives_within_three_seconds(
    bridge: str, short_directory: Path
) -> None:
    faults = LinkFaults(random.Random(0))
    link = make_link(bridge, short_directory, [faults])
    await link.start()
    try:
        async with Pair(
            short_directory, mcp_settings=link.mcp_settings, ws_settings=link.ws_settings
        ) as pair:
            room = await make_room(pair, "quiet")
            async with pair.viewer(room) as viewer, pair.rest() as rest:
                await say(rest, room, "one that arrives")
                assert (await frame(viewer))["position"] == 1
                faults.set(ALL_LOST)
                for lost in (2, 3):
                    begin = time.monotonic()
                    assert await say(rest, room, "one that is lost") == lost
                    assert (await frame(viewer, within=HEAL_SECONDS))["position"] == lost
                    assert time.monotonic() - begin < HEAL_SECONDS
        assert faults.dropped == 2
        assert link.passed == 1
    finally:
        await link.close()
