"""The data directory: made private, and refused when others could tamper with it."""

import os
import stat
from pathlib import Path

import pytest

from proto.errors import ConfigurationError
from proto.keyfile import bridge_key, open_data_dir
from tests.proto.unprivileged import as_nobody, scratch_of_nobody

AS_ROOT = os.geteuid() == 0


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        open_data_dir(path)
    assert str(path) in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_data_directory_is_made_for_its_owner_alone_under_any_umask(
    tmp_path: Path, umask: int
) -> None:
    path = tmp_path / "parent" / "data"
    before = os.umask(umask)
    try:
        assert open_data_dir(path) == path
    finally:
        os.umask(before)
    assert mode(path) == 0o700


def test_opening_a_data_directory_again_keeps_what_is_in_it(tmp_path: Path) -> None:
    path = open_data_dir(tmp_path / "data")
    (path / "partyline.db").write_bytes(b"x")
    assert open_data_dir(path) == path
    assert (path / "partyline.db").read_bytes() == b"x"


@pytest.mark.parametrize("readable", [0o755, 0o750, 0o701])
def test_a_data_directory_that_others_may_read_is_closed(tmp_path: Path, readable: int) -> None:
    path = tmp_path / "data"
    path.mkdir()
    path.chmod(readable)
    assert mode(open_data_dir(path)) == 0o700


@pytest.mark.parametrize("writable", [0o770, 0o720, 0o707, 0o702, 0o777, 0o1777])
def test_a_data_directory_that_others_may_write_is_refused_and_left_alone(
    tmp_path: Path, writable: int
) -> None:
    path = tmp_path / "data"
    path.mkdir()
    path.chmod(writable)
    assert "writable by others" in refusal(path)
    assert mode(path) == writable


def test_a_symlink_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    link = tmp_path / "data"
    link.symlink_to(tmp_path / "real")
    assert "symlink" in refusal(link)


def test_a_dangling_symlink_is_refused_and_not_followed(tmp_path: Path) -> None:
    link = tmp_path / "data"
    link.symlink_to(tmp_path / "absent")
    assert "PARTYLINE_DATA_DIR" in refusal(link)
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("place", ["data", "data/below"])
def test_a_file_in_its_place_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "data").write_bytes(b"")
    assert "PARTYLINE_DATA_DIR" in refusal(tmp_path / place)


def test_another_users_data_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data"
    if AS_ROOT:
        path.mkdir(mode=0o700)
        os.chown(path, 65534, 65534)
    else:
        path = Path("/usr")
    assert "another user" in refusal(path)


def test_a_data_directory_that_cannot_be_written_is_refused() -> None:
    with scratch_of_nobody() as scratch:
        path = scratch / "data"
        path.mkdir(mode=0o500)
        if AS_ROOT:
            os.chown(path, 65534, 65534)
        assert "cannot be written" in as_nobody(lambda: open_data_dir(path))


def test_a_data_directory_that_cannot_be_made_is_refused() -> None:
    with scratch_of_nobody() as scratch:
        scratch.chmod(0o500)
        assert "Permission denied" in as_nobody(lambda: open_data_dir(scratch / "data"))
        scratch.chmod(0o700)


def test_a_key_that_cannot_be_made_is_a_configuration_error() -> None:
    with scratch_of_nobody() as scratch:
        scratch.chmod(0o500)
        assert "cannot be made: Permission denied" in as_nobody(lambda: bridge_key(scratch))
        scratch.chmod(0o700)


def test_a_key_that_cannot_be_read_is_a_configuration_error() -> None:
    with scratch_of_nobody() as scratch:
        as_nobody(lambda: bridge_key(scratch))
        (scratch / "bridge.key").chmod(0o000)
        assert "cannot be read: Permission denied" in as_nobody(lambda: bridge_key(scratch))
