"""The bus: publishes and receives over one connection to nats-server, and reconnects for ever.

Publishing never waits, and every message may be lost: what cannot be sent is dropped and counted,
and nothing is kept for a server that is not connected. Receivers compare with the log.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from proto.errors import ConfigurationError
from proto.hosts import is_loopback
from proto.nats_servers import NatsServers, parse_nats_servers
from proto.settings import Settings
from serving.bus.credentials import read_credentials, tls_context

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription

    from serving.bus.client import Client, Receive

CONNECT_SECONDS: Final = 5.0
"""How long connecting may take, over all servers."""

PAUSE_SECONDS: Final = (0.05, 1.0)
"""First and longest pause before the next attempt to connect."""

STABLE_SECONDS: Final = 5.0
"""After a connection that lasted so long, the next attempt follows the first pause again."""

PING_SECONDS: Final = 2
"""Interval of pings; a connection with three unanswered ones is closed."""

CONFIRM_SECONDS: Final = 1.0
"""How long `Bus.subscribed` waits for the server to confirm a subscription."""

DRAIN_SECONDS: Final = 0.3
"""How long sending may take when the node stops."""

YIELD_EVERY: Final = 100
"""Subscriptions made before other tasks run."""

LOG_SECONDS: Final = 10.0
"""Least interval of log lines about what the server refused."""

_ENVELOPE_BYTES: Final = 2_048
"""Most bytes of a bridge message besides its body."""

logger = logging.getLogger(__name__)


class Bus:
    """A connection to the NATS cluster of a deployment. Use it on the event loop only.

    Attributes:
        published: messages written to the socket.
        dropped: messages that were not sent, because the server was not connected, was too slow,
            or refused them.
        refused: publications and subscriptions that the server refused.

    Args:
        settings: of the node; with ``nats_url``.
        name: ``mcp_node`` or ``ws_node``: whose key is used, and shown by the server's monitoring.
        on_subscribed: called when the server has all subscriptions of a new connection: what was
            published before may have been missed.

    Raises:
        ConfigurationError: nats-py is not installed, or a certificate or credentials file cannot
            be used.
    """

    def __init__(
        self, settings: Settings, name: str, *, on_subscribed: Callable[[], None] = lambda: None
    ) -> None:
        self.published = 0
        self.dropped = 0
        self.refused = 0
        self._on_subscribed = on_subscribed
        assert settings.nats_url is not None
        self._client_class, self._errors = _load()
        self._servers = parse_nats_servers(settings.nats_url.get_secret_value())
        self._tls = self._servers.tls or settings.nats_cert_file is not None
        self._authenticated = settings.auth != "off"
        self._context = tls_context(settings)
        self._credentials = partial(read_credentials, settings, self._servers, name)
        self._credentials()  # raises if a file cannot be used
        self._name = name
        self._largest = settings.max_bridge_bytes + _ENVELOPE_BYTES
        self._most_unsent = settings.bridge_backlog_bytes
        self._published_bytes = 0
        self._wanted: dict[str, Receive] = {}
        self._live: set[str] = set()
        self._changed: dict[str, None] = {}
        self._something_changed = asyncio.Event()
        self._turn = asyncio.Event()
        self._why = ""
        self._client: Client | None = None
        self._away = False
        self._next_log = 0.0
        if not self._tls:
            _warn(self._servers)

    @property
    def connected(self) -> bool:
        """Whether the server is connected."""
        return self._client is not None

    @property
    def waiting(self) -> int:
        """Messages that the socket has not taken, estimated by their mean size."""
        if self._client is None or not self._published_bytes:
            return 0
        return -(-self._client.unsent * self.published // self._published_bytes)

    def publish(self, subject: str, payload: bytes) -> None:
        """Send a message, or drop it; never waits."""
        client, size = self._client, len(payload)
        if (
            client is None
            or client.closing
            or size > client.max_payload
            or client.unsent + size > self._most_unsent
        ):
            self.dropped += 1
            return
        self._published_bytes += client.send(subject, payload)
        self.published += 1

    def subscribe(self, subject: str, receive: "Receive") -> None:
        """Pass every message of a subject to a function, over this connection and later ones."""
        self._wanted[subject] = receive
        self._note(subject)

    def unsubscribe(self, subject: str) -> None:
        """Stop receiving a subject."""
        self._wanted.pop(subject, None)
        self._note(subject)

    async def subscribed(self, subject: str) -> None:
        """Wait until the server has confirmed a subscription: nothing published later is missed.

        Returns at once while the server is not connected, and after `CONFIRM_SECONDS` in any case:
        what is missed then is found by comparing at ``on_subscribed``.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONFIRM_SECONDS):
                while self.connected and subject in self._wanted and subject not in self._live:
                    await self._turn.wait()

    async def run(self) -> None:
        """Connect, and reconnect for ever, until cancelled."""
        pause = PAUSE_SECONDS[0]
        while True:
            client = self._client_class(tls=self._tls, authenticated=self._authenticated)
            self._why = ""
            begin = time.monotonic()
            try:
                await self._connect(client)
                await self._use(client)
            except (self._errors.Error, OSError, TimeoutError, ConfigurationError) as error:
                self._why = self._why or str(error) or type(error).__name__
            except Exception:
                logger.exception("the connection to nats-server failed")
            finally:
                self.dropped += self.waiting
                self._client = None
                client.abort()
                self._live.clear()
                self._end_turn()
            if not self._away:
                self._away = True
                logger.warning("not connected to nats-server (%s); retrying", self._why)
            if time.monotonic() - begin > STABLE_SECONDS:
                pause = PAUSE_SECONDS[0]
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, PAUSE_SECONDS[1])

    async def drain(self) -> None:
        """Wait until everything is sent, `DRAIN_SECONDS` at most."""
        client = self._client
        if client is None:
            return
        with contextlib.suppress(TimeoutError, self._errors.Error):
            async with asyncio.timeout(DRAIN_SECONDS):
                await client.confirm()

    async def _connect(self, client: "Client") -> None:
        servers = self._servers
        credentials = self._credentials()  # read again: a file may have been renewed
        client.nkey = credentials and credentials.nkey
        connecting = asyncio.create_task(
            client.connect(
                list(servers.urls),
                name=self._name,
                user=servers.user,
                password=servers.password,
                token=servers.token,
                user_jwt_cb=credentials and credentials.jwt,
                signature_cb=credentials and credentials.sign,
                tls=self._context,
                error_cb=self._report,
                allow_reconnect=False,
                max_reconnect_attempts=1,  # attempts after the first, of each server
                reconnect_time_wait=0,
                ping_interval=PING_SECONDS,
                no_echo=True,
            ),
            name="bus-connect",
        )
        try:
            done, _ = await asyncio.wait({connecting}, timeout=CONNECT_SECONDS)
            if not done:
                raise TimeoutError
            connecting.result()
        finally:
            await _end(connecting)

    async def _use(self, client: "Client") -> None:
        """Publish and receive until the connection ends."""
        self._client, self._away = client, False
        logger.info("connected to nats-server")
        if client.max_payload < self._largest:
            logger.warning(
                "nats-server accepts at most %d bytes: larger messages reach viewers from the log"
                " only. Set its max_payload to %d or more.",
                client.max_payload,
                self._largest,
            )
        following = asyncio.create_task(self._follow_for_ever(client), name="bus-subscriptions")
        try:
            await asyncio.wait((client.ended, following), return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
            self._why = self._why or str(client.last_error or "the connection ended")
        finally:
            await _end(following)

    async def _follow_for_ever(self, client: "Client") -> None:
        """Keep the server's subscriptions equal to those wanted."""
        there: dict[str, tuple[Subscription, Receive]] = {}
        self._changed = dict.fromkeys(self._wanted)
        first = True
        while True:
            changed, self._changed = self._changed, {}
            self._something_changed.clear()
            for number, subject in enumerate(changed, 1):
                if number % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
                wanted = self._wanted.get(subject)
                if subject in there and there[subject][1] != wanted:
                    await client.cease(there.pop(subject)[0])
                if wanted is not None and subject not in there:
                    there[subject] = await client.receive(subject, wanted), wanted
            await client.confirm()
            self._live.update(subject for subject in changed if subject in there)
            self._end_turn()
            if first:
                first = False
                self._on_subscribed()
            if not self._changed:
                await self._something_changed.wait()

    def _note(self, subject: str) -> None:
        self._live.discard(subject)
        if self.connected:
            self._changed[subject] = None
            self._something_changed.set()

    def _end_turn(self) -> None:
        """Wake those that wait for a subscription."""
        self._turn.set()
        self._turn = asyncio.Event()

    async def _report(self, error: Exception) -> None:
        """Called by nats-py: the server refused something, or the connection failed."""
        text = str(error)
        if "permissions violation" not in text:
            self._why = text or type(error).__name__
            return
        self.refused += 1
        self.dropped += "publish" in text
        now = time.monotonic()
        if now >= self._next_log:
            self._next_log = now + LOG_SECONDS
            logger.error("nats-server refused: %s. docs/cluster.md has the rights", text)


def _warn(servers: NatsServers) -> None:
    """Log what the connection without TLS means."""
    if servers.secret:
        logger.warning(
            "PARTYLINE_NATS_URL has a password or token and is not tls://: whoever takes"
            " nats-server's port while it is away is sent it. Use an nkey (docs/cluster.md) or TLS."
        )
    if not all(map(is_loopback, servers.hosts)):
        logger.warning(
            "PARTYLINE_NATS_URL is not tls://: messages can be read and altered on the way. Use a"
            " network or tunnel that you trust."
        )


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task that calls nats-py, until it ends.

    nats-py waits with `asyncio.wait_for`, which before Python 3.12 loses a cancellation that comes
    together with what it waits for.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)
    if not task.cancelled():
        task.exception()  # looked at: asyncio need not report it


def _load() -> tuple[type["Client"], Any]:
    """The client, and the errors of nats-py, which is an optional dependency.

    Raises:
        ConfigurationError: nats-py is not installed.
    """
    try:
        import nats.errors

        from serving.bus.client import Client
    except ModuleNotFoundError:
        raise ConfigurationError(
            "PARTYLINE_BRIDGE=nats needs the package nats-py: pip install partyline[cluster]"
        ) from None
    return Client, nats.errors
