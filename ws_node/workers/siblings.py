"""The other workers of this ws_node: events, metrics and viewer counts that workers exchange.

Each worker binds a PULL socket (``worker-N.sock``, mode 0600) and connects a PUSH socket to that of
each sibling. There are three kinds of messages:

* an event received by HTTP, in the bridge's three frames (`proto.wire`): the worker that received
  the POST forwards it;
* ``["figures", msgpack [worker, [[name, help, value], …]]]``, every second, so that any worker can
  answer /metrics for the whole node;
* ``["watched", msgpack [worker, {session: connections}]]``, at most once a second when a count
  changed, and every few seconds anyway (`ViewerCounts`).

Sending never waits. A message that a sibling does not accept is dropped and counted: a durable
event is read from the log, an ephemeral one is delivered at most once anyway.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import zmq

from proto import endpoints, wire
from proto.errors import WireError
from proto.settings import Settings
from proto.wire import Event
from serving.http.operators import Figure
from ws_node.intake.pull_socket import bind, drain
from ws_node.presence.viewer_counts import ViewerCounts
from ws_node.rooms.event_queue import EventQueue

FIGURES_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 5.0
"""A sibling that sent nothing for so long is away."""

_BATCH: Final = 1_000
_HWM: Final = 1_000
_FIGURES: Final = b"figures"
_WATCHED: Final = b"watched"
_RECONNECT_MS: Final = 50
_RECONNECT_MAX_MS: Final = 500

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[int, list[Figure]]).decode
_decode_watched: Final = msgspec.msgpack.Decoder(tuple[int, dict[str, int]]).decode


class Siblings:
    """A worker's sockets to the others; with one worker it does nothing.

    Attributes:
        dropped: events that a sibling did not accept.
        overflowed: events of siblings that did not fit the queue.
        malformed: messages that no sibling sends.

    Args:
        settings: of the node.
        worker: number of this worker.
        data_dir: the directory of the sockets.
        queue: gets the events that siblings forward.
        figures: returns the metrics of this worker.
        watched: the viewer counts of all workers; not sent where the bus does that
            (`ws_node.workers.other_nodes`).
    """

    def __init__(
        self,
        settings: Settings,
        *,
        worker: int,
        data_dir: Path,
        queue: EventQueue,
        figures: Callable[[], Iterable[Figure]],
        watched: ViewerCounts,
    ) -> None:
        self.dropped = 0
        self.overflowed = 0
        self.malformed = 0
        self.worker = worker
        self._others = [n for n in range(settings.ws_workers) if n != worker]
        self._data_dir = data_dir
        self._max_bytes = settings.max_bridge_bytes
        self._queue = queue
        self._figures = figures
        self._watched = watched
        self._sends_counts = settings.bridge != "nats"
        self._heard: dict[int, tuple[float, list[Figure]]] = {}
        self._pushes: dict[int, zmq.Socket[Any]] = {}

    async def run(self) -> None:
        """Receive, and send this worker's figures and counts, until cancelled.

        Raises:
            ConfigurationError: the endpoint cannot be bound.
        """
        if not self._others:
            await asyncio.get_running_loop().create_future()
        context: zmq.Context[Any] = zmq.Context()
        loop = asyncio.get_running_loop()
        self._pull = context.socket(zmq.PULL)
        try:
            self._pull.set(zmq.RCVHWM, _HWM)
            self._pull.set(zmq.MAXMSGSIZE, self._max_bytes)
            bind(self._pull, endpoints.worker_endpoint(self._data_dir, self.worker))
            self._pushes = {number: self._push(context, number) for number in self._others}
            loop.add_reader(self._pull.fileno(), self._collect)
            self._collect()
            while True:
                self._send([_FIGURES, _encode((self.worker, self._own_figures()))])
                if self._sends_counts:
                    self._send_counts()
                await asyncio.sleep(FIGURES_SECONDS)
        finally:
            loop.remove_reader(self._pull.fileno())
            context.destroy(linger=0)
            self._pushes = {}

    def forward(self, event: Event) -> None:
        """Send an event to every sibling."""
        if self._pushes:
            self.dropped += self._send(wire.encode(event))

    def away(self) -> int:
        """The number of siblings that sent nothing lately."""
        since = time.monotonic() - SILENT_SECONDS
        return sum(self._heard.get(other, (0.0, []))[0] < since for other in self._others)

    def all_figures(self) -> dict[int, list[Figure]]:
        """The figures of this worker, and those that the others sent last."""
        since = time.monotonic() - SILENT_SECONDS
        known = {n: figures for n, (at, figures) in self._heard.items() if at >= since}
        return {**known, self.worker: self._own_figures()}

    def _send_counts(self) -> None:
        counts = self._watched.changes()
        if counts is not None:
            self._send([_WATCHED, _encode((self.worker, counts))])
        since = time.monotonic() - SILENT_SECONDS
        for other in self._others:
            if self._heard.get(other, (0.0, []))[0] < since:
                self._watched.update(other, {})

    def _own_figures(self) -> list[Figure]:
        return [(name, text, float(value)) for name, text, value in self._figures()]

    def _push(self, context: zmq.Context[Any], number: int) -> zmq.Socket[Any]:
        push: zmq.Socket[Any] = context.socket(zmq.PUSH)
        push.set(zmq.IMMEDIATE, 1)
        push.set(zmq.SNDHWM, _HWM)
        push.set(zmq.RECONNECT_IVL, _RECONNECT_MS)
        push.set(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
        push.connect(endpoints.worker_endpoint(self._data_dir, number))
        return push

    def _send(self, frames: list[bytes]) -> int:
        """Send a message to every sibling; returns how many did not accept it: they are away."""
        missed = 0
        for number, push in self._pushes.items():
            try:
                push.send_multipart(frames, zmq.NOBLOCK)
            except zmq.Again:
                self._heard.pop(number, None)
                missed += 1
        return missed

    def _collect(self) -> None:
        drain(self._pull, self._receive, again=self._collect, batch=_BATCH)

    def _receive(self) -> None:
        """Receive one message. A malformed one must not raise: those behind it would wait."""
        frames = self._pull.recv_multipart(zmq.NOBLOCK)
        try:
            if frames[0] == _WATCHED and len(frames) == 2:
                self._receive_counts(*_decode_watched(frames[1]))
                return
            if frames[0] != _FIGURES or len(frames) != 2:
                if not self._queue.put(wire.decode(frames, max_body=self._max_bytes)):
                    self.overflowed += 1
                return
            number, figures = _decode(frames[1])
        except (WireError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self.malformed += 1
            return
        if number in self._others:
            if number not in self._heard:
                self._watched.mark_changed()  # it has not received our counts yet
            self._heard[number] = time.monotonic(), figures
        else:
            self.malformed += 1

    def _receive_counts(self, number: int, counts: dict[str, int]) -> None:
        if number in self._others:
            self._watched.update(number, counts)
        else:
            self.malformed += 1
