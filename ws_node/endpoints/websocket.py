"""``/ws/{session_id}`` and ``/ws``: a viewer's WebSocket, from its handshake to its end.

A raw ASGI endpoint with one coroutine for each viewer, which waits for commands. Messages are sent
by the fan-out, and while the viewer catches up by `ws_node.log.catch_up`.
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
"""How long a handshake waits for the room's position. Then it completes without (`Promise`)."""

MAX_REFUSED: Final = 256
"""Most connections open at once only to be told why they are refused; more get 503.

They do not count as viewers.
"""

REFUSED_SECONDS: Final = 2.0
"""How long a refused connection may take to answer its close frame."""

COMMANDS_PER_SECOND: Final = 50
"""Rate of one viewer's commands; more are not read until later, which delays only that viewer."""


class Admission(msgspec.Struct, frozen=True):
    """An admitted viewer.

    Attributes:
        principal: who it is.
        session_id: the session in the path; None on ``/ws``.
        command: where to start, if the query says so.
        presence: whether to send presence frames.
    """

    principal: Principal
    session_id: str | None = None
    command: Subscribe | None = None
    presence: bool = False


class Sockets:
    """The WebSocket endpoint. ``scope["path_params"]`` holds ``session_id``, or nothing.

    Attributes:
        refused: number of refused connections, by close code.
        refusals: limits the connections that are being refused.
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
        """Serve one connection until its socket is closed: so long it counts against the limits."""
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
                await self._serve(connection, admission, accept, receive, send)
            while not connection.disconnected:
                await receive()
        finally:
            places.release(key)

    def _admit(self, scope: Scope) -> Admission | Disconnect:
        """The admitted viewer, or why it is refused.

        A refused handshake is accepted and then closed with a code: browsers do not tell a page
        the status of a refused handshake.
        """
        try:
            principal = admit(scope, self._identity)
            if "session_id" not in scope["path_params"]:
                return Admission(principal)
            session_id = check_session(principal, scope["path_params"]["session_id"])
            query = scope["query_string"]
            command = command_of(session_id, query)
            return Admission(principal, session_id, command, presence_of(query))
        except Unauthenticated:
            return Disconnect.BAD_TOKEN
        except Forbidden:
            return Disconnect.FORBIDDEN
        except InvalidInput:
            return Disconnect.BAD_REQUEST
        except Unavailable:
            return Disconnect.HISTORY_UNAVAILABLE

    async def _serve(
        self,
        connection: LendingProtocol,
        admission: Admission,
        accept: dict[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        """Serve an admitted viewer. Nothing is awaited between accepting and joining the room."""
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
                if self._hub.closed is not None:  # checked after the wait above
                    body = b"the nodes differ in PARTYLINE_AUTH\n"
                    await respond(send, 503, [(b"retry-after", b"5")], body, websocket=True)
                    return
                self._hub.promise(room)
            await send(accept)
            connection.forget_handshake()
            self._hub.connect(viewer)
            if admission.command is not None:
                self._start(viewer, admission.command)
            elif room is not None:
                room.join(subscription)
            await self._listen(viewer, admission.session_id, receive)
        finally:
            self._hub.disconnect(viewer)

    async def _listen(self, viewer: Viewer, session_id: str | None, receive: Receive) -> None:
        """Execute commands until the viewer disconnects."""
        loop = asyncio.get_running_loop()
        ready_at = loop.time()
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                self._execute(viewer, message.get("text"), session_id)
            except PartylineError as error:
                viewer.send(error_frame(error.code, f"{error.message} {error.hint}".strip()))
            await viewer.drained()  # no more commands before it reads the answers
            ready_at = max(ready_at, loop.time() - 1) + 1 / COMMANDS_PER_SECOND
            if ready_at > loop.time():
                await asyncio.sleep(ready_at - loop.time())

    def _execute(self, viewer: Viewer, text: object, session_id: str | None) -> None:
        """Execute a command.

        Raises:
            PartylineError: it is refused; the viewer gets an error frame.
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
                raise RateLimited("This connection has reached its limit of subscriptions.")
            self._start(viewer, command)

    def _start(self, viewer: Viewer, command: Subscribe) -> None:
        """Start or restart a session; a replay of it that is under way ends."""
        subscription = self._hub.subscribe(viewer, command.session_id, presence=command.presence)
        subscription.room.leave(subscription)
        subscription.start_replay(self._catch_up.subscribe(subscription, command))
