"""Where requests go, and what is changed in their heads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_node.commands.cluster.routing import preferred, route

NAMES = st.text("abcdefgh-", min_size=1, max_size=12).map(lambda name: name.encode())
HEADERS = st.lists(st.tuples(NAMES, st.binary(max_size=20)).filter(lambda h: b"\r\n" not in h[1]))


def head(line: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([line, *headers, b"", b""])


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("/mcp", "mcp"),
        ("/mcp?a=b", "mcp"),
        ("/mcp/x", "mcp"),
        ("/api/sessions", "mcp"),
        ("/api", "mcp"),
        ("/", "ws"),
        ("/mcpx", "ws"),
        ("/apis", "ws"),
        ("/x/api/", "ws"),
        ("/static/app/page.js", "ws"),
        ("/ws/room", "ws"),
        ("/events/room?since=/mcp", "ws"),
        ("/broadcast/room", "ws"),
        ("*", "ws"),
    ],
)
def test_the_path_decides_the_kind_of_node(target: str, kind: str) -> None:
    assert route(head(f"GET {target} HTTP/1.1".encode(), b"Host: x")).kind == kind


@pytest.mark.parametrize("line", [b"", b"GET", b"GET ", b" ", b"\xff\x00 /mcp", b"\r"])
def test_what_is_no_request_has_a_route_too(line: bytes) -> None:
    assert route(head(line)).kind in ("mcp", "ws")


def test_the_key_is_the_authorization() -> None:
    plain, other = b"Authorization: Bearer a", b"aUTHORIZATION:Bearer a  "
    assert route(head(b"GET /mcp HTTP/1.1", plain)).key == b"Bearer a"
    assert route(head(b"GET /mcp HTTP/1.1", b"X: y", other)).key == b"Bearer a"
    assert route(head(b"GET /mcp HTTP/1.1", b"X-Authorization: Bearer a")).key == b""


@given(HEADERS)
def test_a_head_is_passed_on_with_a_connection_that_ends(
    headers: list[tuple[bytes, bytes]],
) -> None:
    lines = [name + b": " + value for name, value in headers]
    given_head = head(b"POST /mcp HTTP/1.1", *lines, b"connection: keep-alive")
    assert route(given_head).head == head(b"POST /mcp HTTP/1.1", *lines, b"Connection: close")


def test_an_upgrade_is_passed_on_as_it_is() -> None:
    upgrade = head(b"GET /ws/x HTTP/1.1", b"Connection: Upgrade", b"upgrade: websocket")
    assert route(upgrade).head == upgrade


@given(st.binary(), st.integers(1, 5))
def test_every_node_is_tried_once_in_an_order_of_the_key(key: bytes, count: int) -> None:
    order = preferred(key, count)
    assert sorted(order) == list(range(count))
    assert preferred(key, count) == order
    assert [number for number in preferred(key, count + 1) if number < count] == order


def test_keys_are_spread() -> None:
    first = [preferred(b"Bearer %d" % n, 2)[0] for n in range(1000)]
    assert 400 < sum(first) < 600
