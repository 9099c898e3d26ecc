"""ws_node, assembled from its parts: the constructor calls show which part calls which.

One process, or one worker of several (`ws_node.workers.workers`).
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from typing import Final

from fastapi import FastAPI

from proto import endpoints, keyfile
from proto.settings import Settings, node_url
from proto.signing import Verifier
from proto.tokens import PrincipalVerifier
from proto.wire import BROADCAST_PREFIX
from serving.bus.bus import Bus
from serving.http import problems
from serving.http.asgi import App, Receive, Scope, Send, respond
from serving.http.failures import Failures, SlowFailures
from serving.http.identity import Identity
from serving.http.operators import add_api_docs, add_operator_routes
from serving.http.origin_check import OriginCheck, own_hosts
from serving.peers.clients import ws_socket
from serving.peers.local import listening
from serving.peers.signed import SignedRequests
from serving.process.address import AddressFile, former_port
from serving.process.lockfile import LockFile
from serving.process.server import listen, port_of, serve, warn_of_open_doors
from serving.quota import Quota
from ws_node.endpoints.protocol import LendingProtocol
from ws_node.endpoints.sse import EventStreams
from ws_node.endpoints.websocket import Sockets
from ws_node.intake.broadcast import Broadcast, add_broadcast, refuse
from ws_node.intake.bus import BusCollector
from ws_node.intake.collector import Collector
from ws_node.intake.interface import Intake
from ws_node.log.catch_up import CatchUp
from ws_node.log.client import History
from ws_node.log.sync import LogSync
from ws_node.log.trust import Trust
from ws_node.metrics import Measured, figures
from ws_node.page.api_proxy import ApiProxy, allowed
from ws_node.page.files import Pages
from ws_node.presence.presence import Presence
from ws_node.presence.viewer_counts import ViewerCounts
from ws_node.rooms.disconnect import Disconnect
from ws_node.rooms.dispatcher import Dispatcher
from ws_node.rooms.event_queue import EventQueue
from ws_node.rooms.hub import Hub
from ws_node.workers.other_nodes import OtherNodes
from ws_node.workers.siblings import Siblings
from ws_node.workers.workers import LIFELINE, die_with_supervisor, retrying, worker_settings

logger = logging.getLogger(__name__)


async def run(settings: Settings, worker: int | None = None) -> None:
    """Run the node until it is told to stop.

    Args:
        settings: of the node.
        worker: number of this process if it is a worker; its supervisor holds the lock file.

    Raises:
        ConfigurationError: it cannot start; the text says what to change.
    """
    if not worker:
        warn_of_open_doors(settings)
    data_dir = keyfile.open_data_dir(settings.data_dir)
    if worker is None:
        lock = LockFile(data_dir / "ws.lock", "ws_node").acquire()
    else:
        asyncio.get_running_loop().add_reader(LIFELINE, die_with_supervisor)
        lock = await retrying(LockFile(data_dir / f"worker-{worker}.lock", "ws_node").acquire)
        settings = worker_settings(settings)
    shared = worker is not None
    with contextlib.ExitStack() as held:
        held.callback(lock.release)
        bound = listen(
            settings.ws_host,
            settings.ws_port,
            "PARTYLINE_WS_PORT",
            shared=shared,
            former=former_port(data_dir, "ws"),
        )
        held.enter_context(contextlib.closing(bound))
        address = node_url(settings.ws_host, port_of(bound))
        if worker is None:
            held.enter_context(AddressFile(data_dir, "ws", address))
        local = held.enter_context(listening(ws_socket(data_dir, worker or 0)))
        node = Node(settings, worker or 0, address)
        async with node.running():
            await serve(
                node.app,
                bound,
                local=local,
                drain=node.drain,
                ws=LendingProtocol,
                ws_max_size=settings.max_command_bytes,
                ws_per_message_deflate=settings.ws_compression == "deflate",
            )


BEHIND_SECONDS: Final = 1.0
"""How long a room may be behind before readiness says so: most gaps are filled sooner."""


class Node:
    """The parts of a ws_node and its ASGI app."""

    def __init__(self, settings: Settings, worker: int = 0, address: str = "") -> None:
        keys = keyfile.open_key_dir(settings.data_dir, settings.key_dir)
        verifier = PrincipalVerifier(keyfile.public_key(keys))
        identity = Identity(verifier, auth_off=settings.auth == "off")
        self._settings = settings
        self._queue = EventQueue(settings.max_queued_events)
        # The bus and the hub notify what is made after them: hence the lambdas.
        self._bus: Bus | None = None
        self._collector: Intake
        if settings.bridge == "nats":
            self._bus = Bus(
                settings, "ws_node", on_subscribed=lambda: self._log_sync.compare_soon()
            )
            self._collector = BusCollector(settings, bus=self._bus, queue=self._queue)
        else:
            endpoint = endpoints.bridge_endpoint(
                settings.data_dir, settings.bridge_endpoint, worker
            )
            self._collector = Collector(settings, endpoint=endpoint, queue=self._queue)
        self._hub = Hub(
            settings,
            identity.revocations,
            on_want=lambda room: self._log_sync.fetch(room),
            on_attendance=lambda room: self._presence.attendance_changed(room),
            on_open=self._collector.subscribe,
            on_drop=self._collector.unsubscribe,
        )
        self._history = History(settings)
        self._log_sync = LogSync(
            settings,
            self._hub,
            self._queue,
            self._history,
            subscribed=self._collector.subscribed,
        )
        self._dispatcher = Dispatcher(
            self._hub,
            self._queue,
            on_want=self._log_sync.fetch,
            on_foreign=self._log_sync.compare_soon,
        )
        self._trust = Trust(settings, self._hub, self._history, identity.revocations)
        watched = ViewerCounts(
            self._hub.rooms,
            settings.max_bridge_bytes,
            on_change=lambda session_id: self._presence.counts_changed(session_id),
        )
        self._presence = Presence(self._hub, self._history, watched)
        self._siblings = Siblings(
            settings,
            worker=worker,
            data_dir=settings.data_dir,
            queue=self._queue,
            figures=lambda: figures(self._measured),
            watched=watched,
        )
        self._others = OtherNodes(settings, bus=self._bus, watched=watched) if self._bus else None
        self._places = Quota(settings.max_viewers_per_principal, settings.max_viewers)
        catch_up = CatchUp(self._hub, self._history, settings.max_replays_per_principal)
        failures = Failures(settings.failed_token_seconds)
        self._sockets = Sockets(
            settings,
            identity=identity,
            failures=failures,
            hub=self._hub,
            catch_up=catch_up,
            places=self._places,
        )
        self._api_proxy = ApiProxy(settings, identity)
        self._streams = EventStreams(
            identity=identity, hub=self._hub, catch_up=catch_up, places=self._places
        )
        self._pages = Pages(settings, identity)
        api = FastAPI(
            title="Partyline: live",
            version="1",
            description="Watch a session at /ws/{session_id} (WebSocket) or /events/{session_id} "
            "(server-sent events); send events to its viewers here.",
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,  # a redirect would repeat the path
        )
        problems.install(api)
        add_api_docs(api)
        add_operator_routes(
            api,
            settings=settings,
            identity=identity,
            readiness=self._readiness,
            figures=self._siblings.all_figures,
            address=address,
        )
        self._broadcast: Broadcast = add_broadcast(
            api,
            settings=settings,
            queue=self._queue,
            forward=self._others.forward if self._others else self._siblings.forward,
        )
        self._measured = Measured(
            hub=self._hub,
            dispatcher=self._dispatcher,
            queue=self._queue,
            history=self._history,
            following=self._log_sync,
            collector=self._collector,
            bus=self._bus,
            others=self._others,
            presence=self._presence,
            siblings=self._siblings,
            places=self._places,
            sockets=self._sockets,
            broadcast=self._broadcast,
        )
        answering = self._routed(api)
        if settings.signed_requests:
            answering = SignedRequests(
                answering,
                Verifier(keyfile.bridge_key(keys), "ws_node"),
                prefix=BROADCAST_PREFIX,
                max_bytes=settings.max_body_bytes,
                refuse=refuse,
            )
        self.app = OriginCheck(
            SlowFailures(answering, failures),
            hosts=own_hosts(settings, settings.ws_host),
            origins=settings.allowed_origins,
            refuse=refuse,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the node's tasks for the length of a block.

        A node without its dispatcher or its following would look alive and deliver nothing,
        without its siblings half of it. So if one of these tasks fails, the block is cancelled and
        the error leaves it: the process ends with an exit code at which a supervisor restarts it.
        """
        self._collector.start()
        works = [
            ("dispatcher", self._dispatcher.run()),
            ("following", self._log_sync.run()),
            ("trust", self._trust.run()),
            ("siblings", self._siblings.run()),
            ("presence", self._presence.run()),
        ]
        if self._bus is not None and self._others is not None:
            works += [("bus", self._bus.run()), ("others", self._others.run())]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work, name=name) for name, work in works]
                yield
                for task in tasks:
                    task.cancel()
        except BaseExceptionGroup:
            logger.critical("a task that must not end has failed: the node stops")
            self._hub.disconnect_all(Disconnect.RESTART)
            raise
        finally:
            self._collector.close()
            await self._history.close()
            await self._api_proxy.close()

    async def drain(self) -> None:
        """The node stops: disconnect viewers, which are to reconnect."""
        self._hub.disconnect_all(Disconnect.RESTART)
        await asyncio.sleep(0.1)

    def _routed(self, api: App) -> App:
        """Route viewers, the page and its requests to their endpoints, everything else to the API.

        Inside FastAPI every viewer would keep the stack of its middleware in memory. Viewers and
        requests of the page are answered 503 while `Trust` admits nobody.
        """

        async def route(scope: Scope, receive: Receive, send: Send) -> None:
            kind = scope["type"]
            folder, _, session_id = scope.get("path", "").rpartition("/")
            app: App = api
            if kind == "websocket" and (folder == "/ws" or scope["path"] == "/ws"):
                app = self._sockets
            elif kind == "http" and folder == "/events" and scope["method"] == "GET":
                app = self._streams
            elif kind == "http" and allowed(scope):
                app = self._api_proxy
            elif kind == "http" and self._pages.serves(scope["path"]):
                app = self._pages
            if app not in (api, self._pages):
                scope["path_params"] = {"session_id": session_id} if folder else {}
                if not await self._trust.admits():
                    app = _unready
            await app(scope, receive, send)

        return route

    def _readiness(self) -> tuple[bool, dict[str, str]]:
        """Whether the node is ready, and why; it has no figures, because anybody may read it."""
        following, trust = self._log_sync, self._trust
        if trust.mismatch:
            return False, {"status": "misconfigured", "log": "its PARTYLINE_AUTH differs from ours"}
        admitting = trust.compared or self._settings.auth != "off"
        if following.reachable is False:
            return admitting, {"status": "degraded", "log": "away"}
        if following.reachable is None or not trust.compared:
            return admitting, {"status": "degraded", "log": "not yet reached"}
        behind = self._hub.behind()
        if behind is not None and time.time() - behind.since > BEHIND_SECONDS:
            return True, {"status": "degraded", "log": "behind"}
        if self._bus is not None and not self._bus.connected:
            return True, {"status": "degraded", "log": "followed", "bus": "away"}
        if self._siblings.away():
            return True, {"status": "degraded", "log": "followed", "workers": "some are away"}
        return True, {"status": "ready", "log": "followed"}


async def _unready(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 503, to WebSocket handshakes and HTTP requests."""
    websocket = scope["type"] == "websocket"
    if websocket:
        await receive()
    headers = [(b"retry-after", b"5")]
    reason = b"the nodes differ in PARTYLINE_AUTH, or have not compared it yet\n"
    await respond(send, 503, headers, reason, websocket=websocket)
