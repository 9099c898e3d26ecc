"""A PostgreSQL server of the tests' own: on a Unix socket alone, gone with this process."""

import contextlib
import functools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest

MISSING: Final = "PostgreSQL is not installed (Debian: apt install postgresql)"

_WANTED: Final = "TEST_STORE"
# PARTYLINE_TEST_STORE=postgresql has the tests of what is stored run on PostgreSQL. It is taken out
# of the environment, where the nodes would refuse it: it is no setting.
if named := os.environ.pop("PARTYLINE_TEST_STORE", ""):
    os.environ[_WANTED] = named

_server: "list[PostgresServer]" = []
_SEARCHED: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def wanted() -> bool:
    """Whether the stores of this run are PostgreSQL's."""
    return os.environ.get(_WANTED) == "postgresql"


def store_settings(data_dir: Path) -> dict[str, Any]:
    """The settings of a store of its own for a data directory; skips without PostgreSQL."""
    schema = f"s{zlib.crc32(str(data_dir).encode()):08x}"
    return {"store": address(), "store_schema": schema}


def store_variables(data_dir: Path) -> dict[str, str]:
    """The same as environment variables of a node."""
    found = store_settings(data_dir)
    return {f"PARTYLINE_{name.upper()}": value for name, value in found.items()}


@functools.cache
def binaries() -> Path | None:
    """Where the server's programs are; None without them."""
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else next(iter(_SEARCHED), None)


@functools.cache
def address() -> str:
    """The address of the server, which is started for this process."""
    if binaries() is None:
        pytest.skip(MISSING)
    _server.append(PostgresServer())
    _server[0].start()
    return _server[0].address


def end() -> None:
    """Stop the server that `address` started, if it has."""
    while _server:
        _server.pop().remove()
        address.cache_clear()


@contextlib.contextmanager
def own_server() -> "Iterator[PostgresServer]":
    """A server that is started for a block; skips without PostgreSQL."""
    if binaries() is None:
        pytest.skip(MISSING)
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


class PostgresServer:
    """A server with a directory of its own. As root it runs as the user ``postgres``.

    It does not wait for the disk (fsync=off): the tests kill processes, not machines.

    Args:
        durable: whether it waits for the disk all the same, for a benchmark.
        standby_of: the running server that it follows until it is promoted.
    """

    def __init__(
        self, *, durable: bool = False, standby_of: "PostgresServer | None" = None
    ) -> None:
        self._fsync = "on" if durable else "off"
        self.directory = Path(tempfile.mkdtemp(prefix="pg-"))
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user:
            owner = pwd.getpwnam(self._user)
            os.chown(self.directory, owner.pw_uid, owner.pw_gid)
        if standby_of is None:
            access = ("-U", "partyline", "-A", "trust", "-E", "UTF8")
            self._run("initdb", *access, "--no-sync", "-D", self._data)
        else:
            source = f"host={standby_of.directory} user=partyline application_name=standby"
            self._run("pg_basebackup", "-d", source, "-D", self._data, "-R", "-c", "fast", "-N")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """As PARTYLINE_STORE."""
        return f"postgresql://partyline@/postgres?host={self.directory}"

    def address_with(self, standby: "PostgresServer") -> str:
        """As PARTYLINE_STORE: whichever of the two takes writes."""
        hosts = f"{self.directory},{standby.directory}"
        return f"postgresql://partyline@/postgres?host={hosts}&target_session_attrs=read-write"

    @property
    def _data(self) -> str:
        return str(self.directory / "data")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = (
            f"-c listen_addresses='' -c unix_socket_directories={self.directory}"
            f" -c fsync={self._fsync}"
        )
        self._run(
            "pg_ctl", "-D", self._data, "-w", "-l", f"{self.directory}/log", "-o", options, "start"
        )

    @property
    def stopped(self) -> bool:
        """Whether it is not running."""
        return not (self.directory / "data" / "postmaster.pid").exists()

    def kill(self) -> None:
        """kill -9 of all its processes."""
        pid = int((self.directory / "data" / "postmaster.pid").read_text().split()[0])
        family = psutil.Process(pid)
        family.suspend()  # so that it starts no other
        children = family.children(recursive=True)
        for process in (*children, family):
            process.kill()
        psutil.wait_procs((*children, family))
        for leftover in ("postmaster.pid", "../.s.PGSQL.5432.lock"):
            (self.directory / "data" / leftover).unlink(missing_ok=True)

    def follows(self, *, required: bool) -> None:
        """Wait until a standby follows; ``required``: have every commit wait for it from now on."""
        with psycopg.connect(self.address, autocommit=True) as connection:
            if required:
                connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                connection.execute("SELECT pg_reload_conf()")
            wanted = [("sync" if required else "async",)]
            state = "SELECT sync_state FROM pg_stat_replication"
            while connection.execute(state).fetchall() != wanted:
                time.sleep(0.05)

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; ``immediate`` is a crash."""
        self._run("pg_ctl", "-D", self._data, "-m", mode, "stop")

    def promote(self) -> None:
        """Make a standby take writes."""
        self._run("pg_ctl", "-D", self._data, "-w", "promote")

    def drop(self, schema: str = "partyline") -> None:
        """Remove a log, if there is one."""
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")

    def remove(self) -> None:
        """Stop it and remove its directory."""
        with contextlib.suppress(AssertionError):  # it may be stopped
            self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        folder = binaries()
        assert folder is not None
        done = subprocess.run(
            [folder / program, *arguments],
            user=self._user,
            cwd=self.directory,
            stdout=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, done.stdout
