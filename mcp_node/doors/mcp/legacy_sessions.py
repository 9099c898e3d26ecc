"""Limits of MCP sessions (before 2026-07-28): their number, for each principal too, and size.

A session begins with ``initialize``, without the header ``Mcp-Session-Id``. It lasts until its
client deletes it or has no pending request for MCP_SESSION_IDLE_SECONDS. So long the library keeps
a task and the content of ``initialize``. The library limits only the number of all sessions
together, which one client could use up.

This middleware sees what a client sees: the id in the response to ``initialize``, and later
responses. A session that the library ends by itself is counted until its idle time is over. The
newer era has no sessions.
"""

import time
from collections.abc import Callable
from typing import Final

import msgspec
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from mcp_node.doors.mcp.errors import refuse
from proto import strictjson
from proto.errors import Overloaded, PartylineError, RateLimited, TooLarge, Unauthenticated
from proto.settings import Settings
from serving.http.asgi import App, Message, Receive, Scope, Send
from serving.http.bodies import read_body, replay
from serving.http.identity import Headers, Identity, header_values
from serving.quota import Quota

MAX_INITIALIZE_BYTES: Final = 16_384
"""The most bytes of the headers and body of ``initialize``, which the session keeps."""

MAX_INITIALIZE_VALUES: Final = 500
"""The most JSON values in its body: an empty list has 3 bytes there and 60 in memory."""

_LATE_SECONDS: Final = 1.0
"""A session counts as idle here so much later than in the library."""


class _Opening(msgspec.Struct):
    method: str = ""


class _Session:
    __slots__ = ("owner", "since", "under_way")

    def __init__(self, owner: str, since: float) -> None:
        self.owner = owner
        self.under_way = 0
        self.since = since


class LegacySessions:
    """ASGI middleware around the MCP app. Bodies must be bounded before.

    Args:
        app: the MCP app.
        settings: the bounds.
        identity: knows who calls. Where AUTH=off names mean nothing: only the node's bound holds.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        app: App,
        settings: Settings,
        identity: Identity,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._identity = identity
        self._clock = clock
        self._max_bytes = settings.max_body_bytes
        self._idle_seconds = settings.mcp_session_idle_seconds + _LATE_SECONDS
        self._sessions: dict[str, _Session] = {}
        self._quota = Quota(settings.max_mcp_sessions_per_principal, settings.max_mcp_sessions)
        """Counts open sessions and those being opened."""

    def __len__(self) -> int:
        """How many sessions are open or being opened."""
        return self._quota.total

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse an ``initialize`` that is too large or exceeds a limit; pass on all else."""
        headers: Headers = scope["headers"]
        versions = header_values(headers, b"mcp-protocol-version")
        if versions and versions[0] not in HANDSHAKE_PROTOCOL_VERSIONS:
            await self._app(scope, receive, send)
            return
        try:
            owner = self._identity.from_headers(headers).agent_id
        except Unauthenticated:  # the app's to refuse
            await self._app(scope, receive, send)
            return
        ids = header_values(headers, b"mcp-session-id")
        try:
            if scope["method"] == "POST":
                body = await read_body(scope, receive, max_bytes=self._max_bytes)
                receive = replay(body, receive)
                _check_size(headers, body)
            if ids or scope["method"] != "POST":
                await self._go_on(ids[0] if ids else "", owner, scope, receive, send)
            else:
                self._acquire_slot(owner)
                await self._open(owner, scope, receive, send)
        except PartylineError as error:
            await refuse(scope, send, error)

    def _acquire_slot(self, owner: str) -> None:
        """Count a session that is about to be opened.

        Raises:
            RateLimited: the principal has as many as it may have.
            Overloaded: so has the node.
        """
        if self._full(owner):
            self._forget_idle()
        if reason := self._full(owner):
            raise reason
        self._quota.add(self._limited(owner))

    def _full(self, owner: str) -> PartylineError | None:
        if self._quota.exceeds_own(self._limited(owner)):
            return RateLimited(
                "You have as many MCP sessions open as one principal may have.",
                "End one with DELETE, or wait until one was idle for long enough.",
            )
        if self._quota.exceeds_all():
            return Overloaded("As many MCP sessions are open as this node may have.")
        return None

    async def _open(self, owner: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Run a request that may open a session, and record the session that it opens."""
        opened, served = "", False

        async def notice(message: Message) -> None:
            nonlocal opened
            if message["type"] == "http.response.start" and message["status"] < 400:
                opened = "".join(header_values(message["headers"], b"mcp-session-id"))
                if opened:
                    self._sessions[opened] = _Session(owner, self._clock())
            await send(message)

        try:
            await self._app(scope, receive, notice)
            served = True
        finally:
            if not opened:
                self._free(owner)
            elif not served:  # the library discards it as well
                self._forget(opened)

    async def _go_on(
        self, session_id: str, owner: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Run a request of a session; forget the session when it has ended."""
        session = self._sessions.get(session_id)
        if session is None or session.owner != owner:
            await self._app(scope, receive, send)
            return
        gone = False

        async def notice(message: Message) -> None:
            nonlocal gone
            if message["type"] == "http.response.start":
                status = message["status"]
                gone = status == 404 or (scope["method"] == "DELETE" and status < 400)
            await send(message)

        session.under_way += 1
        try:
            await self._app(scope, receive, notice)
        finally:
            session.under_way -= 1
            session.since = self._clock()
            if gone:
                self._forget(session_id)

    def _forget_idle(self) -> None:
        oldest = self._clock() - self._idle_seconds
        for session_id, session in list(self._sessions.items()):
            if not session.under_way and session.since < oldest:
                self._forget(session_id)

    def _forget(self, session_id: str) -> None:
        session = self._sessions.pop(session_id, None)
        if session is not None:
            self._free(session.owner)

    def _free(self, owner: str) -> None:
        self._quota.release(self._limited(owner))

    def _limited(self, owner: str) -> str | None:
        return None if self._identity.auth_off else owner  # then anybody may claim the name


def _check_size(headers: Headers, body: bytes) -> None:
    """Refuse a large ``initialize``, in a session or before.

    Raises:
        InvalidInput: it is.
    """
    try:
        method = msgspec.json.decode(body, type=_Opening).method
    except msgspec.MsgspecError:
        return
    if method != "initialize":
        return
    if len(body) + sum(len(name) + len(value) for name, value in headers) > MAX_INITIALIZE_BYTES:
        raise TooLarge(
            f"An initialize request has at most {MAX_INITIALIZE_BYTES} bytes, with its headers.",
            "Send a shorter clientInfo and fewer capabilities.",
        )
    strictjson.loads(body, max_bytes=MAX_INITIALIZE_BYTES, max_values=MAX_INITIALIZE_VALUES)
