"""Where the bridge's socket lives: beside the data, or where its path is short enough."""

import os
import stat
from pathlib import Path

import pytest

from proto.endpoints import MAX_SOCKET_PATH, bridge_endpoint, worker_endpoint
from proto.errors import ConfigurationError

LONG = "d" * MAX_SOCKET_PATH


@pytest.fixture
def long_dir(tmp_path: Path) -> Path:
    path = tmp_path / LONG
    path.mkdir(mode=0o700)
    return path


def socket_dir(endpoint: str) -> Path:
    return Path(endpoint.removeprefix("ipc://")).parent


def test_a_short_path_is_in_the_data_directory() -> None:
    assert bridge_endpoint(Path("/data")) == "ipc:///data/bridge.sock"


def test_the_length_is_counted_in_bytes(runtime: Path) -> None:
    room = MAX_SOCKET_PATH - len(os.fsencode(runtime)) - len("//bridge.sock")
    fits, too_long = runtime / ("x" * room), runtime / ("é" * room)
    fits.mkdir(mode=0o700)
    too_long.mkdir(mode=0o700)
    assert socket_dir(bridge_endpoint(fits)) == fits
    assert socket_dir(bridge_endpoint(too_long)).parent == runtime


def test_a_host_is_not_a_path(long_dir: Path) -> None:
    endpoint = f"tcp://{'h' * 150}.example:5555"
    assert bridge_endpoint(long_dir, endpoint) == endpoint


def test_a_configured_endpoint_is_taken_as_it_is(long_dir: Path, runtime: Path) -> None:
    assert bridge_endpoint(long_dir, f"ipc://{runtime}/b.sock") == f"ipc://{runtime}/b.sock"
    assert not (long_dir / "bridge.dir").exists()


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702])
def test_a_configured_directory_that_others_may_write_to_is_refused(
    runtime: Path, mode: int
) -> None:
    """Whoever may write there can take the socket's place, and read or invent what crosses."""
    runtime.chmod(mode)
    with pytest.raises(ConfigurationError, match="nobody else can write to"):
        bridge_endpoint(Path("/data"), f"ipc://{runtime}/b.sock")


def test_a_configured_directory_must_be_a_directory_of_ours(runtime: Path) -> None:
    (runtime / "link").symlink_to(runtime, target_is_directory=True)
    (runtime / "file").touch()
    (runtime / "theirs").mkdir()
    names = ["link", "file", "missing"]
    if os.geteuid() == 0:
        os.chown(runtime / "theirs", 65_534, 65_534)
        names.append("theirs")
    for name in names:
        with pytest.raises(ConfigurationError, match="PARTYLINE_BRIDGE_ENDPOINT"):
            bridge_endpoint(Path("/data"), f"ipc://{runtime}/{name}/b.sock")
    with pytest.raises(ConfigurationError, match="nobody else can write to"):
        bridge_endpoint(Path("/data"), "ipc:///tmp/b.sock")


@pytest.mark.parametrize(
    ("configured", "first", "second"),
    [
        ("", "ipc:///data/bridge.sock", "ipc:///data/bridge-1.sock"),
        ("ipc://{own}/b.sock", "ipc://{own}/b.sock", "ipc://{own}/b-1.sock"),
        ("ipc://{own}/b", "ipc://{own}/b", "ipc://{own}/b-1"),
        ("tcp://[::1]:5555", "tcp://[::1]:5555", "tcp://[::1]:5556"),
    ],
)
def test_each_worker_has_its_own_endpoint(
    runtime: Path, configured: str, first: str, second: str
) -> None:
    configured, first, second = (
        text.replace("{own}", str(runtime)) for text in (configured, first, second)
    )
    assert bridge_endpoint(Path("/data"), configured) == first
    assert bridge_endpoint(Path("/data"), configured, 1) == second
    assert worker_endpoint(Path("/data"), 1) == "ipc:///data/worker-1.sock"


def test_a_worker_needs_a_port() -> None:
    assert bridge_endpoint(Path("/data"), "tcp://h:65535") == "tcp://h:65535"
    with pytest.raises(ConfigurationError, match="port"):
        bridge_endpoint(Path("/data"), "tcp://h:65535", 1)


def test_a_configured_path_too_long_for_a_socket_is_refused(runtime: Path) -> None:
    longest = f"ipc://{runtime}/" + "x" * (MAX_SOCKET_PATH - len(f"{runtime}/"))
    assert bridge_endpoint(Path("/data"), longest) == longest
    with pytest.raises(ConfigurationError, match="PARTYLINE_BRIDGE_ENDPOINT"):
        bridge_endpoint(Path("/data"), longest + "x")


def test_a_long_path_gets_a_private_directory_that_is_recorded(
    long_dir: Path, runtime: Path
) -> None:
    endpoint = bridge_endpoint(long_dir)
    made = socket_dir(endpoint)
    assert made.parent == runtime
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert len(os.fsencode(endpoint.removeprefix("ipc://"))) <= MAX_SOCKET_PATH
    assert (long_dir / "bridge.dir").read_bytes() == os.fsencode(made)
    assert stat.S_IMODE((long_dir / "bridge.dir").stat().st_mode) == 0o600


def test_both_nodes_find_the_same_whatever_their_environment(
    long_dir: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bridge_endpoint(long_dir)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert bridge_endpoint(long_dir) == first


@pytest.mark.parametrize("value", ["", "/" + "r" * MAX_SOCKET_PATH])
def test_without_a_usable_runtime_directory_the_socket_is_in_tmp(
    long_dir: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", value)
    made = socket_dir(bridge_endpoint(long_dir))
    try:
        assert made.parent == Path("/tmp")
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    finally:
        made.rmdir()


def test_a_recorded_directory_that_was_cleaned_away_is_made_again(
    long_dir: Path, runtime: Path
) -> None:
    endpoint = bridge_endpoint(long_dir)
    socket_dir(endpoint).rmdir()
    assert bridge_endpoint(long_dir) == endpoint
    assert stat.S_IMODE(socket_dir(endpoint).stat().st_mode) == 0o700


def test_a_recorded_directory_that_others_could_have_put_there_is_refused(
    long_dir: Path, runtime: Path
) -> None:
    made = socket_dir(bridge_endpoint(long_dir))
    made.chmod(0o777)
    with pytest.raises(ConfigurationError, match="writable by others"):
        bridge_endpoint(long_dir)
    made.rename(made.with_name("other"))
    made.symlink_to(made.with_name("other"))
    with pytest.raises(ConfigurationError, match="symlink"):
        bridge_endpoint(long_dir)


@pytest.mark.parametrize("content", [b"", b"relative/dir", b"/tmp/\x00"])
def test_a_garbled_record_is_refused(long_dir: Path, content: bytes) -> None:
    (long_dir / "bridge.dir").write_bytes(content)
    (long_dir / "bridge.dir").chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"bridge\.dir names no directory"):
        bridge_endpoint(long_dir)
