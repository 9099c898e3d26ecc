"""SECURITY 14 and 17: what a running pair leaves on the disk and in its logs."""

import json
import os
import stat
from pathlib import Path

import pytest

from proto import endpoints
from tests.clients import frame
from tests.pair import Pair
from tests.security.asking import ask, broadcast, modern, say
from tests.security.secrets_in_logs import assert_quiet
from tests.security.unharmed import MARK, add, make_room
from tests.waiting import until


def lasting(directory: Path) -> list[Path]:
    """The files in a directory, but for those on their way to another name."""
    return [path for path in directory.rglob("*") if path.suffix != ".tmp"]


@pytest.mark.sqlite
async def test_every_file_is_its_owners_alone(pair: Pair) -> None:
    await add(pair, await make_room(pair), content="so that the write-ahead log exists")
    await until((pair.data_dir / "log.mark").exists)  # written within a second of a commit
    found = {path.name: path for path in lasting(pair.data_dir)}
    expected = {"partyline.db", "partyline.db-wal", "partyline.db-shm", "log.mark"}
    expected |= {"signing.key", "signing.pub", "bridge.key", "mcp.lock", "ws.lock"}
    endpoint = Path(endpoints.bridge_endpoint(pair.data_dir).removeprefix("ipc://"))
    found[endpoint.name] = endpoint
    assert expected <= set(found)
    for path in found.values():
        state = path.lstat()
        assert state.st_uid == os.geteuid(), path
        assert stat.S_IMODE(state.st_mode) == 0o600, (path, oct(state.st_mode))
    assert stat.S_ISSOCK(found["bridge.sock"].lstat().st_mode)
    for directory in (pair.data_dir, endpoint.parent):
        assert stat.S_IMODE(directory.lstat().st_mode) == 0o700


async def test_a_wide_umask_changes_nothing(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        both = Pair(tmp_path / "run")
        await both.__aenter__()
    finally:
        os.umask(previous)
    try:
        await add(both, await make_room(both), content="a")
        await until((both.data_dir / "log.mark").exists)
        for path in lasting(both.data_dir):
            assert stat.S_IMODE(path.lstat().st_mode) == 0o600, path
    finally:
        await both.__aexit__(None, None, None)


async def test_nothing_said_and_no_token_is_logged(pair: Pair) -> None:
    room = await make_room(pair)
    alice = pair.headers("alice")
    content = json.dumps({"content": MARK, "metadata": {MARK: MARK}}).encode()[1:-1]
    for path in ("modern", "legacy", "rest"):
        assert (await say(path, pair, room, content, alice)).code is None
        await say(path, pair, f"{MARK}-%0a", content, alice)
        await say(path, pair, room, content, {"Authorization": f"Bearer {MARK}"} | alice)
    await modern(pair, MARK, b'{"%b":1}' % MARK.encode(), alice)
    await broadcast(pair, room, b'{"type":"%b","data":{"a":"%b"}}' % (MARK.encode(), MARK.encode()))
    await ask(pair.mcp_url, "GET", f"/api/sessions?limit={MARK}&active_since={MARK}", alice)
    await ask(pair.mcp_url, "GET", f"/{MARK}/%0a%1b[31m?{MARK}", alice)
    await ask(pair.ws_url, "GET", f"/{MARK}/%0a%1b[31m?{MARK}", alice)
    async with pair.viewer(room, query=f"?since=0&{MARK}={MARK}") as viewer:
        assert (await frame(viewer))["type"] == "subscribed"
        await viewer.send(MARK)
    assert_quiet(pair)


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/healthz", "/readyz"])
async def test_open_pages_say_nothing_of_the_inside(pair: Pair, path: str) -> None:
    for url in (pair.mcp_url, pair.ws_url):
        answer = await ask(url, "GET", path)
        assert answer.status == 200
        assert str(pair.data_dir) not in answer.text and "/api/heads" not in answer.text
        assert "server" not in answer.headers
