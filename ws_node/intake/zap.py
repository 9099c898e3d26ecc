"""The gate of a bridge over tcp: it admits only peers that prove a listed key with CURVE.

libzmq asks about every client's key over ``inproc://zeromq.zap.01`` (ZAP, RFC 27), which is
answered here on the event loop. libzmq itself refuses clients that do not speak CURVE or use
another server key. Every message carries the key its sender proved. If a key is removed from the
list while its peer is connected, that peer's messages are refused one by one.
"""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any, Final

import zmq
from zmq.utils.monitor import parse_monitor_message

from serving.curve import keys as curve
from serving.curve.allow_list import AllowList
from ws_node.intake.pull_socket import drain

_ZAP: Final = "inproc://zeromq.zap.01"
_OK: Final = b"200"
_NOT_NOW: Final = b"300"
"""Not 400: after that libzmq's clients never retry, even once their key is listed."""

_HANDSHAKE_MS: Final = 2_000
"""How long a handshake may take, and how long a refused peer waits before it retries."""

_BATCH: Final = 100
_LOG_EVERY_SECONDS: Final = 10.0
_FAILED: Final = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)

logger = logging.getLogger(__name__)


class Gate:
    """Guards one PULL socket. Use it on the event loop only.

    Attributes:
        refused: failed handshakes, and messages of keys that are no longer listed.

    Raises:
        ConfigurationError: a key file is not usable.
    """

    def __init__(self, data_dir: Path) -> None:
        self.refused = 0
        self._keys = curve.server_keys(data_dir)
        self._allowed = AllowList(data_dir)
        self._next_log = 0.0

    def guard(self, context: zmq.Context[Any], socket: zmq.Socket[Any], endpoint: str) -> None:
        """Set up a socket before it binds."""
        self._zap = context.socket(zmq.REP)
        self._zap.set(zmq.LINGER, 0)
        self._zap.bind(_ZAP)
        socket.set(zmq.IPV6, "[" in endpoint)
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_SECRETKEY, self._keys.secret)
        socket.set(zmq.ZAP_DOMAIN, b"partyline")  # without a domain libzmq does not ask
        socket.set(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
        self._guarded = socket
        self._monitor = socket.get_monitor_socket(_FAILED)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._zap.fileno(), self._answer)
        self._loop.add_reader(self._monitor.fileno(), self._count)
        self._loop.call_soon(self._answer)
        self._loop.call_soon(self._count)

    def close(self) -> None:
        """Stop answering: no new peer is admitted. The owner closes the guarded socket."""
        self._guarded.disable_monitor()
        for watched in (self._zap, self._monitor):
            self._loop.remove_reader(watched.fileno())
            watched.close()

    def admitted(self, frames: list[zmq.Frame]) -> list[bytes]:
        """The frames of a message; none if its sender is refused."""
        try:
            key = str(frames[0].get("User-Id"))
        except zmq.ZMQError:
            key = ""
        if key in self._allowed:
            return [frame.bytes for frame in frames]
        self.refused += 1
        return []

    def _answer(self) -> None:
        drain(self._zap, self._judge, again=self._answer, batch=_BATCH)

    def _count(self) -> None:
        drain(self._monitor, self._note, again=self._count, batch=_BATCH)

    def _judge(self) -> None:
        """Answer one request: version, id, domain, address, identity, mechanism, key."""
        request = self._zap.recv_multipart(zmq.NOBLOCK)
        mechanism, key = request[5], b"".join(request[6:]).hex()
        admitted = mechanism == b"CURVE" and key in self._allowed
        status, user = (_OK, key.encode()) if admitted else (_NOT_NOW, b"")
        self._zap.send_multipart([*request[:2], status, b"", user, b""])
        if not admitted:
            self._log(f"its key is not in the allow-list: {key}")

    def _note(self) -> None:
        event = self._monitor.recv_multipart(zmq.NOBLOCK)
        self.refused += 1
        if parse_monitor_message(event)["event"] == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            self._log("it does not speak CURVE, or uses another server key")

    def _log(self, why: str) -> None:
        """Log at most one line in `_LOG_EVERY_SECONDS`, so that strangers cannot fill the log."""
        now = time.monotonic()
        if now >= self._next_log:
            self._next_log = now + _LOG_EVERY_SECONDS
            logger.warning("the bridge refused a peer: %s", why)
