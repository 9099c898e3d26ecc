"""What every fuzzer here needs: how often, what is sent, what may come back, what may come of it.

The attacks run in a thread, while the test's event loop reads what an all-seeing viewer is sent.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from serving.peers.local import LOCAL_URL, BlockingTransport
from tests.clients import NO_TLS, frame
from tests.pair import Pair
from tests.security.asking import Answer, broadcast
from tests.security.unharmed import MARK, add, clean, log_head, make_room, room_names
from tests.waiting import PATIENCE, until

TIMES: Final = int(os.environ.get("FUZZ_EXAMPLES", "1"))
"""How many times the default number of examples; above 1 they differ from run to run."""


def bounded(examples: int) -> settings:
    """Settings of a fuzzer: the same examples every time, unless there are to be more."""
    return settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        print_blob=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


# What is sent

TEXTS: Final = st.one_of(
    st.just(MARK),
    st.text(max_size=12),
    st.text(st.characters(categories=["Cs", "Cc", "Cf"]), min_size=1, max_size=3),
    st.sampled_from(
        ["public", "private", "system", "anonymous", "..", "a" * 65, "x" * 3_000, "-a"]
    ),
)
NUMBERS: Final = st.one_of(
    st.integers(-3, 100),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**63, 2**64, 10**400, 1.5, 1e308, -0.0]),
    st.floats(),
)
VALUES: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
PIECES: Final = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(
        [
            *(b'"', b"{", b"}", b"[" * 70, b"]", b",", b":", b"NaN", b"1e999", b"\\u0000"),
            *(b"\\ud800", b"\xff", b"\xed\xa0\x80", b"null", b"9" * 30, b"/**/"),
            *(b"\xef\xbb\xbf", MARK.encode()),
        ]
    ),
)


@st.composite
def altered(draw: st.DrawFn, valid: dict[str, Any]) -> dict[str, Any]:
    """A valid object with some of its members dropped, replaced or joined by others."""
    value = dict(valid)
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from(sorted(valid)) | TEXTS)
        if draw(st.booleans()):
            value.pop(key, None)
        elif isinstance(value.get(key), dict) and value[key] and draw(st.booleans()):
            value[key] = draw(altered(value[key]))
        else:
            value[key] = draw(VALUES)
    return value


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """Valid bytes with some of them cut out, doubled, or overwritten."""
    raw = valid
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(raw)))
        end = draw(st.integers(begin, min(len(raw), begin + 12)))
        middle = draw(PIECES) if draw(st.booleans()) else raw[begin:end] * draw(st.integers(0, 2))
        raw = raw[:begin] + middle + raw[end:]
    return raw


def bodies(valid: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """JSON bodies that are nearly, or not at all, what a door takes."""
    return st.one_of(
        altered(valid).map(lambda value: json.dumps(value).encode()),
        damaged(json.dumps(valid).encode()),
        VALUES.map(lambda value: json.dumps(value).encode()),
        st.binary(max_size=40),
    )


def escaped(raw: bytes) -> str:
    """Any bytes as a segment of a path or a query."""
    return "".join(f"%{byte:02x}" for byte in raw)


SEGMENTS: Final = st.one_of(
    st.just(MARK), st.binary(min_size=1, max_size=6).map(escaped), st.just("a" * 65)
)

# What may come back


def client(url: str | Path) -> httpx.Client:
    """A client of a node, at its address or Unix socket, for use in a thread."""
    if isinstance(url, Path):
        return httpx.Client(base_url=LOCAL_URL, transport=BlockingTransport(url), timeout=PATIENCE)
    return httpx.Client(base_url=url, trust_env=False, verify=NO_TLS, timeout=PATIENCE)


def judged(answer: httpx.Response) -> httpx.Response:
    """``answer``, which is no failure of ours; a refusal repeats nothing and tells nothing."""
    assert answer.status_code < 500, answer.text
    if not answer.is_success:
        clean(Answer(answer.status_code, None, answer.text, answer.headers))
    return answer


def finish(raw: socket.socket) -> None:
    """Send no more; the node may have gone already."""
    with contextlib.suppress(OSError):
        raw.shutdown(socket.SHUT_WR)


def exchange(port: int, data: bytes, *, patience: float = 0.2) -> bytes:
    """What a node says to some bytes before it ends the connection, or falls silent.

    Silence is answered with the end of our side, upon which a node must close.
    """
    got = bytearray()
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as raw,
        contextlib.suppress(ConnectionError),
    ):
        raw.sendall(data)
        raw.settimeout(patience)
        with contextlib.suppress(TimeoutError):
            while piece := raw.recv(65_536):
                got += piece
            return bytes(got)
        raw.settimeout(PATIENCE)
        finish(raw)
        while piece := raw.recv(65_536):
            got += piece
    return bytes(got)


# What may come of it


class Watch:
    """A room under attack, and what was taken there rightly.

    Attributes:
        room: its id.
        messages: ids of messages that were taken, anywhere.
        events: how many external events were taken for this room.
        rooms: sessions that were made.
    """

    def __init__(self, pair: Pair, room: str) -> None:
        self.pair = pair
        self.room = room
        self.messages: set[int] = set()
        self.events = 0
        self.rooms: set[str] = set()


@contextlib.asynccontextmanager
async def watched(pair: Pair) -> AsyncIterator[Watch]:
    """A room in which nothing happens but what its `Watch` is told of; then both nodes serve."""
    watch = Watch(pair, await make_room(pair))
    names, head = await room_names(pair), await log_head(pair)
    seen: list[dict[str, Any]] = []

    async with pair.viewer(watch.room, "boss", scopes="read,write,admin") as viewer:

        async def read() -> None:
            while True:
                seen.append(await frame(viewer, 600))

        reading = asyncio.create_task(read())
        try:
            yield watch
            last = await add(pair, watch.room, content="still here")
            watch.messages.add(last)
            posted = await broadcast(pair, watch.room, b'{"type":"sentinel","data":{}}')
            assert posted.status == 200, posted
            await until(
                lambda: (
                    any(one.get("type") == "sentinel" for one in seen)
                    and any(one.get("position") == last for one in seen)
                )
            )
        finally:
            reading.cancel()
    assert await log_head(pair) == last == head + len(watch.messages)
    shown = [one["position"] for one in seen if "position" in one]
    assert set(shown) <= watch.messages and len(shown) == len(set(shown)) and last in shown
    assert len(seen) - len(shown) == watch.events + 1, seen
    assert await room_names(pair) == names | watch.rooms


async def attack(work: Callable[[], Any]) -> None:
    """Run a fuzzer's examples in a thread."""
    await asyncio.to_thread(work)


def decoded(answer: httpx.Response) -> Any:
    """The JSON of an answer."""
    return msgspec.json.decode(answer.content)
