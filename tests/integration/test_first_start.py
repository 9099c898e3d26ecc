"""The first start on an empty directory, both nodes at the same instant: one set of keys, a bridge.

Every pair of the tests starts so; that any number of processes at once make one key is tested in
tests/proto/test_keyfile.py.
"""

import os
import tempfile
from pathlib import Path

import pytest

from tests.clients import frame
from tests.integration.rooms import make_room, say
from tests.pair import Pair


async def assert_bridges(pair: Pair) -> None:
    """A token of the one key opens both nodes, and what is said comes across."""
    room = await make_room(pair, "room")
    async with pair.viewer(room) as viewer, pair.rest() as rest:
        said = await say(rest, room, "hello")
        assert (await frame(viewer))["position"] == said


async def test_a_very_long_path_still_bridges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="pl-", dir="/tmp") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        async with Pair(tmp_path / ("long" * 40)) as pair:
            await assert_bridges(pair)
            assert_private_socket(pair, Path(runtime))
            names = {path.name for path in pair.data_dir.iterdir()}
            assert {"signing.key", "signing.pub", "bridge.key"} <= names
            assert not [name for name in names if name.startswith(".")], "temporary files"


def assert_private_socket(pair: Pair, runtime: Path) -> None:
    """The bridge's socket is where bridge.dir says, out of reach of others."""
    where = Path(os.fsdecode((pair.data_dir / "bridge.dir").read_bytes()))
    assert where.parent == runtime
    assert where.stat().st_mode & 0o777 == 0o700
    assert (where / "bridge.sock").is_socket()
