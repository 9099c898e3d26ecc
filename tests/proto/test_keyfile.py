"""Key files: made once, private, complete, and refused when they are not what they should be."""

import multiprocessing
import os
import re
import stat
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from proto.endpoints import bridge_endpoint
from proto.errors import ConfigurationError
from proto.keyfile import (
    bridge_key,
    open_key_dir,
    optional_signing_key,
    public_key,
    public_pem,
    signing_key,
)

Reader = Callable[[Path], object]
READERS: dict[str, Reader] = {
    "signing.key": signing_key,
    "signing.pub": public_key,
    "bridge.key": bridge_key,
}
OTHER_CURVE = generate_private_key(SECP256R1())
ENCRYPTED = Ed25519PrivateKey.generate().private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
)
GARBLED = {
    "empty": b"",
    "text": b"not a key",
    "zeros": b"\x00" * 64,
    "bytes": bytes(range(256)),
    "short": b"ab" * 31,
    "long": b"ab" * 33,
    "open PEM": b"-----BEGIN PRIVATE KEY-----\nMC4CAQAw",
    "other private key": OTHER_CURVE.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    ),
    "other public key": OTHER_CURVE.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    ),
    "encrypted key": ENCRYPTED,
}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def put(path: Path, content: bytes, mode: int = 0o600) -> None:
    path.write_bytes(content)
    path.chmod(mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_their_owners_alone_under_any_umask(data_dir: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        for read in READERS.values():
            read(data_dir)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data_dir.iterdir()}
    assert modes == dict.fromkeys(READERS, 0o600)


def test_keys_are_made_once_and_then_read(data_dir: Path) -> None:
    public, secret = public_key(data_dir), bridge_key(data_dir)
    assert public_pem(signing_key(data_dir)) == public == public_key(data_dir)
    assert bridge_key(data_dir) == secret
    assert re.fullmatch(rb"[0-9a-f]{64}", secret)


def test_every_data_directory_has_its_own(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    assert public_key(first) != public_key(second)
    assert bridge_key(first) != bridge_key(second)


def test_a_final_newline_does_no_harm(data_dir: Path) -> None:
    secret = bridge_key(data_dir)
    put(data_dir / "bridge.key", secret + b"\n")
    assert bridge_key(data_dir) == secret


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", GARBLED.values(), ids=GARBLED)
def test_garbled_files_are_refused_and_kept(data_dir: Path, name: str, content: bytes) -> None:
    put(data_dir / name, content)
    with pytest.raises(ConfigurationError, match=re.escape(name)) as refusal:
        READERS[name](data_dir)
    assert (data_dir / name).read_bytes() == content
    assert "abab" not in str(refusal.value)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o610, 0o666])
def test_files_that_others_may_touch_are_refused(data_dir: Path, name: str, mode: int) -> None:
    READERS[name](data_dir)
    (data_dir / name).chmod(mode)
    with pytest.raises(ConfigurationError, match=rf"{re.escape(name)} must be yours alone"):
        READERS[name](data_dir)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_file_is_refused(data_dir: Path, name: str) -> None:
    READERS[name](data_dir)
    os.chown(data_dir / name, 65534, 65534)
    with pytest.raises(ConfigurationError, match="must be yours alone"):
        READERS[name](data_dir)


@pytest.mark.parametrize("name", READERS)
def test_a_symlink_is_not_followed(data_dir: Path, name: str) -> None:
    READERS[name](data_dir)
    (data_dir / name).rename(data_dir / "elsewhere")
    (data_dir / name).symlink_to(data_dir / "elsewhere")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        READERS[name](data_dir)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_regular_file_is_refused_at_once(
    data_dir: Path, name: str, make: Callable[[Path], None]
) -> None:
    make(data_dir / name)
    with pytest.raises(ConfigurationError, match="not a regular file"):
        READERS[name](data_dir)


def test_halves_that_do_not_belong_together_are_refused(data_dir: Path, tmp_path: Path) -> None:
    public_key(data_dir)
    (data_dir / "signing.key").unlink()
    with pytest.raises(ConfigurationError, match=r"no signing\.key: .* delete signing\.pub"):
        signing_key(data_dir)
    (tmp_path / "other").mkdir()
    signing_key(tmp_path / "other")
    os.rename(tmp_path / "other" / "signing.key", data_dir / "signing.key")
    with pytest.raises(ConfigurationError, match=r"signing\.pub does not belong .* delete"):
        signing_key(data_dir)
    (data_dir / "signing.pub").unlink()
    assert public_pem(signing_key(data_dir)) == public_key(data_dir)


def test_ws_node_does_not_need_the_private_key_once_the_public_one_is_there(data_dir: Path) -> None:
    public = public_key(data_dir)
    (data_dir / "signing.key").unlink()
    assert public_key(data_dir) == public
    assert not (data_dir / "signing.key").exists()


def start_at_once(data_dir: Path, barrier: Barrier, answer: Connection) -> None:
    barrier.wait(30)
    seen = (public_key(data_dir), public_pem(signing_key(data_dir)), bridge_key(data_dir))
    answer.send((*seen, bridge_endpoint(data_dir)))
    answer.close()


def test_sixteen_processes_at_once_make_one_and_the_same(data_dir: Path, runtime: Path) -> None:
    long_dir = data_dir / ("d" * 100)
    long_dir.mkdir(mode=0o700)
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(16)
    pipes = [fork.Pipe(duplex=False) for _ in range(16)]
    children = [
        fork.Process(target=start_at_once, args=(long_dir, barrier, sender)) for _, sender in pipes
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
    assert len(answers) == 1
    public, derived, secret, _ = answers.pop()
    assert public == derived
    assert (public, secret) == (public_key(long_dir), bridge_key(long_dir))
    assert {path.name for path in long_dir.iterdir()} == {*READERS, "bridge.dir"}


def test_a_directory_of_shared_keys_may_be_read_only_and_without_the_private_key(
    tmp_path: Path,
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o700)
    public = public_key(shared)
    assert optional_signing_key(shared) is not None
    (shared / "signing.key").unlink()
    shared.chmod(0o500)
    assert open_key_dir(tmp_path, shared) == shared
    assert public_key(shared) == public
    assert optional_signing_key(shared) is None
    with pytest.raises(ConfigurationError, match=r"no signing\.key"):
        signing_key(shared)
    assert os.listdir(shared) == ["signing.pub"]
    assert open_key_dir(tmp_path, None) == tmp_path


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_directory_of_shared_keys_that_others_may_write_is_refused(
    tmp_path: Path, mode: int
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    with pytest.raises(ConfigurationError, match="writable by others"):
        open_key_dir(tmp_path, shared)


@pytest.mark.parametrize("made", [True, False])
def test_a_directory_of_shared_keys_must_be_there(tmp_path: Path, made: bool) -> None:
    path = tmp_path / "shared"
    if made:
        path.write_text("a file")
    with pytest.raises(ConfigurationError, match="PARTYLINE_KEY_DIR"):
        open_key_dir(tmp_path, path)
