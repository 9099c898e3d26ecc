"""Signed requests over tcp: `proto.signing` as ASGI middleware, and as a transport of httpx."""

import logging
import ssl
import time
from pathlib import Path
from typing import Final

import httpx

from proto.errors import ConfigurationError, PartylineError, Unauthenticated
from proto.signing import (
    HEADER,
    UNKNOWN_INSTANCE,
    Answer,
    Request,
    Signature,
    Signer,
    Verifier,
    WrongInstance,
    body_digest,
)
from proto.wire import BRIDGE_HEADERS
from serving.http.asgi import App, Message, Receive, Refuse, Scope, Send
from serving.http.bodies import read_body, replay
from serving.http.identity import Headers, header_values
from serving.peers.local import PEER, UnsafePeer, is_peer

MAX_ANSWER_BYTES: Final = 64 * 1_024 * 1_024
"""Larger than any answer of a node."""

SIGNED_HEADERS: Final = (b"authorization", *(name.encode() for name in BRIDGE_HEADERS))
"""Request headers that a node reads; their values are signed, absent ones as empty."""

_HEADER_NAME: Final = HEADER.encode()

logger = logging.getLogger(__name__)


class SignedRequests:
    """ASGI middleware: marks a request with a valid signature as a peer's, and signs its answer.

    A request with an invalid signature is refused. One without a signature is passed on unchanged.

    Args:
        app: the wrapped app.
        verifier: of requests to this node.
        prefix: of the paths where signatures are verified. Their answers are buffered, so they
            must end.
        max_bytes: the largest body accepted.
        refuse: answers a refused request.
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
        """Answer a signed request, or pass the request on."""
        if scope["type"] != "http" or not scope["path"].startswith(self._prefix) or is_peer(scope):
            await self._app(scope, receive, send)
            return
        signatures = header_values(scope["headers"], _HEADER_NAME)
        if not signatures:
            await self._app(scope, receive, send)
            return
        try:
            signature = self._verify(scope, signatures)
            body = await read_body(scope, receive, max_bytes=self._max_bytes)
            if body_digest(body) != signature.body_digest:
                raise Unauthenticated("The body is not the one that was signed.")
        except WrongInstance as error:
            held = _HeldAnswer(send)
            await self._refuse(scope, held.send, Unauthenticated("Sign for this instance."))
            await held.release(self._verifier, error.signature, accepted=False)
            return
        except PartylineError as error:
            logger.debug("a signed request was refused: %s", error.message)
            await self._refuse(scope, send, error)
            return
        held = _HeldAnswer(send)
        extensions = {**scope.get("extensions", {}), PEER: True}
        await self._app({**scope, "extensions": extensions}, replay(body, receive), held.send)
        await held.release(self._verifier, signature)

    def _verify(self, scope: Scope, signatures: list[str]) -> Signature:
        if len(signatures) > 1:
            raise Unauthenticated("The request has several signatures.")
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        request = Request(scope["method"], target, signed_values(scope["headers"]))
        return self._verifier.verify(signatures[0], request, now=time.time())


class _HeldAnswer:
    """An answer that is buffered until it is complete, then signed and sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._parts: list[bytes] = []
        self._complete = False

    async def send(self, message: Message) -> None:
        """Buffer a message; the app's ``send``."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._parts.append(message.get("body", b""))
        self._complete = not message.get("more_body", False)

    async def release(
        self, verifier: Verifier, signature: Signature, *, accepted: bool = True
    ) -> None:
        """Sign and send the answer; nothing of an incomplete one, which the server then cuts."""
        if self._start is None or not self._complete:
            return
        body = b"".join(self._parts)
        headers = list(self._start.get("headers", []))
        kind = next((value for name, value in headers if name.lower() == b"content-type"), b"")
        signed = verifier.sign(
            signature, Answer(self._start["status"], kind), body, accepted=accepted
        )
        headers.append((_HEADER_NAME, signed.encode()))
        await self._send({**self._start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


class SigningTransport(httpx.AsyncBaseTransport):
    """Signs each request, and accepts only an answer that is signed for that request.

    An answer is read to its end before it is returned. It raises `UnsafePeer` if the answer's
    signature is missing or invalid: another server may be at that address.

    Args:
        inner: sends the requests.
        signer: of requests to that node.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, signer: Signer) -> None:
        self._inner = inner
        self._signer = signer
        self._instance = UNKNOWN_INSTANCE

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; a second time if the node has restarted since the last one."""
        response, accepted = await self._ask(request)
        if not accepted:
            response, accepted = await self._ask(request)
        if not accepted:
            raise UnsafePeer("it keeps asking for a new signature")
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
            if _is_of_tls(error):  # not a ConnectError: the node does run
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
            accepted, self._instance = self._signer.verify(
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
        return response, accepted


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
    """Values of `SIGNED_HEADERS`. Repeated headers are joined, as a proxy may do on the way."""
    headers = list(headers)
    return tuple(
        b", ".join(value for key, value in headers if key.lower() == name)
        for name in SIGNED_HEADERS
    )


def tcp_transport(url: str, ca_file: Path | None, limits: httpx.Limits) -> httpx.AsyncBaseTransport:
    """A transport to another machine; over https, the server's certificate is verified.

    Args:
        url: of the other node.
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
