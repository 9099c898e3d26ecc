"""A real nats-server with the configuration of deploy/, on a port of its own.

For programs that cannot sign, it has two more users with the same rights and passwords.

::

    async with NatsServer(tmp_path) as server:
        key = server.nkey_file("ws_node")
        settings = load_settings(nats_url=server.address, nats_nkey_file=key)
        server.kill()          # kill -9
        await server.start()   # again, on the same port
"""

import asyncio
import os
import shutil
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

import pytest

from serving.bus import nkeys
from tests.node_process import reserved_port
from tests.waiting import until

CONFIGURATION: Final = Path(__file__).resolve().parents[1] / "deploy" / "nats-server.conf"
PROGRAM: Final = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
PASSWORDS: Final = {"mcp_node": "mcp-secret-4711", "ws_node": "ws-secret-0815"}

needed = pytest.mark.skipif(
    PROGRAM is None, reason="nats-server is not installed (Debian: apt install nats-server)"
)
"""Marks what needs it."""


def _with_passwords(configuration: str) -> str:
    users = [
        f'{{ user: {user}, password: "{word}", permissions: ${user} }}'
        for user, word in PASSWORDS.items()
    ]
    return configuration.replace("users = [", "\n".join(("users = [", *users)))


class NatsServer:
    """The server, started on entry and killed on exit.

    Args:
        directory: for its configuration and log.
        configuration: instead of that of deploy/.
    """

    def __init__(self, directory: Path, configuration: str | None = None) -> None:
        self._directory = directory
        self._file = directory / "nats.conf"
        self._file.write_text(configuration or _with_passwords(CONFIGURATION.read_text()))
        self._keys = directory / "nkeys"
        self._keys.mkdir(exist_ok=True)
        self._held = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    async def __aenter__(self) -> Self:
        self.port = self._held.enter_context(reserved_port())
        try:
            await self.start()
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        self._end()

    def _end(self) -> None:
        self.kill()
        self._held.close()

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def address(self) -> str:
        """Its address, without credentials."""
        return f"nats://127.0.0.1:{self.port}"

    def nkey_file(self, node: str) -> Path:
        """The seed of one of the configuration's users."""
        nkeys.own_key(self._keys, node)
        return self._keys / nkeys.FILES[node]

    def nkey(self, node: str) -> dict[str, str]:
        """Settings for one of the configuration's users, without the prefix."""
        return {"NATS_URL": self.address, "NATS_NKEY_FILE": str(self.nkey_file(node))}

    def url(self, user: str) -> str:
        """Its address with the password of one of the users that have one."""
        return f"nats://{user}:{PASSWORDS[user]}@127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        self.spawn()
        await until(self._answers)

    @property
    def running(self) -> bool:
        """Whether it was started, and neither killed nor paused since."""
        return self._process is not None and self._process.poll() is None and not self._paused

    def spawn(self) -> None:
        """Start it without waiting."""
        assert PROGRAM is not None
        public = {
            f"{node.upper()}_NKEY": nkeys.public_key(nkeys.own_key(self._keys, node))
            for node in nkeys.FILES
        }
        where = ("-a", "127.0.0.1", "-p", str(self.port))
        with (self._directory / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-c", str(self._file), *where],
                env=os.environ | public,
                stdout=log,
                stderr=log,
            )

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._directory / "nats.log").read_text()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            return (await reader.read(5)) == b"INFO "
        finally:
            writer.close()

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Stop it (SIGSTOP): its connections stay, and nothing is read."""
        assert self._process is not None
        self._paused = True
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._paused = False
        self._process.send_signal(signal.SIGCONT)
