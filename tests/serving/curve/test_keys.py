"""The keys of a tcp bridge: made once, private, whole; and whom mcp_node trusts."""

import multiprocessing
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
import zmq
from zmq.utils import z85

from proto.errors import ConfigurationError, InvalidInput
from serving.curve import keys as curve
from serving.curve.allow_list import AllowList

KEY = "ab" * 32


def test_a_pair_is_one_that_zeromq_takes(tmp_path: Path) -> None:
    pair = curve.server_keys(tmp_path)
    assert z85.decode(zmq.curve_public(z85.encode(pair.secret))).hex() == pair.public
    assert curve.server_keys(tmp_path) == pair
    assert curve.client_keys(tmp_path) not in (pair, curve.client_keys(tmp_path / ".."))


def test_the_files_are_their_owners_alone_and_hold_secrets(tmp_path: Path) -> None:
    pairs = (curve.server_keys(tmp_path), curve.client_keys(tmp_path))
    curve.trust_server(tmp_path, KEY)
    AllowList(tmp_path).add(KEY)
    files = {file.name: file for file in tmp_path.iterdir()}
    assert set(files) == {
        *("curve-server.key", "curve-client.key", "curve-trusted", "curve-allowed", "keys.lock")
    }
    assert {file.stat().st_mode & 0o777 for file in files.values()} == {0o600}
    for pair, name in zip(pairs, ("curve-server.key", "curve-client.key"), strict=True):
        assert files[name].read_text() == pair.secret.hex()
        assert pair.secret.hex() not in repr(pair)
        assert repr(pair.secret) not in repr(pair)


@pytest.mark.parametrize("content", [b"", b"key", b"ab" * 31, b"ab" * 33, b"AB" * 32, b"\xff" * 64])
@pytest.mark.parametrize("name", ["curve-server.key", "curve-client.key", "curve-trusted"])
def test_a_garbled_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ConfigurationError, match=f"{name} is not 64 hex digits"):
        curve.Credentials(tmp_path, "tcp://127.0.0.1:5555")
        curve.server_keys(tmp_path)


@pytest.mark.parametrize("name", ["curve-server.key", "curve-client.key", "curve-trusted"])
def test_a_file_open_to_others_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text(KEY)
    file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        curve.Credentials(tmp_path, "tcp://127.0.0.1:5555")
        curve.server_keys(tmp_path)


def test_mcp_node_trusts_its_neighbour_until_it_is_told_otherwise(tmp_path: Path) -> None:
    assert curve.trusted_server(tmp_path) == curve.server_keys(tmp_path).public
    curve.trust_server(tmp_path, KEY)
    assert curve.trusted_server(tmp_path) == KEY


@pytest.mark.parametrize("endpoint", ["tcp://0.0.0.0:5555", "tcp://[::]:5555"])
def test_every_address_is_none_to_connect_to(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match=r"give mcp_node the address of ws_node's machine"):
        curve.Credentials(tmp_path, endpoint)


def test_a_key_is_taken_as_it_is_copied() -> None:
    assert curve.parse_key(f" {KEY.upper()}\n") == KEY


@pytest.mark.parametrize("text", ["", "ab", "g" * 64, KEY + "0", f"0x{KEY}", "\uff11" * 64])
def test_what_is_no_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidInput, match="64 hex digits") as refusal:
        curve.parse_key(text)
    assert not text or text not in str(refusal.value)


def start_at_once(data_dir: Path, barrier: Barrier, answer: Connection) -> None:
    barrier.wait(30)
    answer.send((curve.trusted_server(data_dir), AllowList(data_dir).own))
    answer.close()


def test_processes_that_start_at_once_make_one_and_the_same(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(8)
    pipes = [fork.Pipe(duplex=False) for _ in range(8)]
    children = [
        fork.Process(target=start_at_once, args=(tmp_path, barrier, sender)) for _, sender in pipes
    ]
    for child in children:
        child.start()
    answers = set()
    for receiver, sender in pipes:
        sender.close()
        answers.add(receiver.recv())
        receiver.close()
    for child in children:
        child.join()
    assert answers == {(curve.server_keys(tmp_path).public, curve.client_keys(tmp_path).public)}
    assert {file.name for file in tmp_path.iterdir()} == {"curve-server.key", "curve-client.key"}
