"""Viewers' commands, and WebSocket frames as no library would write them."""

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.fuzzing import VALUES, altered, attack, bounded, damaged, finish, watched
from tests.pair import Pair
from tests.security.unharmed import MARK

COMMANDS: Final = st.one_of(
    altered({"type": "subscribe", "since": 1, "epoch": "e", "session_id": MARK}).map(json.dumps),
    altered({"type": "unsubscribe", "session_id": MARK}).map(json.dumps),
    altered({"type": "ping"}).map(json.dumps),
    VALUES.map(json.dumps),
    st.text(st.characters(codec="utf-8"), max_size=30),
)
MASK: Final = b"\x01\x02\x03\x04"
OURS: Final = {"INVALID_INPUT", "FORBIDDEN", "RATE_LIMITED", "TOO_LARGE"}


def framed(
    payload: bytes, *, opcode: int = 1, fin: bool = True, reserved: int = 0, masked: bool = True
) -> bytes:
    """One frame of a client, proper or not."""
    head = bytes([fin << 7 | reserved << 4 | opcode])
    bit = masked << 7
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65_536:
        head += struct.pack("!BH", bit | 126, len(payload))
    else:
        head += struct.pack("!BQ", bit | 127, len(payload))
    if not masked:
        return head + payload
    covered = bytes(byte ^ MASK[place % 4] for place, byte in enumerate(payload))
    return head + MASK + covered


PING: Final = framed(b"ping")

FRAMES: Final = st.one_of(
    st.builds(
        framed,
        st.one_of(
            COMMANDS.map(lambda text: text.encode("utf-8", "replace")), st.binary(max_size=9)
        ),
        opcode=st.sampled_from([0, 1, 1, 1, 2, 3, 8, 9, 10, 11, 15]),
        fin=st.booleans(),
        reserved=st.sampled_from([0, 0, 0, 0, 1, 7]),
        masked=st.sampled_from([True, True, True, False]),
    ),
    st.sampled_from(
        [
            framed(b"p" * 126, opcode=9),
            framed(b"", opcode=9) * 300,
            framed(b"x" * 20, opcode=9) * 300,
            framed(b"", fin=False) + framed(b"", opcode=0, fin=False) * 200,
            framed(b"x", fin=False) + framed(b"y", opcode=9) + framed(b"z", opcode=0),
            framed(b"\xff\xfe"),
            framed(b"\xf0\x9f", fin=False) + framed(b"\x98\x80", opcode=0),
            framed(b"x" * 70_000),
            framed(b"x" * 40_000, fin=False) + framed(b"x" * 40_000, opcode=0),
            b"\x81\xff" + b"\xff" * 8 + MASK,
            b"\x81\xfe\x00\x01" + MASK + b"x",
            framed(b"\x03", opcode=8),
            framed(b"\x00\x00", opcode=8),
            framed(b"\x03\xe8" + MARK.encode(), opcode=8),
            framed(b"\x0b\xb8\xff", opcode=8),
            PING * 60,
        ]
    ),
    damaged(PING),
)


@contextmanager
def opened(pair: Pair, room: str, token: str) -> Iterator[socket.socket]:
    """A socket after its handshake."""
    with socket.create_connection(("127.0.0.1", pair.ws_port), 20) as raw:
        raw.sendall(
            f"GET /ws/{room} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = raw.recv(1)
            assert piece, head
            head += piece
        assert b" 101 " in head
        yield raw


def exactly(raw: socket.socket, size: int) -> bytes:
    """That many bytes; EOFError at the end."""
    got = b""
    while len(got) < size:
        piece = raw.recv(size - len(got))
        if not piece:
            raise EOFError
        got += piece
    return got


def heard(raw: socket.socket) -> tuple[int, bytes]:
    """The next frame of the server, which is whole and not masked."""
    first, size = exactly(raw, 2)
    assert first & 0xF0 == 0x80 and size < 128, (first, size)
    if size == 126:
        (size,) = struct.unpack("!H", exactly(raw, 2))
    elif size == 127:
        (size,) = struct.unpack("!Q", exactly(raw, 8))
    return first & 0x0F, exactly(raw, size)


def judge(opcode: int, payload: bytes, *, told: bool = True) -> None:
    """A frame of the server: a known kind, and of a refusal only our own words."""
    assert opcode in (1, 8, 10), (opcode, payload)
    if opcode == 8:
        (code,) = struct.unpack("!H", payload[:2]) if payload else (1005,)
        assert code in (1000, 1002, 1007, 1009, 4000) or 1000 <= code < 5000, code
        assert code != 1011, payload
    elif opcode == 1 and payload != b"pong":
        said: dict[str, Any] = json.loads(payload)
        if said["type"] == "error":
            assert said["code"] in OURS, said
            assert MARK not in payload.decode(), said


async def test_generated_websocket_commands_do_no_harm(pair: Pair) -> None:
    token = pair.token("fuzzer", scopes="read", sessions=None)

    async with watched(pair) as watch:

        @bounded(60)
        @given(st.lists(COMMANDS, min_size=1, max_size=5))
        def work(commands: list[str]) -> None:
            with opened(pair, watch.room, token) as raw:
                for command in commands:
                    raw.sendall(framed(command.encode("utf-8", "replace")))
                raw.sendall(PING)
                pongs = 1 + commands.count("ping")
                while pongs:
                    opcode, payload = heard(raw)
                    assert opcode == 1, payload
                    judge(opcode, payload)
                    pongs -= payload == b"pong"

        await attack(work)


async def test_generated_websocket_frames_do_no_harm(pair: Pair) -> None:
    """Whatever comes, the server answers in whole frames, and after ours has ended, ends."""
    token = pair.token("fuzzer", scopes="read", sessions=None)

    async with watched(pair) as watch:

        @bounded(100)
        @given(st.lists(FRAMES, min_size=1, max_size=4))
        def work(frames: list[bytes]) -> None:
            with opened(pair, watch.room, token) as raw, suppress(EOFError, ConnectionError):
                for one in frames:
                    raw.sendall(one)
                raw.sendall(PING)
                finish(raw)
                while True:
                    judge(*heard(raw))

        await attack(work)
