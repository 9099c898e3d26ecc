"""Processes forked from one that has imported everything: imports are most of a node's start.

The fork server is a child of the test's process; it imports both nodes once. To start a process it
forks twice, and the one in between ends. The new process then belongs to the test's, which is made
the "subreaper" of its descendants (prctl(2)): it is waited for and signalled like any other child.
It runs a module as ``python -m`` does, with environment, arguments and output of its own.

Linux only; elsewhere, and before `enable` is called, processes are started the ordinary way.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from typing import Any, Final, Protocol

IMPORTED: Final = (
    *("mcp_node.app", "mcp_node.commands.cli", "ws_node.app", "ws_node.workers.workers"),
    *("griffe", "jsonref"),  # fastmcp imports them when the first tool is made
)

LARGEST: Final = 1 << 17
"""Bytes of a request: module, arguments, environment."""

_PR_SET_CHILD_SUBREAPER: Final = 36
_enabled = False
_server: tuple[socket.socket, subprocess.Popen[bytes]] | None = None


class Process(Protocol):
    """What a test does with a process, as `subprocess.Popen` has it."""

    pid: int

    @property
    def returncode(self) -> Any:
        """Exit code, or minus the signal's number; None while it runs."""

    def poll(self) -> int | None:
        """`returncode`, looked at anew."""

    def wait(self, timeout: float | None = None) -> int:
        """`returncode`, once it has ended; raises `subprocess.TimeoutExpired`."""

    def send_signal(self, sig: int) -> None:
        """Nothing happens if it has ended."""

    def terminate(self) -> None:
        """SIGTERM."""

    def kill(self) -> None:
        """SIGKILL."""


def enable() -> None:
    """Fork from now on, in this process, where the system lets it be a subreaper."""
    global _enabled
    if sys.platform == "linux":
        _enabled = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def close() -> None:
    """End the fork server; processes that it started go on."""
    global _server
    if _server is not None:
        requests, process = _server
        requests.close()
        process.wait()
        _server = None


def start(
    module: str,
    *arguments: str,
    env: dict[str, str],
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
) -> Process:
    """Start ``python -m module``.

    Args:
        module: ``mcp_node``, ``ws_node`` or ``mcp_node.commands.cli``.
        arguments: its command line.
        env: its whole environment.
        stdout: file descriptor, or ``subprocess.DEVNULL``.
        stderr: the same.
    """
    if not _enabled:
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.Popen(command, env=env, stdout=stdout, stderr=stderr)
    with open(os.devnull, "wb") as nowhere:
        outputs = [nowhere.fileno() if fd == subprocess.DEVNULL else fd for fd in (stdout, stderr)]
        request = json.dumps([module, arguments, env]).encode()
        server = _running()
        socket.send_fds(server, [request], outputs)
        return Forked(int(server.recv(16)))


class Forked:
    """A process that the fork server started."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        end = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            time.sleep(0.005)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _running() -> socket.socket:
    global _server
    if _server is None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "tests.forkserver", str(theirs.fileno())]
            _server = ours, subprocess.Popen(command, pass_fds=[theirs.fileno()])
    return _server[0]


def _serve(requests: socket.socket) -> None:
    """Fork for each request until the test's process closes its end."""
    while True:
        request, outputs, _, _ = socket.recv_fds(requests, LARGEST, 2)
        if not request:
            return
        told, tell = os.pipe()
        between = os.fork()
        if not between:
            pid = os.fork()
            if not pid:
                for fd in (requests.detach(), told, tell):
                    os.close(fd)
                _become(outputs, *json.loads(request))
                return
            os.write(tell, str(pid).encode())
            os._exit(0)
        os.waitpid(between, 0)  # only then is the new process a child of the test's
        requests.send(os.read(told, 16))
        for fd in (told, tell, *outputs):
            os.close(fd)


def _become(outputs: list[int], module: str, arguments: list[str], env: dict[str, str]) -> None:
    os.umask(0)  # whatever a node inherits, others may not read what it writes
    os.environ.clear()
    os.environ.update(env)
    for number, output in enumerate(outputs, start=1):
        os.dup2(output, number)
        os.close(output)
    sys.argv = [module, *arguments]
    if "." in module:
        sys.modules.pop(module, None)  # it is run as __main__; a second one would be warned of
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # what is here stays: no child need search it for garbage
    _serve(socket.socket(fileno=int(sys.argv[1])))
