"""PostgreSQL and nats-server as they are installed on this machine, and how they are started."""

import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from proto.errors import ConfigurationError
from serving.bus import nkeys
from serving.process.supervisor import Child

_POSTGRES: Final = (
    "/usr/lib/postgresql/*/bin",  # Debian
    "/usr/pgsql-*/bin",  # Red Hat
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)
_SBIN: Final = ("/usr/sbin", "/usr/local/sbin")  # not on everybody's PATH
_ROLE: Final = "partyline"
_MAX_SOCKET_BYTES: Final = 103
"""Longest path of a Unix socket that all systems take."""


class Programs(NamedTuple):
    """What is installed: the folders of PostgreSQL's programs, the first first, and nats-server."""

    postgres: list[Path]
    nats_server: Path


def find_programs() -> Programs:
    """Look for both on PATH, beside this interpreter, and where systems put them.

    Raises:
        ConfigurationError: one is missing; the text names its package.
    """
    path = os.pathsep.join((os.environ.get("PATH", ""), str(Path(sys.executable).parent), *_SBIN))
    initdb, nats_server = (shutil.which(name, path=path) for name in ("initdb", "nats-server"))
    folders = [Path(initdb).resolve().parent] if initdb else []
    for pattern in _POSTGRES:
        found = Path("/").glob(pattern.removeprefix("/"))
        folders += sorted((each for each in found if (each / "initdb").exists()), reverse=True)
    packages = [] if folders else ["postgresql"]
    packages += [] if nats_server else ["nats-server"]
    if packages or nats_server is None:
        raise ConfigurationError(
            f"--cluster demo starts programs that are not installed: {' and '.join(packages)}."
            f" Debian, Ubuntu: apt install {' '.join(packages)}; elsewhere put them on PATH"
        )
    return Programs(folders, Path(nats_server))


class Postgres:
    """A PostgreSQL server with a directory of its own, on a Unix socket alone.

    Only this user may enter the directory, so the server asks for no password. PostgreSQL refuses
    to run as root: then the user ``postgres`` owns the directory and runs it.

    Args:
        directory: for data and socket; created by `prepare`.
        folders: where PostgreSQL's programs may be.
    """

    def __init__(self, directory: Path, folders: list[Path]) -> None:
        self._directory = directory
        self._data = directory / "data"
        self._folders = folders
        self._user: int | None = None
        self._group: int | None = None

    @property
    def address(self) -> str:
        """As PARTYLINE_STORE."""
        return f"postgresql://{_ROLE}@/postgres?host={quote(str(self._directory))}&port=5432"

    def prepare(self) -> None:
        """Create the directory and an empty database, if there is none.

        Raises:
            ConfigurationError: it cannot be created or used; the text says what to change.
        """
        if len(os.fsencode(self._directory)) + len("/.s.PGSQL.5432") > _MAX_SOCKET_BYTES:
            raise ConfigurationError(
                f"{self._directory} is too long for a socket's path;"
                " set PARTYLINE_DATA_DIR to a shorter one"
            )
        self._directory.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            self._become_postgres()
        if not self._data.exists():
            unfinished = self._directory / "unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            access = ("-U", _ROLE, "-A", "trust", "-E", "UTF8", "--no-locale")
            self._run("initdb", *access, "-D", str(unfinished))
            unfinished.rename(self._data)

    def _become_postgres(self) -> None:
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            raise ConfigurationError(
                "PostgreSQL does not run as root, and there is no user postgres to run it:"
                " start --cluster demo as another user"
            ) from None
        self._user, self._group = owner.pw_uid, owner.pw_gid
        os.chown(self._directory, self._user, self._group)
        enters = subprocess.run(["test", "-w", self._directory], **self._owner())
        if enters.returncode:
            raise ConfigurationError(
                f"PostgreSQL does not run as root, and its user postgres cannot enter"
                f" {self._directory}: start --cluster demo as another user, or set"
                " PARTYLINE_DATA_DIR, such as to /var/lib/partyline"
            )

    def _owner(self) -> dict[str, Any]:
        """Arguments of `subprocess.run` for the user that runs the server."""
        if self._user is None:
            return {}
        return {"user": self._user, "group": self._group, "extra_groups": ()}

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._folder() / program, *arguments],
            cwd=self._directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            **self._owner(),
        )
        if done.returncode:
            raise ConfigurationError(f"{program} failed: {done.stdout.strip()}")

    def _folder(self) -> Path:
        """The programs of the version that made the data; of the newest if there are none yet.

        Raises:
            ConfigurationError: that version is not installed.
        """
        try:
            version = (self._data / "PG_VERSION").read_text("ascii").strip()
        except OSError:
            return self._folders[0]
        for folder in self._folders:
            said = subprocess.run(
                [folder / "postgres", "--version"], capture_output=True, text=True
            )
            if re.search(rf" {version}\b", said.stdout):
                return folder
        raise ConfigurationError(
            f"{self._data} is of PostgreSQL {version}, which is not installed;"
            f" install it, or remove {self._directory} with all messages in it"
        )

    @property
    def pid_file(self) -> Path:
        """Where the server writes its process's number, in the first line."""
        return self._data / "postmaster.pid"

    def child(self) -> Child:
        """The server."""
        options = {"listen_addresses": "", "unix_socket_directories": str(self._directory)}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return Child(
            "pg",
            [str(self._folder() / "postgres"), "-D", str(self._data), "-p", "5432", *settings],
            user=self._user,
            group=self._group,
            directory=self._directory,
            needed=True,
        )


def nats_child(program: Path, port: int, keys: Path, pid_file: Path) -> Child:
    """nats-server with the configuration of ``deploy/``, on loopback.

    Args:
        program: its path.
        port: its port.
        keys: the directory with the keys of both kinds of nodes, which are created there.
        pid_file: where it writes its process's number.
    """
    public = {
        f"{node.upper()}_NKEY": nkeys.public_key(nkeys.own_key(keys, node)) for node in nkeys.FILES
    }
    packaged = Path(__file__).with_name("nats-server.conf")  # in a wheel
    given = Path(__file__).parents[3] / "deploy" / "nats-server.conf"
    file = packaged if packaged.exists() else given
    return Child(
        "nats",
        [str(program), "-c", str(file), "-a", "127.0.0.1", "-p", str(port), "-P", str(pid_file)],
        environment=public,
        needed=True,
    )
