"""A node's process: its socket, its uvicorn server, its signals and its exit code.

Exit codes: 0 after SIGTERM or Ctrl-C; 2 if the node refuses to start (it prints what to change; a
supervisor should not restart it); 1 after an unexpected error.
"""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import uvicorn
import uvloop

from proto.errors import ConfigurationError
from proto.settings import Settings, load_settings
from serving.http.protocol import LimitedHttp
from serving.peers.local import LocalHttp
from serving.process.logs import escape, set_up_logging

EXIT_REFUSED: Final = 2
GRACE_SECONDS: Final = 3
"""How long open requests may continue after the node was told to stop."""

GARBAGE_THRESHOLD: Final = 10_000
"""Allocations after which the youngest generation is collected (Python's default is 700)."""

logger = logging.getLogger(__name__)

Drain = Callable[[], Awaitable[None]]


def run_node(main: Callable[[Settings], Coroutine[Any, Any, int | None]]) -> int:
    """Run a node with the settings of the environment until it is told to stop.

    Args:
        main: runs the node; may return an exit code.

    Returns:
        The process's exit code.
    """
    os.umask(0o077)
    raise_descriptor_limit()
    try:
        settings = load_settings()
        set_up_logging(settings)
        code = uvloop.run(main(settings))
    except ConfigurationError as error:
        print(f"partyline: {escape(str(error))}", file=sys.stderr, flush=True)
        return EXIT_REFUSED
    return code or 0


def raise_descriptor_limit() -> None:
    """Raise this process's limit of open files to the hard limit.

    Every connection needs one. Idle sockets would reach the usual soft limit of 1,024 before any
    of our own limits on connections.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS refuses more than its own maximum
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def listen(
    host: str, port: int, setting: str, *, shared: bool = False, former: int = 0
) -> socket.socket:
    """A socket that listens on a node's HTTP port.

    Args:
        host: address or name.
        port: 0 to 65535; 0: any free port.
        setting: name of the port's setting, for the error.
        shared: whether several processes listen; the kernel gives each connection to one of them.
        former: with ``port`` 0, the port to use if it is free; 0: any.

    Raises:
        ConfigurationError: the port is in use, or the address is not this machine's.
    """
    if not port and former:
        with contextlib.suppress(ConfigurationError):
            return listen(host, former, setting, shared=shared)
    bound = _bind(host, port, setting, shared=shared)
    bound.listen(2_048)
    bound.setblocking(False)
    return bound


def reserve(host: str, port: int, setting: str) -> socket.socket:
    """A socket that reserves a port, on which our processes then `listen`, ``shared``.

    It does not listen itself. A shared port could also be shared by another process of the same
    user, so the port must not be in use yet.

    Raises:
        ConfigurationError: as `listen`.
    """
    if port:  # for 0 the kernel chooses one that is free
        _bind(host, port, setting, shared=False).close()
    return _bind(host, port, setting, shared=True)


def port_of(bound: socket.socket) -> int:
    """The port that a socket is bound to."""
    return int(bound.getsockname()[1])


def _bind(host: str, port: int, setting: str, *, shared: bool) -> socket.socket:
    bound: socket.socket | None = None
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
    except (OSError, UnicodeError) as error:
        if bound is not None:
            bound.close()
        why = (error.strerror if isinstance(error, OSError) else None) or "unknown address"
        raise ConfigurationError(
            f"port {port} on {host} cannot be used ({why}); "
            f"stop what uses it, or set {setting} to another port"
        ) from None
    return bound


class NodeServer(uvicorn.Server):
    """uvicorn with our signal handlers, and a drain that runs before connections are closed."""

    capture_signals = contextlib.nullcontext  # type: ignore[assignment]  # serve() owns signals

    def __init__(
        self, config: uvicorn.Config, drain: Drain, local: socket.socket | None = None
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._local = local

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start serving, and exclude the objects that exist by now from garbage collection.

        Otherwise collection takes a third of a tool call's time (see docs/performance.md).
        """
        await super().startup(sockets)
        if self._local is not None:
            loop = asyncio.get_running_loop()
            self.servers.append(await loop.create_unix_server(self._local_http, sock=self._local))
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE_THRESHOLD, 10, 10)

    def _local_http(self) -> LocalHttp:
        return LocalHttp(self.config, self.server_state, self.lifespan.state)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, await the drain, then close the remaining connections."""
        for server in self.servers:
            server.close()
        await self._drain()
        await super().shutdown(sockets)


async def serve(
    app: Any,
    bound: socket.socket,
    *,
    drain: Drain,
    local: socket.socket | None = None,
    **options: Any,
) -> None:
    """Serve an ASGI app on a bound socket until SIGTERM or SIGINT.

    Args:
        app: the ASGI application.
        bound: from `listen`; it is closed at the end.
        drain: awaited once at shutdown, before connections are closed.
        local: a Unix socket for this deployment's own processes (`serving.peers.local`).
        options: further arguments of `uvicorn.Config`.
    """
    config = uvicorn.Config(
        app,
        lifespan="on",
        http=LimitedHttp,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        **options,
    )
    server = NodeServer(config, drain, local)

    def stop() -> None:
        # Not force_exit, which would skip the end of the lifespan. GRACE_SECONDS limits the time.
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await server.serve(sockets=[bound])


def warn_of_open_doors(settings: Settings) -> None:
    """Warn if authentication is off, or if traffic between machines is not encrypted."""
    for name, url in (("MCP_URL", settings.mcp_url), ("WS_URL", settings.ws_url)):
        if url.startswith("http:"):
            logger.warning(
                "PARTYLINE_%s is not https: messages and viewers' tokens can be read on the way. "
                "Use a network or tunnel that you trust.",
                name,
            )
    if settings.auth == "off":
        logger.warning(
            "AUTH IS OFF: every program on this machine can read and write every room; "
            "names are not verified. Set PARTYLINE_AUTH=token for real use."
        )
