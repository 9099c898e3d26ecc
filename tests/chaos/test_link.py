"""The link over ZeroMQ: every worker has a lane of its own, with faults of its own."""

import asyncio
import random
from pathlib import Path

import zmq
import zmq.asyncio

from proto.endpoints import bridge_endpoint
from tests.chaos.link import ZmqLink
from tests.chaos.link_faults import ALL_LOST, LinkFaults
from tests.waiting import until


async def test_what_one_lane_loses_another_passes(short_directory: Path) -> None:
    faults = [LinkFaults(random.Random(0)), LinkFaults(random.Random(0), ALL_LOST)]
    link = ZmqLink(short_directory, faults)
    await link.start()
    context = zmq.asyncio.Context()
    try:
        inward = link.mcp_settings["BRIDGE_ENDPOINT"]
        outward = link.ws_settings["BRIDGE_ENDPOINT"]
        pulls = [context.socket(zmq.PULL) for _ in faults]
        pushes = [context.socket(zmq.PUSH) for _ in faults]
        for worker, (pull, push) in enumerate(zip(pulls, pushes, strict=True)):
            pull.bind(bridge_endpoint(short_directory, outward, worker))
            push.connect(bridge_endpoint(short_directory, inward, worker))
        number = 0
        while not link.passed:  # its connection outwards comes up when it can
            number += 1
            for push in pushes:
                await push.send(b"%d" % number)
            await until(lambda: link.passed + link.undelivered >= number)  # noqa: B023
            await until(lambda: faults[1].dropped >= number)  # noqa: B023
        assert await asyncio.wait_for(pulls[0].recv(), 5) == b"%d" % number
        assert not await pulls[1].poll(0)
        assert link.passed == 1
        assert faults[0].dropped == 0
    finally:
        context.destroy(linger=0)
        await link.close()
