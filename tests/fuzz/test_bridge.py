"""What is pushed into bridge.sock: events nearly as mcp_node sends them."""

import asyncio
from typing import Any

import msgspec
import zmq
from hypothesis import given
from hypothesis import strategies as st

from proto import endpoints, keyfile
from proto.errors import WireError
from proto.wire import decode
from tests.fuzz.fuzzing import PIECES, VALUES, attack, bounded, damaged, watched
from tests.pair import Pair
from tests.security.unharmed import MARK
from tests.waiting import until

FIELDS: list[Any] = [1, "epoch", 7, 0, "public", "alice", "claude", 0]
BODY = b'{"type":"new_message","data":{"content":"%b"}}' % MARK.encode()


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """A header with one or two fields of another kind, or of another number of them."""
    fields = list(FIELDS)
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.integers(0, 8))
        fields[place : place + draw(st.integers(0, 1))] = [draw(VALUES.filter(_packable))]
    return msgspec.msgpack.encode(fields)


def _packable(value: Any) -> bool:
    try:
        msgspec.msgpack.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return False
    return True


async def test_generated_bridge_frames_are_collected_or_counted(pair: Pair) -> None:
    taken, bad = (
        await pair.metric(pair.ws, "collected_total"),
        await pair.metric(pair.ws, "malformed_total"),
    )
    pushed = {"good": 0, "bad": 0}

    async with watched(pair) as watch:
        name = watch.room.encode()
        header = msgspec.msgpack.encode(FIELDS)
        events = st.one_of(
            st.tuples(st.just(name), headers(), st.just(BODY)),
            st.tuples(st.just(name), damaged(header), st.just(BODY)),
            st.tuples(st.one_of(damaged(name), PIECES), st.just(header), PIECES),
            st.lists(st.one_of(PIECES, st.just(name), st.just(header)), min_size=1, max_size=5),
        )
        with zmq.Context() as context, context.socket(zmq.PUSH) as push:
            push.set(zmq.LINGER, 2_000)
            push.set(zmq.SNDTIMEO, 5_000)
            push.connect(endpoints.bridge_endpoint(keyfile.open_data_dir(pair.data_dir)))

            @bounded(150)
            @given(events)
            def work(frames: list[bytes]) -> None:
                try:
                    event = decode(list(frames), max_body=2_097_152)
                except WireError:
                    pushed["bad"] += 1
                else:
                    if event.id is None:
                        return  # an honest ephemeral event: it would be shown
                    pushed["good"] += 1  # of another epoch: it must not be shown
                push.send_multipart(frames)

            await attack(work)

            async def counted() -> bool:
                return (
                    await pair.metric(pair.ws, "malformed_total") == bad + pushed["bad"]
                    and await pair.metric(pair.ws, "collected_total") >= taken + pushed["good"]
                )

            await until(counted)
            await asyncio.sleep(0)
    assert pushed["bad"] > 50
