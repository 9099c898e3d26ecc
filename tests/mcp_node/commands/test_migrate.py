"""The command ``partyline migrate``: its arguments, and that it reveals no password."""

import pytest

from tests.mcp_node.conftest import Command
from tests.postgres import address

NOBODY = "postgresql://bob:hunter2@/nowhere?host=/nonexistent"


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("sqlite", "sqlite", "the other one postgresql"),
        ("postgresql", "postgresql", "the other one postgresql"),
        ("hunter2", "sqlite", "--from must be sqlite, postgresql, or an address"),
        ("sqlite", "mysql://hunter2", "--to must be sqlite, postgresql, or an address"),
        ("sqlite", "postgresql", "set PARTYLINE_STORE"),
        ("postgresql://hunter2:%zz@@[", "sqlite", "--from: the server cannot be reached"),
    ],
)
def test_wrong_sides_are_explained_and_not_repeated(
    partyline: Command, source: str, target: str, reason: str
) -> None:
    done = partyline("migrate", "--from", source, "--to", target)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_a_password_is_never_printed_and_warned_of_in_arguments(partyline: Command) -> None:
    done = partyline("migrate", "--from", "sqlite", "--to", NOBODY)
    assert (done.returncode, done.stderr.count("--to: the server cannot be reached")) == (2, 1)
    assert "can see the password" in done.stdout
    set_instead = partyline(
        "migrate", "--from", "sqlite", "--to", "postgresql", PARTYLINE_STORE=NOBODY
    )
    assert "PARTYLINE_STORE: the server cannot be reached" in set_instead.stderr
    assert "password" not in set_instead.stdout
    assert "hunter2" not in "".join((*done[1:], *set_instead[1:]))


def test_an_address_without_a_password_is_taken_from_the_arguments(partyline: Command) -> None:
    """There is no log yet on either side, and none is made."""
    done = partyline("migrate", "--from", "sqlite", "--to", address())
    assert (done.returncode, "there is no log in" in done.stderr) == (2, True)
    assert "can see the password" not in done.stdout
    done = partyline(
        "migrate", "--from", address(), "--to", "sqlite", PARTYLINE_STORE_SCHEMA="nobody_made_it"
    )
    assert "there is no log in the schema nobody_made_it" in done.stderr


def test_a_file_that_is_no_log_is_left_alone(partyline: Command, tmp_path) -> None:
    (data_dir := tmp_path / "data").mkdir(mode=0o700)
    (database := data_dir / "partyline.db").write_text("something else" * 100)
    done = partyline("migrate", "--from", "sqlite", "--to", address())
    assert (done.returncode, "damaged or not a database" in done.stderr) == (2, True)
    assert database.read_text() == "something else" * 100
