"""Signed requests over tcp: `proto.signing` for an ASGI app, and for a client of httpx."""

import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import httpx

from proto.errors import ConfigurationError, PartylineError, Unauthenticated
from proto.signing import (
    HEADER,
    UNKNOWN_INSTANCE,
    Answer,
    AskAgain,
    Request,
    Signature,
    Signer,
    Verifier,
    body_digest,
)
from proto.wire import BRIDGE_HEADERS
from serving.http.asgi import App, Message, Receive, Scope, Send
from serving.http.bodies import read_body, replay
from serving.http.identity import Headers, header_values
from serving.peers.local import PEER, UnsafePeer, is_peer

MAX_ANSWER_BYTES: Final = 64 * 1_024 * 1_024
"""More than any answer of a node."""

SIGNED_HEADERS: Final = (b"authorization", *(name.encode() for name in BRIDGE_HEADERS))
"""Request headers that mean something to a node; their values are signed, absent ones as empty."""

_HEADER_NAME: Final = HEADER.encode()

logger = logging.getLogger(__name__)

Refuse = Callable[[Scope, Send, PartylineError], Awaitable[None]]


class SignedRequests:
    """ASGI middleware: a request with a good signature is a peer's, and its answer is signed.

    One with a bad signature ends here. One without is passed on as it came.

    Args:
        app: what is behind.
        verifier: of requests to this node.
        prefix: of the paths where signatures are looked at. Their answers end, and are held until
            then.
        max_bytes: the largest body taken.
        refuse: how each path answers a refusal.
    """

    def __init__(
        self, app: App, verifier: Verifier, *, prefix: str, max_bytes: int, refuse: Refuse
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._prefix = prefix
        self._max_bytes = max_bytes
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a signed request, or pass another one on."""
        if scope["type"] != "http" or not scope["path"].startswith(self._prefix) or is_peer(scope):
            await self._app(scope, receive, send)
            return
        signatures = header_values(scope["headers"], _HEADER_NAME)
        if not signatures:
            await self._app(scope, receive, send)
            return
        try:
            signature = self._take(scope, signatures)
            body = await read_body(scope, receive, max_bytes=self._max_bytes)
            if body_digest(body) != signature.body_digest:
                raise Unauthenticated("The body is not the one that was signed.")
        except AskAgain as again:
            held = _Held(send)
            await self._refuse(scope, held.take, Unauthenticated("Sign for this instance."))
            await held.release(self._verifier, again.signature, taken=False)
            return
        except PartylineError as error:
            logger.debug("a signed request was refused: %s", error.message)
            await self._refuse(scope, send, error)
            return
        held = _Held(send)
        extensions = {**scope.get("extensions", {}), PEER: True}
        await self._app({**scope, "extensions": extensions}, replay(body, receive), held.take)
        await held.release(self._verifier, signature)

    def _take(self, scope: Scope, signatures: list[str]) -> Signature:
        if len(signatures) > 1:
            raise Unauthenticated("The request has several signatures.")
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        request = Request(scope["method"], target, signed_values(scope["headers"]))
        return self._verifier.take(signatures[0], request, now=time.time())


class _Held:
    """An answer that is complete before it goes out, signed."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._parts: list[bytes] = []
        self._complete = False

    async def take(self, message: Message) -> None:
        """Take a message of the app's."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._parts.append(message.get("body", b""))
        self._complete = not message.get("more_body", False)

    async def release(
        self, verifier: Verifier, signature: Signature, *, taken: bool = True
    ) -> None:
        """Send it; an incomplete one is left so, and the connection is cut."""
        if self._start is None or not self._complete:
            return
        body = b"".join(self._parts)
        headers = list(self._start.get("headers", []))
        kind = next((value for name, value in headers if name.lower() == b"content-type"), b"")
        signed = verifier.sign(signature, Answer(self._start["status"], kind), body, taken=taken)
        headers.append((_HEADER_NAME, signed.encode()))
        await self._send({**self._start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


class SigningTransport(httpx.AsyncBaseTransport):
    """Signs each request and believes no answer but one to that very request.

    An answer is read to its end before it is given out. `UnsafePeer`: it is not signed as it
    should be, so somebody else may be at that address.

    Args:
        inner: sends the requests.
        signer: of requests to that node.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, signer: Signer) -> None:
        self._inner = inner
        self._signer = signer
        self._instance = UNKNOWN_INSTANCE

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; once more if the node has started anew since it was last asked."""
        response, taken = await self._ask(request)
        if not taken:
            response, taken = await self._ask(request)
        if not taken:
            raise UnsafePeer("it wants each request signed anew")
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    async def _ask(self, request: httpx.Request) -> tuple[httpx.Response, bool]:
        body = await request.aread()
        signed = Request(request.method, request.url.raw_path, signed_values(request.headers.raw))
        header, nonce = self._signer.sign(
            signed, body, at=int(time.time()), instance=self._instance
        )
        request.headers[HEADER] = header
        request.headers["Accept-Encoding"] = "identity"
        try:
            received = await self._inner.handle_async_request(request)
        except httpx.ConnectError as error:
            if _is_of_tls(error):  # it runs: nobody may take it for stopped
                raise UnsafePeer(
                    "its certificate is not trusted, or not for this name: PARTYLINE_CA_FILE"
                ) from None
            raise
        try:
            content = await _content(received)
        finally:
            await received.aclose()
        answer = Answer(
            received.status_code, received.headers.get("content-type", "").encode("latin-1")
        )
        try:
            taken, self._instance = self._signer.verify(
                received.headers.get(HEADER, ""), nonce, answer, content
            )
        except Unauthenticated:
            raise UnsafePeer(
                "its answer is not signed with our bridge.key: compare that file and the clocks, "
                "and PARTYLINE_SIGNED_REQUESTS there"
            ) from None
        response = httpx.Response(
            received.status_code, headers=received.headers, stream=httpx.ByteStream(content)
        )
        return response, taken


def _is_of_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


async def _content(response: httpx.Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise UnsafePeer("its answer is too large")
        parts.append(part)
    return b"".join(parts)


def signed_values(headers: Headers) -> tuple[bytes, ...]:
    """Values of `SIGNED_HEADERS`; several of one are joined, as a proxy may do."""
    headers = list(headers)
    return tuple(
        b", ".join(value for key, value in headers if key.lower() == name)
        for name in SIGNED_HEADERS
    )


def tcp_transport(url: str, ca_file: Path | None, limits: httpx.Limits) -> httpx.AsyncBaseTransport:
    """Sends requests to another machine; over https only to who has a certificate for its name.

    Args:
        url: where to.
        ca_file: certificates to trust instead of the system's, PEM.
        limits: of connections.

    Raises:
        ConfigurationError: the file cannot be used.
    """
    if not url.startswith("https:"):
        return httpx.AsyncHTTPTransport(verify=False, limits=limits)  # no TLS
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise ConfigurationError(
            "PARTYLINE_CA_FILE cannot be read, or holds no certificates in PEM"
        ) from None
    return httpx.AsyncHTTPTransport(verify=context, limits=limits)
