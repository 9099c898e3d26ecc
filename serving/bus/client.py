"""One connection to nats-server: nats-py's client, with some of its inside used and replaced.

nats-py is pinned exactly because of that; ``tests/serving/bus`` checks all of it against real
sockets. Replaced:

* ``_connect_command``: nats-py sends the credentials in plain text to a server that does not offer
  TLS, even if TLS was asked for. This client refuses such a server, and one that asks for no
  credentials: anybody could publish messages there.
* ``_build_message``: nats-py has a queue and a task for each subscription. Here every message goes
  to a function straight from the parser, which takes half the time.
* ``_close``: nats-py waits until the server has taken what is unsent, for ever if that is stopped.
  This client aborts the connection. It never reconnects: `serving.bus.bus` makes a new one.

Used:

* its socket, to publish: ``publish`` of nats-py takes two turns of the event loop before anything
  is written, and waits where this client says how much is unsent.
* ``_flush_pending`` before ``flush``: the PING of ``flush`` overtakes what nats-py has not yet
  written, so its PONG alone does not say that the server has a subscription.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from nats.aio.client import Client as NatsClient
from nats.aio.subscription import Subscription
from nats.errors import Error

Receive = Callable[[bytes, bytes], None]
"""Takes the subject and the payload of a message. It must not raise."""


class Client(NatsClient):
    """A connection.

    Attributes:
        ended: done when the connection is over, for whatever reason.
        nkey: the public key to log in with, which nats-py takes from a seed of its own otherwise.

    Args:
        tls: whether to refuse a server without TLS.
        authenticated: whether to refuse a server that asks for no credentials.
    """

    def __init__(self, *, tls: bool, authenticated: bool) -> None:
        super().__init__()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.nkey: str | None = None
        self._demands = {"tls_required": tls, "auth_required": authenticated}
        self._receivers: dict[int, Receive] = {}

    async def receive(self, subject: str, receive: Receive) -> Subscription:
        """Subscribe, and give every message to a function."""
        subscription = await self.subscribe(subject)
        self._receivers[subscription._id] = receive
        return subscription

    async def cease(self, subscription: Subscription) -> None:
        """End a subscription."""
        del self._receivers[subscription._id]
        await subscription.unsubscribe()

    @property
    def unsent(self) -> int:
        """Bytes that the socket has not taken; 0 once the connection is over."""
        return 0 if self.closing else self._socket.get_write_buffer_size()

    @property
    def closing(self) -> bool:
        """Whether nothing can be sent any more, even if the connection has not `ended` yet."""
        return self._socket.is_closing()

    def send(self, subject: str, payload: bytes) -> int:
        """Publish without waiting; the caller bounds what is `unsent`. Returns bytes written."""
        line = b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(payload), payload)
        self._socket.write(line)
        return len(line)

    async def confirm(self) -> None:
        """Wait until the server has taken everything that was sent.

        It waits for ever if the connection ends: cancel it then.
        """
        await self._flush_pending(force_flush=True)
        await self.flush()

    def abort(self) -> None:
        """End the connection at once; idempotent. What is unsent is lost."""
        self._status = NatsClient.CLOSED
        for task in (self._reading_task, self._ping_interval_task, self._flusher_task):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        if self._transport:
            self._socket.abort()
        if not self.ended.done():
            self.ended.set_result(None)

    @property
    def _socket(self) -> asyncio.WriteTransport:
        """The transport under nats-py's: a TLS one where TLS is spoken."""
        tcp: Any = self._transport
        socket: asyncio.WriteTransport = tcp._io_writer.transport
        return socket

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        self.abort()

    def _connect_command(self) -> bytes:
        if self._demands["tls_required"] and not self._server_info.get("tls_required"):
            raise Error("the server offers no TLS")
        if self._demands["auth_required"] and not self._server_info.get("auth_required"):
            raise Error("the server asks for no credentials: give it users (docs/cluster.md)")
        self._public_nkey = self.nkey
        return super()._connect_command()

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: Any
    ) -> None:
        receive = self._receivers.get(sid)
        if receive is not None:
            receive(subject, data)
