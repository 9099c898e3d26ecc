"""The allow-list: heeded as it is now, edited whole, and closed when it cannot be read."""

from pathlib import Path

import pytest

from proto.errors import ConfigurationError, InvalidInput
from serving.curve.allow_list import AllowList
from serving.process.lockfile import LockFile

ONE, OTHER = "1a" * 32, "2b" * 32


def write(data_dir: Path, text: str) -> Path:
    file = data_dir / "curve-allowed"
    file.write_text(text)
    file.chmod(0o600)
    return file


def test_without_a_file_only_the_nodes_own_key_is_accepted(tmp_path: Path) -> None:
    allowed = AllowList(tmp_path)
    assert allowed.own in allowed
    assert ONE not in allowed
    assert "" not in allowed
    assert allowed.listed() == frozenset()


def test_an_edit_by_another_process_is_heeded(tmp_path: Path) -> None:
    allowed, editor = AllowList(tmp_path), AllowList(tmp_path)
    editor.add(ONE)
    assert ONE in allowed
    editor.add(OTHER)
    editor.remove(ONE)
    assert ONE not in allowed
    assert OTHER in allowed
    (tmp_path / "curve-allowed").unlink()
    assert OTHER not in allowed


def test_a_file_written_by_hand_keeps_its_remarks(tmp_path: Path) -> None:
    file = write(tmp_path, f"# ours\n\n{ONE.upper()}  # the one in Graz\n")
    allowed = AllowList(tmp_path)
    assert allowed.listed() == {ONE}
    allowed.add(OTHER)
    allowed.add(OTHER)
    assert file.read_text() == f"# ours\n\n{ONE.upper()}  # the one in Graz\n{OTHER}\n"
    allowed.remove(ONE)
    assert file.read_text() == f"# ours\n\n{OTHER}\n"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_list_that_is_garbled_refuses_the_start(tmp_path: Path) -> None:
    file = write(tmp_path, f"{ONE}\nkey\n")
    with pytest.raises(ConfigurationError, match="curve-allowed: a line is not a key"):
        AllowList(tmp_path)
    write(tmp_path, ONE)
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        AllowList(tmp_path)


@pytest.mark.parametrize("break_it", ["garbled", "open", "a directory"])
def test_a_list_that_breaks_later_lets_in_only_ones_own_until_it_is_mended(
    tmp_path: Path, break_it: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = write(tmp_path, ONE)
    allowed = AllowList(tmp_path)
    assert ONE in allowed
    match break_it:
        case "garbled":
            write(tmp_path, f"{ONE}\nkey\n")
        case "open":
            file.chmod(0o644)
        case _:
            file.unlink()
            file.mkdir()
    assert ONE not in allowed
    assert allowed.own in allowed
    assert ONE not in allowed
    assert len(caplog.records) == 1
    if file.is_dir():
        file.rmdir()
    write(tmp_path, ONE)
    assert ONE in allowed


def test_what_is_not_listed_cannot_be_removed(tmp_path: Path) -> None:
    allowed = AllowList(tmp_path)
    with pytest.raises(InvalidInput, match="not in the allow-list"):
        allowed.remove(ONE)
    with pytest.raises(InvalidInput, match="always let in"):
        allowed.remove(allowed.own)


def test_two_edits_at_once_do_not_undo_each_other(tmp_path: Path) -> None:
    allowed = AllowList(tmp_path)
    with (
        LockFile(tmp_path / "keys.lock", "partyline keys"),
        pytest.raises(ConfigurationError, match="another partyline keys"),
    ):
        allowed.add(ONE)
    allowed.add(ONE)
    assert ONE in allowed
