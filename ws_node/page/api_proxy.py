"""A proxy for the page's requests: an allow-list of ``/api/*`` is forwarded to mcp_node.

A page may send requests to its own origin only, which is this node's. A forwarded request carries
the caller's token and no other header of the caller. This node adds no rights of its own, and
routes between the nodes are not in the list.

`Doors` has checked Host and Origin before. The token is verified here too, before a body is read,
so that callers without one cost mcp_node nothing. The requests under way are limited, in total and
for each principal. Redeeming a code needs no token and has a limit of its own, so that bad codes,
which are answered late, do not use up the limit of others.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator
from typing import Final

import httpx

from proto.errors import InvalidInput, Overloaded, PartylineError, Unavailable
from proto.internal_api import MAX_REDEEM_BYTES, REDEEM
from proto.messages import ANONYMOUS
from proto.names import NAME_PATTERN
from proto.settings import Settings
from serving.http.asgi import Receive, Scope, Send
from serving.http.bodies import check_media_type, read_body
from serving.http.identity import Identity, header_values
from serving.http.problems import send_problem
from serving.peers.clients import mcp_client
from serving.quota import ConcurrencyLimit

AT_ONCE: Final = 256
AT_ONCE_EACH: Final = 8
"""Most requests under way, in total and of one principal; more wait."""

REDEEMING: Final = 256
"""Most codes being redeemed; more are refused."""

ANSWER_SECONDS: Final = 10.0
"""How long mcp_node may take to begin its answer."""

PASSING_SECONDS: Final = 30.0
"""How long the rest of the answer may take, to receive and to send."""

MAX_ANSWER_BYTES: Final = 64 * 1_024 * 1_024
"""Most bytes of an answer, above any page of the log; a larger one is cut off."""

_SESSION: Final = rf"/api/sessions/{NAME_PATTERN}"
_MESSAGE: Final = rf"{_SESSION}/messages/[0-9]{{1,16}}"
_REACTION: Final = rf"{_MESSAGE}/reactions/[a-z]{{1,16}}"
_KEY: Final = r"[A-Za-z0-9._~%-]{1,1536}"
"""A key of 128 characters, encoded."""

_ROUTES: Final[dict[str, re.Pattern[str]]] = {
    method: re.compile("|".join(f"(?:{path})" for path in paths))
    for method, paths in {
        "GET": [
            "/api/sessions",
            _SESSION,
            f"{_SESSION}/messages",
            f"{_MESSAGE}/revisions",
            f"{_SESSION}/agents",
            f"{_SESSION}/claims",
            f"{_SESSION}/notes",
            rf"{_SESSION}/notes/{_KEY}",
            "/api/search",
        ],
        "POST": [
            "/api/sessions",
            f"{_SESSION}/messages",
            f"{_SESSION}/claims",
            f"{_SESSION}/claims/release",
            f"{_SESSION}/close",
            f"{_SESSION}/leave",
            f"{_SESSION}/read",
            REDEEM,
        ],
        "PUT": [_REACTION, rf"{_SESSION}/notes/{_KEY}", f"{_SESSION}/status"],
        "PATCH": [_SESSION, _MESSAGE],
        "DELETE": [_MESSAGE, _REACTION],
    }.items()
}
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_QUERY: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/?%-]{0,4096}")
_PASSED_BACK: Final = frozenset(
    {"content-type", "content-length", "cache-control", "retry-after", "www-authenticate"}
)

logger = logging.getLogger(__name__)


def allowed(scope: Scope) -> bool:
    """Whether an HTTP request is one that is passed on: method and path, exactly as they came.

    The path is taken as it stood in the request: an encoded slash or dot is no slash or dot.
    """
    routes = _ROUTES.get(scope["method"])
    path = scope.get("raw_path") or b""
    return routes is not None and routes.fullmatch(path.decode("latin-1")) is not None


class ApiProxy:
    """Passes requests on that are `allowed`.

    Args:
        settings: where mcp_node is, and the largest body.
        identity: verifies tokens.
    """

    def __init__(self, settings: Settings, identity: Identity) -> None:
        self._identity = identity
        self._max_bytes = settings.max_body_bytes
        self._seconds = ANSWER_SECONDS + settings.failed_token_seconds
        self._places = asyncio.Semaphore(AT_ONCE)
        self._own = ConcurrencyLimit(AT_ONCE_EACH)
        self._redeeming = 0
        self._client = mcp_client(
            settings,
            timeout=httpx.Timeout(self._seconds, connect=1.0),
            limits=httpx.Limits(max_connections=AT_ONCE + REDEEMING, keepalive_expiry=30),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with mcp_node's answer, or with a problem if there is none."""
        try:
            request = await self._request(scope, receive)
            async with self._place(scope), self._answer(request) as answer:
                await _pass_back(answer, send)
        except PartylineError as error:
            await send_problem(send, error)

    async def _request(self, scope: Scope, receive: Receive) -> httpx.Request:
        """The request to mcp_node.

        Raises:
            PartylineError: the caller's request is refused here.
        """
        redeems = scope["raw_path"] == REDEEM.encode()
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if not redeems:
            self._identity.from_headers(scope["headers"])
            for value in header_values(scope["headers"], b"authorization"):
                headers["Authorization"] = value
        query = scope["query_string"].decode("latin-1")
        if not _QUERY.fullmatch(query):
            raise InvalidInput("The address has parameters that cannot be read.")
        body = b""
        if scope["method"] in _WITH_BODY:
            check_media_type(scope)
            headers["Content-Type"] = "application/json"
            most = MAX_REDEEM_BYTES if redeems else self._max_bytes
            body = await read_body(scope, receive, max_bytes=most)
        path = scope["raw_path"] + (b"?" + query.encode() if query else b"")
        url = self._client.base_url.copy_with(raw_path=path)
        return self._client.build_request(scope["method"], url, headers=headers, content=body)

    @contextlib.asynccontextmanager
    async def _place(self, scope: Scope) -> AsyncIterator[None]:
        """Count a request against its limit, and wait if that is the principal's or the total."""
        if scope["raw_path"] == REDEEM.encode():
            if self._redeeming >= REDEEMING:
                raise Overloaded("Too many links are being opened.", "Try again in a moment.")
            self._redeeming += 1
            try:
                yield
            finally:
                self._redeeming -= 1
            return
        principal = self._identity.from_headers(scope["headers"])
        nobody = principal.agent_id == ANONYMOUS  # many callers, so no limit for each
        turn = contextlib.nullcontext() if nobody else self._own.of(principal.agent_id)
        async with turn, self._places:
            yield

    @contextlib.asynccontextmanager
    async def _answer(self, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        """mcp_node's answer; its head is read, its body is not.

        Raises:
            Unavailable: mcp_node does not answer.
        """
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._client.send(request, stream=True)
        except Exception as error:  # httpx also raises others: of its pool, sockets and parsers
            logger.debug("forwarding failed: %s", type(error).__name__)
            hint = "Try again in a moment."
            if request.method != "GET" and not isinstance(error, httpx.ConnectError):
                hint = "It may have been done: check before you try again."
            raise Unavailable("mcp_node does not answer.", hint) from None
        try:
            yield answer
        finally:
            await answer.aclose()


async def _pass_back(answer: httpx.Response, send: Send) -> None:
    """Forward an answer as it arrives.

    One that breaks off, takes too long or is too large is left incomplete: the server then aborts
    the connection, so that the client knows.
    """
    headers = [
        (name.lower(), value)
        for name, value in answer.headers.raw
        if name.lower().decode("latin-1") in _PASSED_BACK
    ]
    if not any(name == b"cache-control" for name, _ in headers):
        headers.append((b"cache-control", b"no-store"))
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    size = 0
    try:
        async with asyncio.timeout(PASSING_SECONDS):
            async for chunk in answer.aiter_raw():
                size += len(chunk)
                if size > MAX_ANSWER_BYTES:
                    return
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except Exception as error:  # as above
        logger.debug("an answer broke off: %s", type(error).__name__)
        return
    await send({"type": "http.response.body", "body": b"", "more_body": False})
