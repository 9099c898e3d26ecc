"""Signed requests between nodes on different machines: authenticated both ways, without replay.

Both nodes have the bridge key. A request has the header ``X-Partyline-Signature``::

    v1 <time> <nonce> <instance> <body digest> <mac>

and its answer::

    v1 <taken|again> <instance> <mac>

=============  ==============================================================================
field          meaning
=============  ==============================================================================
time           seconds of Unix time, by the client's clock
nonce          32 hex digits, new for each request
instance       32 hex digits chosen by the server's process; zeros while the client knows none
digest         SHA-256 of the body, hex
mac            HMAC-SHA256, hex, over the parts that `_request` and `_answer` list
taken, again   taken: the request was accepted. again: it was signed for another instance and
               not executed; the client may sign it again for the instance in the answer
=============  ==============================================================================

A server accepts a request once, if it is signed for the server's instance and its time is within
`WINDOW_SECONDS` of the server's clock. It chooses a new instance when it starts, when its clock is
set back, and when it has accepted `MOST_NONCES` requests within the window: signatures for the
former instance are then invalid. So no request is accepted twice, with bounded memory, also after
a restart and with several workers.
"""

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from typing import Final, Literal, NamedTuple

from proto.errors import Unauthenticated

HEADER: Final = "x-partyline-signature"

WINDOW_SECONDS: Final = 30
MOST_NONCES: Final = 65_536
UNKNOWN_INSTANCE: Final = "0" * 32

Audience = Literal["mcp_node", "ws_node"]
"""The server: a request signed for one node is invalid for the other."""

_REQUEST: Final = re.compile(
    r"v1 ([0-9]{1,12}) ([0-9a-f]{32}) ([0-9a-f]{32}) ([0-9a-f]{64}) ([0-9a-f]{64})"
)
_ANSWER: Final = re.compile(r"v1 (taken|again) ([0-9a-f]{32}) ([0-9a-f]{64})")
_REFUSED: Final = "The request's signature is not valid."


class Request(NamedTuple):
    """The parts of a request that are signed, besides its body.

    Attributes:
        method: such as ``GET``.
        target: path and query as they are sent.
        headers: values of the headers that the server reads, in a fixed order.
    """

    method: str
    target: bytes
    headers: tuple[bytes, ...] = ()


class Answer(NamedTuple):
    """The parts of an answer that are signed, besides its body."""

    status: int
    content_type: bytes


class Signature(NamedTuple):
    """A verified signature of a request."""

    nonce: str
    instance: str
    body_digest: str


class WrongInstance(Exception):
    """The request was signed with our key, but for another instance.

    Args:
        signature: of the request, for the answer that asks to sign again.
    """

    def __init__(self, signature: Signature) -> None:
        super().__init__("signed for another instance")
        self.signature = signature


class Signer:
    """The client's side: signs requests and verifies their answers.

    Args:
        key: the bridge key.
        audience: the server.
    """

    def __init__(self, key: bytes, audience: Audience) -> None:
        self._key = key
        self._audience = audience

    def sign(
        self, request: Request, body: bytes, *, at: int, instance: str = UNKNOWN_INSTANCE
    ) -> tuple[str, str]:
        """The header of a request, and its nonce."""
        nonce, digest = secrets.token_hex(16), body_digest(body)
        mac = _request(self._key, self._audience, request, str(at), nonce, instance, digest)
        return f"v1 {at} {nonce} {instance} {digest} {mac}", nonce

    def verify(self, header: str, nonce: str, answer: Answer, body: bytes) -> tuple[bool, str]:
        """Whether the request was accepted, and the server's instance.

        Args:
            header: of the answer.
            nonce: of the request.
            answer: as received.
            body: as received.

        Raises:
            Unauthenticated: the answer is not signed with the key, or for another request.
        """
        found = _ANSWER.fullmatch(header)
        if found is None:
            raise Unauthenticated("The answer is not signed.")
        verdict, instance, mac = found.groups()
        expected = _answer(self._key, self._audience, nonce, verdict, instance, answer, body)
        if not hmac.compare_digest(expected, mac):
            raise Unauthenticated("The answer's signature is not valid.")
        return verdict == "taken", instance


class Verifier:
    """The server's side: accepts each signed request once, and signs the answers.

    Args:
        key: the bridge key.
        audience: the server.

    Attributes:
        instance: the instance that requests must be signed for.
    """

    def __init__(self, key: bytes, audience: Audience) -> None:
        self._key = key
        self._audience = audience
        self._nonces: OrderedDict[str, int] = OrderedDict()
        self._latest = 0.0
        self.instance = secrets.token_hex(16)

    def verify(self, header: str, request: Request, *, now: float) -> Signature:
        """Accept a request. The caller must still compare its body with the digest.

        Args:
            header: of the request.
            request: as received.
            now: seconds of Unix time.

        Raises:
            Unauthenticated: it was not signed with the key, its time is outside of the window, or
                it was accepted before.
            WrongInstance: it was signed for another instance.
        """
        found = _REQUEST.fullmatch(header)
        if found is None:
            raise Unauthenticated(_REFUSED)
        at, nonce, instance, digest, mac = found.groups()
        expected = _request(self._key, self._audience, request, at, nonce, instance, digest)
        if not hmac.compare_digest(expected, mac):
            raise Unauthenticated(_REFUSED)
        self._forget(now)
        signature = Signature(nonce, instance, digest)
        if instance != self.instance:
            raise WrongInstance(signature)
        if abs(now - int(at)) > WINDOW_SECONDS:
            raise Unauthenticated("The request was signed at another time: compare the clocks.")
        if nonce in self._nonces:
            raise Unauthenticated("The request was received before.")
        self._nonces[nonce] = int(at)
        return signature

    def sign(
        self, signature: Signature, answer: Answer, body: bytes, *, accepted: bool = True
    ) -> str:
        """The header of an answer to a request."""
        verdict = "taken" if accepted else "again"
        instance = signature.instance if accepted else self.instance
        mac = _answer(self._key, self._audience, signature.nonce, verdict, instance, answer, body)
        return f"v1 {verdict} {instance} {mac}"

    def _forget(self, now: float) -> None:
        """Drop nonces that are outside of the window; all of them, with a new instance, if must be.

        Without the time or the room to know what was accepted, only a new instance prevents replay.
        """
        if now < self._latest or len(self._nonces) >= MOST_NONCES:
            self._nonces.clear()
            self.instance = secrets.token_hex(16)
        self._latest = now
        # In order of arrival: one from a fast clock keeps those behind it longer than needed.
        while self._nonces and next(iter(self._nonces.values())) + WINDOW_SECONDS < now:
            self._nonces.popitem(last=False)


def body_digest(body: bytes) -> str:
    """SHA-256 of a body, hex."""
    return hashlib.sha256(body).hexdigest()


def _request(
    key: bytes, audience: str, request: Request, at: str, nonce: str, instance: str, digest: str
) -> str:
    texts = ("request", audience, request.method, at, nonce, instance, digest)
    return _mac(key, (*map(str.encode, texts), request.target, *request.headers))


def _answer(
    key: bytes,
    audience: str,
    nonce: str,
    verdict: str,
    instance: str,
    answer: Answer,
    body: bytes,
) -> str:
    texts = ("answer", audience, nonce, verdict, instance, str(answer.status), body_digest(body))
    return _mac(key, (*map(str.encode, texts), answer.content_type))


def _mac(key: bytes, parts: tuple[bytes, ...]) -> str:
    """HMAC over parts, each prefixed with its length: different parts never give the same bytes."""
    message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.new(key, message, hashlib.sha256).hexdigest()
