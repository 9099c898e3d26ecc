"""The gate of a bridge over tcp: only peers with a listed key get in, each proving it with CURVE.

libzmq asks for every client's key over ``inproc://zeromq.zap.01`` (ZAP, RFC 27), which is answered
here on the event loop. It turns away by itself who speaks no CURVE or does not know the server's
key. A message carries the key its sender proved: one taken off the list while it is connected is
refused message by message.
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
"""Not 400: libzmq's clients give up for ever at that, and an edit of the list would not help."""

_HANDSHAKE_MS: Final = 2_000
"""How long a handshake may take, and how long one that was refused waits for its next try."""

_BATCH: Final = 100
_LOG_EVERY_SECONDS: Final = 10.0
_FAILED: Final = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)

logger = logging.getLogger(__name__)


class Gate:
    """Guards one PULL socket. To be used on the event loop only.

    Attributes:
        refused: handshakes that failed, and messages of keys that are no longer listed.

    Raises:
        ConfigurationError: a key file is not usable.
    """

    def __init__(self, data_dir: Path) -> None:
        self.refused = 0
        self._keys = curve.server_keys(data_dir)
        self._allowed = AllowList(data_dir)
        self._next_log = 0.0

    def guard(self, context: zmq.Context[Any], socket: zmq.Socket[Any], endpoint: str) -> None:
        """Set a socket up, before it binds."""
        self._zap = context.socket(zmq.REP)
        self._zap.set(zmq.LINGER, 0)
        self._zap.bind(_ZAP)
        socket.set(zmq.IPV6, "[" in endpoint)
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_SECRETKEY, self._keys.secret)
        socket.set(zmq.ZAP_DOMAIN, b"partyline")  # without one libzmq would not ask
        socket.set(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
        self._guarded = socket
        self._monitor = socket.get_monitor_socket(_FAILED)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._zap.fileno(), self._answer)
        self._loop.add_reader(self._monitor.fileno(), self._count)
        self._loop.call_soon(self._answer)
        self._loop.call_soon(self._count)

    def close(self) -> None:
        """Stop answering: nobody new gets in. The guarded socket is its owner's to close."""
        self._guarded.disable_monitor()
        for watched in (self._zap, self._monitor):
            self._loop.remove_reader(watched.fileno())
            watched.close()

    def admitted(self, frames: list[zmq.Frame]) -> list[bytes]:
        """A message's frames, or nothing if its sender is not let in (any more)."""
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
        """Answer one question: version, id, domain, address, identity, mechanism, key."""
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
            self._log("it speaks no CURVE, or wants another server key")

    def _log(self, why: str) -> None:
        """Log one line at most every few seconds, so that strangers cannot fill the log."""
        now = time.monotonic()
        if now >= self._next_log:
            self._next_log = now + _LOG_EVERY_SECONDS
            logger.warning("the bridge refused a peer: %s", why)
