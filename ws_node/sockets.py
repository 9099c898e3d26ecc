"""``/ws/{session_id}``: a viewer's connection, from its handshake to its end.

A raw ASGI endpoint: one coroutine per viewer, which waits for commands; what the viewer is sent
comes from the hub, or while it catches up from `ws_node.catchup`.
"""

import asyncio
import contextlib
from typing import Final
from urllib.parse import parse_qs

import msgspec

from proto.errors import InvalidInput, PartylineError, Unauthenticated
from proto.frames import PONG_FRAME, error_frame
from proto.messages import Principal
from proto.names import is_name
from proto.settings import Settings
from serving.asgi import Receive, Scope, Send, respond
from serving.identity import Identity
from ws_node.catchup import CatchUp
from ws_node.commands import Ping, Subscribe, check_position, parse_command
from ws_node.disconnect import Disconnect
from ws_node.hub import Hub
from ws_node.protocol import EXTENSION, LendingProtocol
from ws_node.room import Room, Viewer

SUBPROTOCOL: Final = "partyline"
TOKEN_PREFIX: Final = "bearer."

HANDSHAKE_SECONDS: Final = 1.0
"""How long a handshake waits for the room's position before it completes all the same."""


class Refused(Exception):
    """The connection is accepted, then closed for this reason, so that a browser sees why."""

    def __init__(self, why: Disconnect) -> None:
        super().__init__(why.reason)
        self.why = why


class Admission(msgspec.Struct, frozen=True):
    """Who came, for which session, from which position."""

    session_id: str
    principal: Principal
    wish: Subscribe | None


class Sockets:
    """The WebSocket endpoint.

    Attributes:
        connections: open ones, those still in their handshake included.
        refused: counts of refusals, by close code, and of 503 under ``full``.
    """

    def __init__(
        self, settings: Settings, *, identity: Identity, hub: Hub, catch_up: CatchUp
    ) -> None:
        self.connections = 0
        self.refused: dict[str, int] = {}
        self._max_viewers = settings.max_viewers
        self._max_bytes = settings.max_command_bytes
        self._identity = identity
        self._hub = hub
        self._catch_up = catch_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until it ends."""
        await receive()
        if self.connections >= self._max_viewers:
            self._count("full")
            await respond(send, 503, [(b"retry-after", b"2")], b"full", websocket=True)
            return
        self.connections += 1
        try:
            await self._admitted(scope, receive, send)
            await _gone(scope["extensions"][EXTENSION], receive)
        finally:
            self.connections -= 1

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        offered = scope["subprotocols"]
        accept = {
            "type": "websocket.accept",
            "subprotocol": SUBPROTOCOL if SUBPROTOCOL in offered else None,
        }
        try:
            admission = self._admit(scope)
        except Refused as refused:
            self._count(str(refused.why.code))
            await send(accept)
            scope["extensions"][EXTENSION].disconnect(refused.why)
            return
        room = self._hub.enter(admission.session_id)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HANDSHAKE_SECONDS):
                    await room.positioned.wait()
            self._hub.let_in_early(room)
            await send(accept)
            connection = scope["extensions"][EXTENSION]
            connection.forget_handshake()
            await self._attend(connection, room, admission, receive)
        finally:
            self._hub.leave(room)

    def _admit(self, scope: Scope) -> Admission:
        """Who may enter where.

        Raises:
            Refused: nobody, or not there, or not so.
        """
        session_id = scope["path_params"]["session_id"]
        if not is_name(session_id):
            raise Refused(Disconnect.BAD_REQUEST)
        tokens = [
            offer.removeprefix(TOKEN_PREFIX)
            for offer in scope["subprotocols"]
            if offer.startswith(TOKEN_PREFIX)
        ]
        try:
            principal = self._identity.from_headers(
                scope["headers"], tokens[0] if len(tokens) == 1 else None
            )
        except Unauthenticated:
            raise Refused(Disconnect.BAD_TOKEN) from None
        if "read" not in principal.scopes or not principal.may_enter(session_id):
            raise Refused(Disconnect.FORBIDDEN)
        try:
            return Admission(session_id, principal, _wish(scope["query_string"]))
        except InvalidInput:
            raise Refused(Disconnect.BAD_REQUEST) from None

    async def _attend(
        self, connection: LendingProtocol, room: Room, admission: Admission, receive: Receive
    ) -> None:
        """Serve an accepted viewer; nothing is awaited between the accept and the join."""
        principal = admission.principal
        viewer = Viewer(connection, principal.audience, principal.expires_at)
        self._hub.connected[viewer] = None

        def leave() -> None:
            viewer.gone = True
            room.part(viewer)
            self._hub.connected.pop(viewer, None)

        connection.on_leave = leave
        catching_up: asyncio.Task[None] | None = None
        try:
            if admission.wish is None:
                room.join(viewer)
            else:
                catching_up = self._start(viewer, room, admission.wish, None)
            while True:
                message = await receive()
                if message["type"] == "websocket.disconnect":
                    return
                wish = self._reply(viewer, message)
                if wish is not None:
                    catching_up = self._start(viewer, room, wish, catching_up)
                await viewer.drained()  # who does not read its answers asks no more
        finally:
            leave()
            if catching_up is not None:
                catching_up.cancel()

    def _start(
        self, viewer: Viewer, room: Room, wish: Subscribe, former: asyncio.Task[None] | None
    ) -> asyncio.Task[None]:
        if former is not None:
            former.cancel()
        room.part(viewer)
        return asyncio.get_running_loop().create_task(self._catch_up.subscribe(viewer, room, wish))

    def _reply(self, viewer: Viewer, message: object) -> Subscribe | None:
        """Answer a frame from the viewer; a subscription is the caller's to carry out."""
        text = message.get("text") if isinstance(message, dict) else None
        try:
            if not isinstance(text, str):
                raise InvalidInput("Commands are text frames.")
            command = parse_command(text, max_bytes=self._max_bytes)
        except PartylineError as error:
            viewer.send(error_frame(error.code, f"{error.message} {error.hint}".strip()))
            return None
        if isinstance(command, Ping):
            viewer.send(b"pong" if command.plain else PONG_FRAME)
            return None
        return command

    def _count(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1


def _wish(query: bytes) -> Subscribe | None:
    """The position in a connection's address, ``?since=ID[&epoch=E]``; None without one.

    Raises:
        InvalidInput: it is malformed or given twice.
    """
    try:
        fields = parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=32)
    except ValueError:
        raise InvalidInput("There are too many parameters.") from None
    since, epoch = fields.get("since", []), fields.get("epoch", [])
    if not since and not epoch:
        return None
    if len(since) != 1 or len(epoch) > 1 or not (since[0].isdecimal() and since[0].isascii()):
        raise InvalidInput("since must be an integer.")
    number = int(since[0]) if len(since[0]) <= 17 else -1
    return Subscribe(*check_position(number, epoch[0] if epoch else None))


async def _gone(connection: LendingProtocol, receive: Receive) -> None:
    """Wait until the socket itself is gone: until then it takes one of the places."""
    while not connection.disconnected:
        await receive()
