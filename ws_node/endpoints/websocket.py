"""``/ws/{session_id}`` and ``/ws``: a viewer's WebSocket, from its handshake to its end.

A raw ASGI endpoint: one coroutine per viewer, which waits for commands; what the viewer is sent
comes from the hub, or while it catches up from `ws_node.log.catch_up`.
"""

import asyncio
import contextlib
from typing import Any, Final

import msgspec

from proto.errors import (
    Forbidden,
    InvalidInput,
    PartylineError,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from proto.frames import PONG_FRAME, error_frame, unsubscribed_frame
from proto.messages import Principal
from proto.settings import Settings
from serving.http.asgi import Receive, Scope, Send, respond
from serving.http.failures import Failures
from serving.http.identity import Identity
from serving.quota import Quota
from ws_node.endpoints.admission import admit, check_session, command_of, presence_of
from ws_node.endpoints.commands import Ping, Unsubscribe, parse_command
from ws_node.endpoints.protocol import EXTENSION, LendingProtocol
from ws_node.log.catch_up import CatchUp, Subscribe
from ws_node.rooms.disconnect import Disconnect
from ws_node.rooms.hub import Hub
from ws_node.rooms.viewer import Viewer

SUBPROTOCOL: Final = "partyline"

HANDSHAKE_SECONDS: Final = 1.0
"""How long a handshake waits for the room's position before it completes all the same."""

MAX_REFUSED: Final = 256
"""Connections that are being refused at once. They take no viewer's place; more get 503."""

REFUSED_SECONDS: Final = 2.0
"""How long such a one may take to answer its close frame."""

COMMANDS_PER_SECOND: Final = 50
"""Commands of one viewer carried out in a second; more wait, unread, and slow only that viewer."""


class Admission(msgspec.Struct, frozen=True):
    """Who came, for which session if for one, from which position if from one.

    ``presence``: whether it wants to be told who is there.
    """

    principal: Principal
    session_id: str | None = None
    wish: Subscribe | None = None
    presence: bool = False


class Sockets:
    """The WebSocket endpoint. ``scope["path_params"]`` holds ``session_id``, or nothing.

    Attributes:
        refused: counts of refusals, by close code.
        refusals: places of connections that are being refused.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        identity: Identity,
        failures: Failures,
        hub: Hub,
        catch_up: CatchUp,
        places: Quota,
    ) -> None:
        self.refused: dict[int, int] = {}
        self.refusals = Quota(MAX_REFUSED, MAX_REFUSED)
        self._max_bytes = settings.max_command_bytes
        self._max_subscriptions = settings.max_subscriptions
        self._identity = identity
        self._failures = failures
        self._hub = hub
        self._catch_up = catch_up
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until its socket is gone: until then it takes a place."""
        await receive()
        connection: LendingProtocol = scope["extensions"][EXTENSION]
        offered = scope["subprotocols"]
        accept = {
            "type": "websocket.accept",
            "subprotocol": SUBPROTOCOL if SUBPROTOCOL in offered else None,
        }
        admission = self._admit(scope)
        places, key = self.refusals, None
        if isinstance(admission, Admission):
            places, key = self._places, admission.principal.agent_id
        if not places.acquire(key):
            await respond(send, 503, [(b"retry-after", b"2")], b"full", websocket=True)
            return
        try:
            if isinstance(admission, Disconnect):
                self.refused[admission.code] = self.refused.get(admission.code, 0) + 1
                if admission is Disconnect.BAD_TOKEN:
                    await self._failures.delay(scope)
                await send(accept)
                connection.disconnect(admission, REFUSED_SECONDS)
            else:
                await self._attend(connection, admission, accept, receive, send)
            while not connection.disconnected:
                await receive()
        finally:
            places.release(key)

    def _admit(self, scope: Scope) -> Admission | Disconnect:
        """Who may enter, or why not: accepted and then closed, so that a browser sees it."""
        try:
            principal = admit(scope, self._identity)
            if "session_id" not in scope["path_params"]:
                return Admission(principal)
            session_id = check_session(principal, scope["path_params"]["session_id"])
            query = scope["query_string"]
            wish = command_of(session_id, query)
            return Admission(principal, session_id, wish, presence_of(query))
        except Unauthenticated:
            return Disconnect.BAD_TOKEN
        except Forbidden:
            return Disconnect.FORBIDDEN
        except InvalidInput:
            return Disconnect.BAD_REQUEST
        except Unavailable:
            return Disconnect.HISTORY_UNAVAILABLE

    async def _attend(
        self,
        connection: LendingProtocol,
        admission: Admission,
        accept: dict[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        """Serve an admitted viewer; nothing is awaited between the accept and the join."""
        viewer = Viewer(connection, admission.principal)
        room = None
        if admission.session_id is not None:
            subscription = self._hub.subscribe(
                viewer, admission.session_id, presence=admission.presence
            )
            room = subscription.room
        try:
            if room is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(HANDSHAKE_SECONDS):
                        await room.positioned.wait()
                if self._hub.closed is not None:  # only now: the handshake waited
                    body = b"the nodes differ in PARTYLINE_AUTH\n"
                    await respond(send, 503, [(b"retry-after", b"5")], body, websocket=True)
                    return
                self._hub.promise(room)
            await send(accept)
            connection.forget_handshake()
            self._hub.connect(viewer)
            if admission.wish is not None:
                self._start(viewer, admission.wish)
            elif room is not None:
                room.join(subscription)
            await self._listen(viewer, admission.session_id, receive)
        finally:
            self._hub.disconnect(viewer)

    async def _listen(self, viewer: Viewer, session_id: str | None, receive: Receive) -> None:
        """Carry out commands until the viewer leaves."""
        loop = asyncio.get_running_loop()
        ready_at = loop.time()
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                self._carry_out(viewer, message.get("text"), session_id)
            except PartylineError as error:
                viewer.send(error_frame(error.code, f"{error.message} {error.hint}".strip()))
            await viewer.drained()  # who does not read its answers asks no more
            ready_at = max(ready_at, loop.time() - 1) + 1 / COMMANDS_PER_SECOND
            if ready_at > loop.time():
                await asyncio.sleep(ready_at - loop.time())

    def _carry_out(self, viewer: Viewer, text: object, session_id: str | None) -> None:
        """Do what a frame from the viewer says.

        Raises:
            PartylineError: it says nothing that can be done.
        """
        if not isinstance(text, str):
            raise InvalidInput("Commands are text frames.")
        command = parse_command(text, max_bytes=self._max_bytes, default_session=session_id)
        if isinstance(command, Ping):
            viewer.send(b"pong" if command.plain else PONG_FRAME)
        elif isinstance(command, Unsubscribe):
            subscription = self._hub.subscriptions(viewer).get(command.session_id)
            if subscription is None:
                raise InvalidInput("You are not subscribed to that session.")
            self._hub.unsubscribe(subscription)
            viewer.send(unsubscribed_frame(command.session_id))
        else:
            check_session(viewer.principal, command.session_id)
            known = self._hub.subscriptions(viewer)
            if command.session_id not in known and len(known) >= self._max_subscriptions:
                raise RateLimited("This socket has as many subscriptions as one may have.")
            self._start(viewer, command)

    def _start(self, viewer: Viewer, wish: Subscribe) -> None:
        """Start a session (anew): what was under way for it ends here."""
        subscription = self._hub.subscribe(viewer, wish.session_id, presence=wish.presence)
        subscription.room.leave(subscription)
        subscription.start_replay(self._catch_up.subscribe(subscription, wish))
