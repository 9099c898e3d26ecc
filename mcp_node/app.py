"""mcp_node put together: lock, socket, log, publisher, services, doors; then it serves."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from fastmcp import FastMCP
from fastmcp.server.http import StarletteWithLifespan
from sse_starlette.sse import AppStatus
from starlette.types import Lifespan

from mcp_node.bridge.bus import BusPublisher
from mcp_node.bridge.interface import Publisher
from mcp_node.bridge.post import PostPublisher
from mcp_node.bridge.push import PushPublisher
from mcp_node.doors.mcp.envelope import check_envelope
from mcp_node.doors.mcp.errors import refuse
from mcp_node.doors.mcp.legacy_sessions import LegacySessions
from mcp_node.doors.mcp.server import install_schema_lookup, make_server
from mcp_node.doors.mcp.toolsets import toolsets_of_address
from mcp_node.doors.rest.caller import install_identity
from mcp_node.doors.rest.links import make_link_api
from mcp_node.doors.rest.log import make_log_api
from mcp_node.doors.rest.presence import make_presence_api
from mcp_node.doors.rest.prune import make_prune_api
from mcp_node.doors.rest.revocations import make_revocation_api
from mcp_node.doors.rest.routers import public_routers
from mcp_node.doors.rest.service import for_service, service_app
from mcp_node.links.revocations import RevocationWatch, revocations
from mcp_node.log.interface import Database
from mcp_node.services import Services, make_services
from mcp_node.sessions.watching import last_change
from mcp_node.storage import open_store
from proto import endpoints, internal_api, keyfile
from proto.errors import PartylineError
from proto.settings import Settings, node_url
from proto.signing import Verifier
from proto.tokens import PrincipalVerifier
from serving.http import problems
from serving.http.asgi import App, Receive, Scope, Send
from serving.http.bodies import StrictBodies
from serving.http.failures import Failures, SlowFailures
from serving.http.identity import Identity
from serving.http.leases import Leases
from serving.http.operators import add_api_docs, add_operator_routes
from serving.http.origin_check import OriginCheck, own_hosts
from serving.peers.clients import mcp_socket
from serving.peers.local import listening
from serving.peers.signed import SignedRequests
from serving.process.address import AddressFile, former_port
from serving.process.lockfile import LockFile
from serving.process.server import Drain, listen, port_of, serve, warn_of_open_doors

ANSWER_SECONDS: Final = 1.0
"""Shutdown grace for pending waits: how long they may take to be answered."""

ANSWERED_SECONDS: Final = 0.2
"""Shutdown grace for answers that are not written to their sockets yet."""

logger = logging.getLogger(__name__)

Extension = Callable[[FastMCP], None]


async def run(settings: Settings, *, extend: Extension | None = None) -> None:
    """Run the node until it gets a signal to stop.

    Args:
        settings: the node's settings.
        extend: called with the MCP server before it serves, to add to it.

    Raises:
        ConfigurationError: the node cannot start; the text says what to change.
    """
    warn_of_open_doors(settings)
    _expect_cut_streams()
    data_dir = keyfile.open_data_dir(settings.data_dir)
    with LockFile(data_dir / "mcp.lock", "mcp_node"):
        bound = listen(
            settings.mcp_host,
            settings.mcp_port,
            "PARTYLINE_MCP_PORT",
            former=former_port(data_dir, "mcp"),
        )
        address = node_url(settings.mcp_host, port_of(bound))
        with (
            contextlib.closing(bound),
            listening(mcp_socket(data_dir)) as local,
            AddressFile(data_dir, "mcp", address),
        ):
            async with (
                _database(data_dir, settings) as database,
                _publisher(data_dir, settings, database) as publisher,
            ):
                node = await build(settings, data_dir, database, publisher, address, extend)
                await serve(node.app, bound, local=local, drain=node.drain, ws="none")


class Node(NamedTuple):
    """The node's ASGI app, and the function to await before its connections are closed."""

    app: App
    drain: Drain


async def build(
    settings: Settings,
    data_dir: Path,
    database: Database,
    publisher: Publisher,
    address: str,
    extend: Extension | None = None,
) -> Node:
    """Build the node around an open database and a started publisher; ``address`` is its URL."""
    keys = keyfile.open_key_dir(data_dir, settings.key_dir)
    verifier = PrincipalVerifier(keyfile.public_key(keys))
    identity = Identity(verifier, auth_off=settings.auth == "off")
    identity.revocations.replace(await database.read(revocations))
    bridge_key = keyfile.bridge_key(keys)  # created if missing, for an operator to copy
    services = make_services(database, settings, identity.is_valid)
    database.watch(RevocationWatch(identity.revocations))
    services.session_watch.begin(await database.read(last_change))
    mcp = make_server(services, identity, frozenset(settings.toolsets))
    if extend is not None:
        extend(mcp)
    await install_schema_lookup(mcp)
    hosts = own_hosts(settings, settings.mcp_host)
    mcp_app = mcp.http_app(
        path="/mcp",
        host_origin_protection=True,
        allowed_hosts=sorted(hosts),
        allowed_origins=list(settings.allowed_origins) or None,
        session_idle_timeout=settings.mcp_session_idle_seconds,
    )
    sessions = LegacySessions(mcp_app, settings, identity)
    leases = Leases(identity)
    api = FastAPI(
        title="Partyline: rooms",
        version="1",
        description="Sessions and messages over REST; agents use MCP at /mcp.",
        lifespan=_lifespan(mcp_app, identity, leases, services),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would repeat the path
    )
    problems.install(api)
    install_identity(api, identity)
    add_api_docs(api)
    add_operator_routes(
        api,
        settings=settings,
        identity=identity,
        readiness=lambda: (
            True,
            {"status": "ready", "bridge": "connected" if publisher.connected else "away"},
        ),
        figures=lambda: {0: _figures(database, publisher, services, sessions)},
        address=address,
    )
    for router in public_routers(services, _signing_key(keys)):
        api.include_router(router)
    public = StrictBodies(
        _beside(sessions, api, leases),
        max_bytes=settings.max_body_bytes,
        smaller={internal_api.REDEEM: internal_api.MAX_REDEEM_BYTES},
        refuse=refuse,
        admit=lambda scope: _admit(scope, identity),
        check=lambda scope, value: check_envelope(value) if _is_mcp(scope) else None,
    )
    service = service_app(
        (
            make_log_api(database, settings),
            make_presence_api(services.presence, settings),
            make_prune_api(database, settings, services.readers.recount),
            make_revocation_api(database, services.links, settings, identity),
            make_link_api(services.links, settings),
        )
    )
    answering = _by_caller(
        StrictBodies(service, max_bytes=settings.max_body_bytes, refuse=refuse), public
    )
    if settings.signed_requests:
        answering = SignedRequests(
            answering,
            Verifier(bridge_key, "mcp_node"),
            prefix=internal_api.PREFIX,
            max_bytes=settings.max_body_bytes,
            refuse=refuse,
        )
    slow = SlowFailures(answering, Failures(settings.failed_token_seconds))
    checked = OriginCheck(slow, hosts=hosts, origins=settings.allowed_origins, refuse=refuse)
    return Node(checked, partial(_drain, services))


def _signing_key(key_dir: Path) -> Ed25519PrivateKey | None:
    key = keyfile.optional_signing_key(key_dir)
    if key is None:
        logger.info("%s has no signing.key: links are redeemed where it is", key_dir)
    return key


def _lifespan(
    mcp_app: StarletteWithLifespan, identity: Identity, leases: Leases, services: Services
) -> Lifespan[FastAPI]:
    """The MCP app's lifespan, and the tasks that sweep expired state and store read positions."""

    @contextlib.asynccontextmanager
    async def both(api: FastAPI) -> AsyncIterator[None]:
        async with mcp_app.lifespan(mcp_app):
            tasks = [
                asyncio.create_task(leases.sweep_for_ever(), name="leases"),
                asyncio.create_task(
                    services.subscriptions.sweep_for_ever(identity.is_valid), name="subscriptions"
                ),
                asyncio.create_task(services.memory.sweep_for_ever(), name="memory"),
                asyncio.create_task(services.readers.save_for_ever(), name="readers"),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                with contextlib.suppress(PartylineError):
                    await services.readers.save()

    return both


def _beside(mcp_app: App, api: App, leases: Leases) -> App:
    """Send /mcp to the MCP app and everything else, lifespan included, to the REST API.

    The MCP app is not mounted at /: it would answer every unknown path. Its streams run under
    leases, which end them when their token expires or is revoked.
    """

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_mcp(scope):
            await api(scope, receive, send)
            return
        await leases.run(mcp_app, scope, receive, send)

    return both


def _by_caller(service: App, public: App) -> App:
    """Serve the routes between the nodes to this deployment's own processes only."""

    async def chosen(scope: Scope, receive: Receive, send: Send) -> None:
        await (service if for_service(scope) else public)(scope, receive, send)

    return chosen


def _is_mcp(scope: Scope) -> bool:
    path: str = scope.get("path", "")
    return path == "/mcp" or path.startswith("/mcp/")


def _admit(scope: Scope, identity: Identity) -> None:
    """Refuse an unauthenticated request, or one for unknown tools, before its body is read.

    Raises:
        Unauthenticated: its token is missing or not valid.
        InvalidInput: its address asks for a set of tools that does not exist.
    """
    if scope["path"] != internal_api.REDEEM:  # authenticated by the code in its body
        identity.from_headers(scope["headers"])
    if _is_mcp(scope):
        toolsets_of_address(scope["query_string"])


@contextlib.asynccontextmanager
async def _database(data_dir: Path, settings: Settings) -> AsyncIterator[Database]:
    database = await open_store(data_dir, settings)
    try:
        yield database
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def _publisher(
    data_dir: Path, settings: Settings, database: Database
) -> AsyncIterator[Publisher]:
    publisher: Publisher
    if settings.bridge == "http":
        publisher = PostPublisher(settings, epoch=database.epoch)
    elif settings.bridge == "nats":
        publisher = BusPublisher(settings, epoch=database.epoch, on_others_commit=database.look)
    else:
        reached = [
            endpoints.bridge_endpoint(data_dir, settings.bridge_endpoint, worker)
            for worker in range(settings.ws_workers)
        ]
        publisher = PushPublisher(settings, endpoints=reached, epoch=database.epoch)
    await publisher.start()
    database.on_own_commit(publisher.publish)
    try:
        yield publisher
    finally:
        await publisher.close()


async def _drain(services: Services) -> None:
    """Begin to stop: answer pending waits and subscriptions, then end legacy clients' streams."""
    waiting = services.waiting
    services.subscriptions.close()
    somebody = len(waiting) > 0
    waiting.end()
    if somebody:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                while len(waiting):  # noqa: ASYNC110  # a matter of a few turns of the loop
                    await asyncio.sleep(0.01)
        await asyncio.sleep(ANSWERED_SECONDS)
    AppStatus.should_exit = True


def _expect_cut_streams() -> None:
    """Keep uvicorn from logging streams that we end on purpose as incomplete responses."""
    uvicorn_log = logging.getLogger("uvicorn.error")
    uvicorn_log.addFilter(lambda record: "without completing response" not in str(record.msg))


def _figures(
    database: Database, publisher: Publisher, services: Services, sessions: LegacySessions
) -> Iterator[tuple[str, str, float]]:
    yield "pending_writes", "Writes waiting for their commit.", database.pending
    yield "mcp_sessions", "Open MCP sessions of clients before 2026-07-28.", len(sessions)
    subscribed = len(services.subscriptions)
    yield "resource_subscriptions", "Resources subscribed to over MCP.", subscribed
    yield "bridge_published_total", "Messages handed to the bridge.", publisher.published
    yield "bridge_dropped_total", "Messages the bridge did not take.", publisher.dropped
    yield "bridge_waiting", "Messages held for a slow bridge.", publisher.waiting
    yield (
        "bridge_connected",
        "1 while ws_node is there, every worker; with nats: nats-server.",
        publisher.connected,
    )
