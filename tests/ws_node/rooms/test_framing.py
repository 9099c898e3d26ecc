"""Frames are what the websockets library itself reads and writes."""

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from ws_node.rooms.framing import text_frame

SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 100_000]


def parsed(data: bytes) -> Frame:
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    parser = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as done:
        while True:
            next(parser)
    assert next(reader.at_eof(), True)
    frame = done.value.value
    assert isinstance(frame, Frame)
    return frame


@pytest.mark.parametrize("size", SIZES)
def test_the_library_reads_the_frame_as_one_final_text(size: int) -> None:
    payload = b"x" * size
    frame = parsed(text_frame(payload))
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.TEXT, True, payload)
    assert not (frame.rsv1 or frame.rsv2 or frame.rsv3)


@pytest.mark.parametrize("size", SIZES)
def test_the_library_would_have_written_the_same_bytes(size: int) -> None:
    payload = b"x" * size
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
