"""The load of the compression measurement: messages of one size, and bytes that are foreseen."""

import asyncio
import itertools

import pytest
import zmq

from bench.measurements.compression import SIZES, ViewerGroup
from bench.partyline import Partyline
from bench.sample_messages import messages
from proto.frames import message_frame
from ws_node.rooms.framing import Framing


@pytest.mark.parametrize("size", SIZES)
def test_each_frame_has_the_size_and_is_another(size: int) -> None:
    made = list(messages("talk", itertools.count(5), 50, size))
    assert {len(message_frame(message)) for message in made} == {size}
    assert len({message.content for message in made}) > 40
    assert [(one.prev, one.id) for one in made[:2]] == [(0, 5), (5, 6)]


def test_a_size_without_room_for_anything_is_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        next(messages("talk", itertools.count(5), 1, 100))


async def test_compressed_and_plain_viewers_get_the_bytes_foreseen() -> None:
    async with Partyline(WS_COMPRESSION="deflate") as server:

        def bytes_each(framing: Framing) -> float:
            group = ViewerGroup(server, framing, 3, 1_024)
            with zmq.Context() as context, context.socket(zmq.PUSH) as push:
                push.connect(server.publishing[1])
                group.flood(push, group.prepare(ids, 200))  # raises if they differ
            group.viewers.close()
            return group.wire_bytes

        ids = itertools.count(1)
        plain = await asyncio.to_thread(bytes_each, Framing.WEBSOCKET)
        assert plain == 1_028
        assert await asyncio.to_thread(bytes_each, Framing.DEFLATED) < plain
