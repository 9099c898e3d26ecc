"""Raw requests, byte for byte: heads that are malformed, huge, doubled, or never end."""

import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.fuzzing import attack, bounded, damaged, exchange, watched
from tests.pair import Pair
from tests.security.unharmed import _INTERNAL, MARK

M: Final = MARK.encode()
AFTER: Final = (
    b"\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
)
"""Ends most of what was left open, and asks for a proper answer."""

LINES: Final = st.sampled_from(
    [
        *(b"GET /healthz HTTP/1.1", b"POST /api/sessions HTTP/1.1", b"POST /mcp HTTP/1.1"),
        *(b"GET /events/a HTTP/1.1", b"POST /broadcast/a HTTP/1.1", b"GET /ws/a HTTP/1.1"),
        *(b"CONNECT a:1 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET http://x/ HTTP/1.1"),
        *(b"PRI * HTTP/2.0", b"GET / HTTP/0.9", b"GET /", b"\x16\x03\x01\x02\x00\x01\x00"),
        *(b"GET /" + M + b"/ HTTP/1.1", b"GET //" + M + b" HTTP/1.1", b"GET /%00%ff HTTP/1.0"),
        *(b"GET /docs/assets/../../x HTTP/1.1", b"GET /" + b"a" * 70_000 + b" HTTP/1.1"),
        *(b"HEAD /readyz HTTP/1.1", b"M-SEARCH * HTTP/1.1", b"GET /\xff HTTP/1.1"),
    ]
)
FIELDS: Final = st.sampled_from(
    [
        *(b"Content-Length: 2", b"Content-Length: 3", b"Content-Length: -1", b"Content-Length: "),
        *(b"Content-Length: " + b"9" * 30, b"Content-Length: 0x2", b"Content-Length: 2, 2"),
        *(
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: gzip, chunked",
            b"Expect: 100-continue",
        ),
        *(b"Transfer-Encoding: xchunked", b"Content-Type: application/json", b"Connection: close"),
        *(b"Host: " + M, b"Host: localhost, " + M, b"Host:", b"Host: [::1", b"Origin: null"),
        *(b"Origin: http://" + M, b"Authorization: Bearer " + M, b"Authorization: " + M),
        *(b"Authorization: Bearer " + M + b".e30." + M, b" folded: " + M, b"no colon", b": empty"),
        *(b"A\x00B: c", b"A: b\x00c", b"A: \xff\xfe", b"A : b", b"X: " + b"x" * 9_000),
        *(b"X: " + b"x" * 200_000, b"\r\n".join([b"X: y"] * 200), b"\xff: x", b"Cookie: " + M),
        *(b"Connection: Upgrade", b"Upgrade: websocket", b"Upgrade: h2c", b"HTTP2-Settings: AAMA"),
        *(b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 99", b"Sec-WebSocket-Key: " + M),
        *(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Protocol: bearer." + M),
        *(b"Sec-WebSocket-Protocol: \xff,,", b"Sec-WebSocket-Extensions: " + M + b"; a=1"),
    ]
)
BODIES: Final = st.sampled_from(
    [
        *(b"", b"{}", M, b"2\r\n{}\r\n0\r\n\r\n", b"zz\r\n", b"-1\r\n\r\n", b"\x00" * 50),
        *(b"FFFFFFFFFFFFFFFFF\r\n", b"2;" + M + b"=1\r\n{}\r\n", b"0\r\nX: " + M + b"\r\n\r\n"),
        *(b"2\r\n{}0\r\n", b"1;" + b"e" * 100_000 + b"\r\n", b"\x81\x05hello", b"\x88\x80\0\0\0\0"),
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One or two requests, from parts none of which is quite proper."""
    raw = b""
    for _ in range(draw(st.integers(1, 2))):
        fields = draw(st.lists(FIELDS, max_size=2))  # more, and hardly any gets past the parser
        if draw(st.integers(0, 3)):
            fields.insert(0, b"Host: localhost")
        end = draw(st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r"]))
        raw += end.join([draw(LINES), *fields]) + end * 2 + draw(BODIES)
    return raw if draw(st.integers(0, 3)) else draw(damaged(raw))


@pytest.mark.parametrize("node", ["mcp", "ws"])
async def test_generated_http_heads_do_no_harm(pair: Pair, node: str) -> None:
    port = pair.mcp_port if node == "mcp" else pair.ws_port

    async with watched(pair):

        @bounded(100)
        @given(requests())
        def work(raw: bytes) -> None:
            said = exchange(port, raw + AFTER).decode("latin-1")
            statuses = re.findall(r"^HTTP/1\.[01] (\d{3}) ", said, re.MULTILINE)
            assert all(status < "500" for status in statuses), said
            assert MARK not in said, said
            assert _INTERNAL.search(said) is None, said

        await attack(work)


@pytest.mark.parametrize("node", ["mcp", "ws"])
async def test_upgrades_that_websockets_refuses_are_answered_and_closed(
    pair: Pair, node: str
) -> None:
    """Each is answered and its socket closed, without our side saying a word more."""
    port = pair.mcp_port if node == "mcp" else pair.ws_port
    head = (
        b"GET /ws/a HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    )
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    for more in (
        key + b"a: b\r\n" * 130,
        key + b"a: " + b"x" * 9_000 + b"\r\n",
        key + b"Content-Length: 5\r\n",
        b"",
        b"Sec-WebSocket-Key: " + M + b"\r\n",
        key * 2,
        key + b"Sec-WebSocket-Version: " + M + b"\r\n",
    ):
        said = exchange(port, head + more + b"\r\n", patience=10)
        assert said.startswith(b"HTTP/1.1 4"), (more[:60], said)
        assert M not in said
