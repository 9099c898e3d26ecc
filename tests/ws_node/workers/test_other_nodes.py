"""Counts of other ws_nodes: taken, bounded, and forgotten with whoever told them."""

from pathlib import Path

import msgspec
import pytest

from proto.settings import load_settings
from serving.bus.bus import Bus
from tests.ws_node.making import ignore
from ws_node.presence.viewer_counts import ViewerCounts
from ws_node.workers.other_nodes import MAX_OTHERS, OtherNodes

pytest.importorskip("nats")
encode = msgspec.msgpack.Encoder().encode


@pytest.fixture
async def others(tmp_path: Path) -> OtherNodes:
    made = load_settings(data_dir=tmp_path, bridge="nats", nats_url="nats://localhost")
    return OtherNodes(
        made, bus=Bus(made, "ws_node"), watched=ViewerCounts({}, 10_000, on_change=ignore)
    )


async def test_counts_are_added_up_and_replaced(others: OtherNodes) -> None:
    watched = others._watched
    others._receive(b"", encode(("one", {"a": 2, "b": 1})))
    others._receive(b"", encode(("two", {"a": 3})))
    assert (watched["a"], watched["b"]) == (5, 1)
    others._receive(b"", encode(("one", {"a": 1})))
    assert (watched["a"], watched["b"]) == (4, 0)
    others._receive(b"", encode(("one", {})))
    others._receive(b"", encode(("two", {})))
    assert watched["a"] == 0 and others.malformed == 0


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"\xc1", encode(("n", {"a": -1})), encode(("n", {"a": "1"})), encode(("n", [1]))),
        *(encode((1, {})), encode(("n" * 33, {"a": 1})), encode(["n"])),
    ],
)
async def test_what_is_no_counts_is_counted(others: OtherNodes, payload: bytes) -> None:
    others._receive(b"", payload)
    assert others.malformed == 1 and others._watched["a"] == 0


async def test_so_many_and_no_more_are_heard(others: OtherNodes) -> None:
    for number in range(MAX_OTHERS + 5):
        others._receive(b"", encode((str(number), {"a": 1})))
    assert others._watched["a"] == MAX_OTHERS and others.malformed == 5


async def test_a_node_that_comes_is_told_our_counts_soon(others: OtherNodes) -> None:
    assert others._watched.changes() == {}
    assert others._watched.changes() is None
    others._receive(b"", encode(("one", {})))
    assert others._watched.changes() == {}
