"""Shared compressed frames: what they inflate to, which offers they are valid for, made once."""

import os
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol
from websockets.streams import StreamReader

from proto.messages import Audience, Visibility
from tests.ws_node.making import make_event
from ws_node.rooms.deflate import WINDOW_BITS, SharedDeflate, deflated_frame
from ws_node.rooms.fan_out import joined
from ws_node.rooms.framing import Framing, text_frame
from ws_node.rooms.outgoing import MIN_BYTES, Outgoing
from ws_node.rooms.ring import Ring

ALICE, BOB = Audience("alice", "claude"), Audience("bob", "codex")
LONG = b'{"content":"' + b"all work and no play " * 400 + b'"}'


def result(steps: Generator[None, None, Any]) -> Any:
    """What a step of the library's reader gives when it has all it needs."""
    with pytest.raises(StopIteration) as done:
        next(steps)
    return done.value.value


def inflated(data: bytes) -> list[bytes]:
    """The messages of frames, as a client reads them that keeps no context."""
    extension = PerMessageDeflate(True, True, WINDOW_BITS, WINDOW_BITS)
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    messages = []
    while not result(reader.at_eof()):
        frame = result(Frame.parse(reader.read_exact, mask=False, extensions=[extension]))
        assert (frame.opcode, frame.fin) == (Opcode.TEXT, True)
        assert not (frame.rsv1 or frame.rsv2 or frame.rsv3)
        messages.append(bytes(frame.data))
    return messages


@given(st.lists(st.tuples(st.text(max_size=200), st.sampled_from([0, 1, 30, 2_000]))))
def test_each_deflated_frame_inflates_by_itself(parts: list[tuple[str, int]]) -> None:
    bodies = [(text * times).encode() for text, times in parts]
    frames = [deflated_frame(body) for body in bodies]
    assert all(frame[0] == 0xC1 for frame in frames)
    for order in (1, -1):  # none needs another
        assert inflated(b"".join(frames[::order])) == bodies[::order]


@pytest.mark.parametrize("size", [0, 1, 4_095, 4_096, 32_768, 65_535, 600_000])
def test_bodies_of_any_size_and_no_regularity(size: int) -> None:
    body = os.urandom(size)
    assert inflated(deflated_frame(body) + deflated_frame(body)) == [body, body]


# Which offers


@pytest.mark.parametrize(
    ("offer", "answered"),
    [
        ("permessage-deflate", True),
        ("permessage-deflate; client_max_window_bits", True),  # what browsers send
        ("permessage-deflate; server_max_window_bits=15; client_max_window_bits=15", True),
        ("permessage-deflate; server_max_window_bits=12; client_max_window_bits=9", True),
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", True),
        ("permessage-deflate; server_max_window_bits=11", False),
        ("permessage-deflate; server_max_window_bits=9", False),
        ("permessage-deflate; server_max_window_bits=8", False),
        ("permessage-deflate; server_max_window_bits=9, permessage-deflate", True),
        ("permessage-deflate; server_max_window_bits=16", False),
        ("permessage-deflate; server_max_window_bits", False),
        ("permessage-deflate; unheard_of", False),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", False),
        ("x-webkit-deflate-frame", False),
    ],
)
def test_an_offer_is_answered_or_declined(offer: str, answered: bool) -> None:
    server = ServerProtocol(extensions=[SharedDeflate()])
    headers = Headers([("Sec-WebSocket-Extensions", offer)])
    answer, extensions = server.process_extensions(headers)
    if not answered:
        assert (answer, extensions) == (None, [])
        return
    assert answer is not None
    assert "server_no_context_takeover" in answer
    assert "client_no_context_takeover" in answer
    assert f"server_max_window_bits={WINDOW_BITS}" in answer
    assert ("client_max_window_bits" in answer) == ("client_max_window_bits" in offer)
    (extension,) = extensions
    assert isinstance(extension, PerMessageDeflate)
    assert extension.remote_no_context_takeover
    assert extension.local_no_context_takeover
    assert extension.local_max_window_bits == WINDOW_BITS


# Made once


def outgoing(id_: int, body: bytes, visibility: Visibility = Visibility.PUBLIC) -> Outgoing:
    return Outgoing(make_event(id_, body, visibility=visibility), text_frame(body))


def test_a_frame_is_deflated_once_for_all_viewers_and_the_ring() -> None:
    each, ring = outgoing(1, LONG), Ring(0, max_messages=9, max_bytes=1 << 20)
    ring.append(each)
    assert joined([each], ALICE, Framing.WEBSOCKET) == (each.frame, 1)
    assert each.deflated is None
    made, _ = joined([each], ALICE, Framing.DEFLATED)
    assert made is each.deflated
    assert len(made) < len(LONG) / 10
    assert joined([each], BOB, Framing.DEFLATED)[0] is made
    assert joined([each], None, Framing.DEFLATED)[0] is made
    assert ring.after(0, BOB, Framing.DEFLATED, 1 << 20) == (made, None)
    assert each.deflated is made
    older = Ring(0, max_messages=9, max_bytes=1 << 20)
    older.append(each)
    newer = Ring(1, max_messages=9, max_bytes=1 << 20)
    newer.extend(older, 1)
    assert newer.after(0, BOB, Framing.DEFLATED, 1 << 20) == (made, None)


def test_what_saves_nothing_goes_plain_among_the_others() -> None:
    small, dense = outgoing(1, b"x" * (MIN_BYTES - 1)), outgoing(2, os.urandom(2_000))
    large = outgoing(3, b"x" * MIN_BYTES)
    assert small.framed(Framing.DEFLATED) is small.frame
    assert dense.framed(Framing.DEFLATED) is dense.frame
    assert len(large.framed(Framing.DEFLATED)) < 20
    together, count = joined([small, dense, large], None, Framing.DEFLATED)
    assert count == 3
    assert inflated(together) == [each.event.body for each in (small, dense, large)]


def test_an_audience_gets_only_what_it_may_see() -> None:
    both = [outgoing(1, LONG, Visibility.PRIVATE), outgoing(2, LONG[::-1])]
    assert inflated(joined(both, BOB, Framing.DEFLATED)[0]) == [LONG[::-1]]
    assert inflated(joined(both, ALICE, Framing.DEFLATED)[0]) == [LONG, LONG[::-1]]


def test_a_piece_of_the_ring_is_bounded_before_compression() -> None:
    """Or a viewer that catches up would hold up all others while much is compressed."""
    ring = Ring(0, max_messages=100, max_bytes=1 << 20)
    for id_ in range(1, 11):
        ring.append(outgoing(id_, LONG))
    position: int | None = 0
    pieces = []
    while position is not None:
        piece, position = ring.after(position, BOB, Framing.DEFLATED, 3 * len(LONG) + 100)
        pieces.append(len(inflated(piece)))
    assert pieces == [3, 3, 3, 1]
