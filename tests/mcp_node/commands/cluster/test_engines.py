"""PostgreSQL and nats-server of this machine: found, prepared, and named where they are missing."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_node.commands.cluster import engines
from mcp_node.commands.cluster.engines import Postgres, find_programs
from proto.errors import ConfigurationError
from tests import nats_server, postgres

with_postgres = pytest.mark.skipif(
    postgres.binaries() is None,
    reason="PostgreSQL is not installed (Debian: apt install postgresql)",
)


@pytest.fixture
def directory() -> Iterator[Path]:
    """One that the user postgres may enter, with a short path."""
    with tempfile.TemporaryDirectory(prefix="pl-") as name:
        os.chmod(name, 0o711)
        yield Path(name)


@pytest.mark.skipif(nats_server.PROGRAM is None, reason="nats-server is not installed")
@with_postgres
def test_both_are_found() -> None:
    programs = find_programs()
    assert programs.nats_server.name == "nats-server"
    assert all((folder / "postgres").exists() for folder in programs.postgres)


def test_what_is_missing_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engines, "_POSTGRES", ())
    monkeypatch.setattr(engines, "_SBIN", ())
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="apt install postgresql nats-server;"):
        find_programs()
    for name, package in (("nats-server", "postgresql"), ("initdb", "nats-server")):
        (tmp_path / name).touch(mode=0o700)
        with pytest.raises(ConfigurationError, match=f"apt install {package};"):
            find_programs()
        (tmp_path / name).unlink()


@with_postgres
def test_the_database_is_made_once_and_anew_if_that_broke_off(directory: Path) -> None:
    home = directory / "pg"
    (home / "unfinished" / "rest").mkdir(parents=True)
    home.chmod(0o700)
    made = Postgres(home, [postgres.binaries() or Path()])
    made.prepare()
    assert [path.name for path in home.iterdir()] == ["data"]
    before = (home / "data" / "PG_VERSION").stat()
    again = Postgres(home, [postgres.binaries() or Path()])
    again.prepare()
    assert (home / "data" / "PG_VERSION").stat() == before
    child = again.child()
    assert child.needed
    assert "listen_addresses=" in child.command
    assert (child.user is None) == (os.geteuid() != 0)


@with_postgres
def test_data_of_a_version_that_is_not_installed_are_refused(directory: Path) -> None:
    made = Postgres(directory / "pg", [postgres.binaries() or Path()])
    made.prepare()
    (directory / "pg" / "data" / "PG_VERSION").write_text("7\n")
    with pytest.raises(ConfigurationError, match=r"of PostgreSQL 7, which is not installed"):
        made.child()


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="PARTYLINE_DATA_DIR"):
        Postgres(tmp_path / ("x" * 100), []).prepare()


@with_postgres
@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another user")
def test_root_is_told_of_a_directory_that_postgres_cannot_enter(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(ConfigurationError, match="as another user, or set PARTYLINE_DATA_DIR"):
        Postgres(tmp_path / "pg", [postgres.binaries() or Path()]).prepare()
