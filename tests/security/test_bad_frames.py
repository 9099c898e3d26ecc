"""Whatever is pushed into bridge.sock: it is counted and dropped, and the bridge goes on."""

from collections.abc import Iterator, Sequence

import msgspec
import pytest
import zmq

from proto import endpoints, keyfile
from tests.pair import Pair
from tests.security.unharmed import MARK, unharmed
from tests.waiting import until

M = MARK.encode()
BODY = b'{"type":"new_message","data":{"content":"%b"}}' % M


def header(*changes: tuple[int, object], length: int = 8) -> bytes:
    fields: list[object] = [1, "epoch", 7, 0, "public", "alice", "claude", 0]
    for place, value in changes:
        fields[place] = value
    return msgspec.msgpack.encode((fields + [0] * 8)[:length])


BAD_FRAMES: dict[str, Sequence[bytes]] = {
    "one": [BODY],
    "two": [b"{room}", header()],
    "four": [b"{room}", header(), BODY, b""],
    "a thousand": [M] * 1_000,
    "all empty": [b"", b"", b""],
    "no header": [b"{room}", b"", BODY],
    "garbage header": [b"{room}", b"\xc1" * 40, BODY],
    "cut header": [b"{room}", header()[:-3], BODY],
    "header and more": [b"{room}", header() + b"\x00", BODY],
    "header of JSON": [b"{room}", b'[1,"epoch",7,0,"public","alice","claude",0]', BODY],
    "long header": [b"{room}", header((5, "x" * 2_000)), BODY],
    "seven fields": [b"{room}", header(length=7), BODY],
    "nine fields": [b"{room}", header(length=9), BODY],
    "deep header": [b"{room}", b"\x91" * 1_000, BODY],
    "version 2": [b"{room}", header((0, 2)), BODY],
    "version 0": [b"{room}", header((0, 0)), BODY],
    "id zero": [b"{room}", header((2, 0)), BODY],
    "id negative": [b"{room}", header((2, -1)), BODY],
    "id past 2**53": [b"{room}", header((2, 2**53 + 1)), BODY],
    "id of 64 bits": [b"{room}", header((2, 2**64 - 1)), BODY],
    "id text": [b"{room}", header((2, "7")), BODY],
    "prev of id": [b"{room}", header((3, 7)), BODY],
    "prev negative": [b"{room}", header((3, -1)), BODY],
    "prev of 64 bits": [b"{room}", header((3, 2**64 - 1)), BODY],
    "visibility": [b"{room}", header((4, MARK)), BODY],
    "principal long": [b"{room}", header((5, "x" * 130)), BODY],
    "type number": [b"{room}", header((6, 7)), BODY],
    "epoch long": [b"{room}", header((1, "x" * 65)), BODY],
    "epoch bytes": [b"{room}", header((1, b"epoch")), BODY],
    "no body": [b"{room}", header(), b""],
    "session empty": [b"", header(), BODY],
    "session long": [b"x" * 65, header(), BODY],
    "session odd": [M + b"\n", header(), BODY],
    "session not ASCII": [b"\xff", header(), BODY],
}


@pytest.fixture
def push(pair: Pair) -> Iterator[zmq.Socket[bytes]]:
    if pair.environment.get("PARTYLINE_BRIDGE") == "nats":
        pytest.skip("this is about the ZeroMQ bridge")
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.set(zmq.LINGER, 2_000)
        socket.set(zmq.SNDTIMEO, 5_000)
        socket.connect(endpoints.bridge_endpoint(keyfile.open_data_dir(pair.data_dir)))
        yield socket


async def test_a_bad_frame_is_counted_and_dropped(pair: Pair, push: zmq.Socket[bytes]) -> None:
    before = await pair.metric(pair.ws, "malformed_total")
    async with unharmed(pair) as room:
        for number, (bad, frames) in enumerate(BAD_FRAMES.items(), 1):
            push.send_multipart([one.replace(b"{room}", room.encode()) for one in frames])

            async def counted(expected: float = before + number) -> bool:
                return await pair.metric(pair.ws, "malformed_total") >= expected

            await until(counted)
            assert await pair.metric(pair.ws, "malformed_total") == before + number, bad


async def test_a_frame_that_is_too_large_ends_its_own_connection(
    pair: Pair, push: zmq.Socket[bytes]
) -> None:
    before = await pair.metric(pair.ws, "malformed_total")
    async with unharmed(pair) as room:
        push.send_multipart([room.encode(), header(), b"x" * 3_000_000])
        push.send_multipart([b"after it"])

        async def counted() -> bool:
            return await pair.metric(pair.ws, "malformed_total") == before + 1

        await until(counted)


async def test_a_frame_of_another_log_is_not_shown(pair: Pair, push: zmq.Socket[bytes]) -> None:
    before = await pair.metric(pair.ws, "collected_total")
    async with unharmed(pair) as room:
        push.send_multipart([room.encode(), header((1, "another"), (2, 2**53)), BODY])

        async def taken() -> bool:
            return await pair.metric(pair.ws, "collected_total") == before + 1

        await until(taken)
