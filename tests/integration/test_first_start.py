"""The first start on an empty directory: whoever comes first, one set of keys, and a bridge."""

import contextlib
import os
import tempfile
from pathlib import Path

import pytest

from tests.integration.crowd import gathered, make_room, say
from tests.pair import Pair, frame

FIRST_STARTS = 5


async def assert_bridges(pair: Pair) -> None:
    """A token of the one key opens both nodes, and what is said comes across."""
    room = await make_room(pair, "room")
    async with pair.viewer(room) as viewer, pair.rest() as rest:
        said = await say(rest, room, "hello")
        assert (await frame(viewer))["position"] == said


async def test_both_nodes_at_the_same_instant_make_one_set_of_keys() -> None:
    async with contextlib.AsyncExitStack() as stack:
        pairs = await gathered(
            *(stack.enter_async_context(Pair()) for _ in range(FIRST_STARTS)), within=50
        )
        for pair in pairs:
            await assert_bridges(pair)
            names = {path.name for path in pair.data_dir.iterdir()}
            assert {"signing.key", "signing.pub", "bridge.key"} <= names
            assert not [name for name in names if name.startswith(".")], "temporary files"


async def test_a_very_long_path_still_bridges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="pl-", dir="/tmp") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        async with Pair(tmp_path / ("long" * 40)) as pair:
            await assert_bridges(pair)
            assert_private_socket(pair, Path(runtime))


def assert_private_socket(pair: Pair, runtime: Path) -> None:
    """The bridge's socket is where bridge.dir says, out of reach of others."""
    where = Path(os.fsdecode((pair.data_dir / "bridge.dir").read_bytes()))
    assert where.parent == runtime
    assert where.stat().st_mode & 0o777 == 0o700
    assert (where / "bridge.sock").is_socket()
