"""Signed requests between nodes on different machines: who asked, who answered, and only once.

Both sides hold the bridge key. A request carries ``X-Partyline-Signature``::

    v1 <time> <nonce> <instance> <body digest> <mac>

and so does its answer::

    v1 <taken|again> <instance> <mac>

=============  ==============================================================================
field          meaning
=============  ==============================================================================
time           seconds of Unix time, by the clock of whoever asks
nonce          32 hex digits, new for each request
instance       32 hex digits that the asked process chose; zeros while the asker knows none
digest         SHA-256 of the body, hex
mac            HMAC-SHA256, hex, over what the tables in `_request` and `_answer` list
taken, again   the request was answered; or: it named another instance, was not executed, and
               may be signed again for this one
=============  ==============================================================================

A request is taken only for the instance that receives it, within `WINDOW_SECONDS` of its clock,
and once. An instance is forgotten when its process ends, when its clock is set back, and when it
has taken `MOST_NONCES` requests within the window; what was signed for it is worth nothing then.
So no request is taken twice, in bounded memory, also across a restart and several workers.
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
"""Who is asked: a request to one node means nothing to the other."""

_REQUEST: Final = re.compile(
    r"v1 ([0-9]{1,12}) ([0-9a-f]{32}) ([0-9a-f]{32}) ([0-9a-f]{64}) ([0-9a-f]{64})"
)
_ANSWER: Final = re.compile(r"v1 (taken|again) ([0-9a-f]{32}) ([0-9a-f]{64})")
_REFUSED: Final = "The request's signature is not valid."


class Request(NamedTuple):
    """What of a request is signed.

    Attributes:
        method: such as ``GET``.
        target: path and query as they are sent.
        headers: values of the headers that mean something to whoever is asked, in a fixed order.
    """

    method: str
    target: bytes
    headers: tuple[bytes, ...] = ()


class Answer(NamedTuple):
    """What of an answer is signed, its body aside."""

    status: int
    content_type: bytes


class Signature(NamedTuple):
    """A request's signature that was verified."""

    nonce: str
    instance: str
    body_digest: str


class AskAgain(Exception):
    """The request was signed with our key, but for another instance.

    Args:
        signature: of the request, for the answer that says so.
    """

    def __init__(self, signature: Signature) -> None:
        super().__init__("signed for another instance")
        self.signature = signature


class Signer:
    """Whoever asks: signs requests and verifies their answers.

    Args:
        key: the bridge key.
        audience: who is asked.
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
        """Whether the request was taken, and by which instance.

        Args:
            header: of the answer.
            nonce: of the request.
            answer: what was received.
            body: what was received.

        Raises:
            Unauthenticated: whoever answered does not have the key, or answered something else.
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
    """Whoever is asked: takes each signed request once, and signs the answers.

    Args:
        key: the bridge key.
        audience: who this is.

    Attributes:
        instance: what requests have to be signed for.
    """

    def __init__(self, key: bytes, audience: Audience) -> None:
        self._key = key
        self._audience = audience
        self._taken: OrderedDict[str, int] = OrderedDict()
        self._latest = 0.0
        self.instance = secrets.token_hex(16)

    def take(self, header: str, request: Request, *, now: float) -> Signature:
        """Take a request, whose body is still to be compared with the digest.

        Args:
            header: of the request.
            request: what was received.
            now: seconds of Unix time.

        Raises:
            Unauthenticated: it was not signed with the key, too long ago, for a time to come, or
                was taken before.
            AskAgain: it was signed for another instance.
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
            raise AskAgain(signature)
        if abs(now - int(at)) > WINDOW_SECONDS:
            raise Unauthenticated("The request was signed at another time: compare the clocks.")
        if nonce in self._taken:
            raise Unauthenticated("The request was taken before.")
        self._taken[nonce] = int(at)
        return signature

    def sign(self, signature: Signature, answer: Answer, body: bytes, *, taken: bool = True) -> str:
        """The header of an answer to a request."""
        verdict = "taken" if taken else "again"
        instance = signature.instance if taken else self.instance
        mac = _answer(self._key, self._audience, signature.nonce, verdict, instance, answer, body)
        return f"v1 {verdict} {instance} {mac}"

    def _forget(self, now: float) -> None:
        """Forget what is too old to be taken again; everything, with the instance, if need be."""
        if now < self._latest or len(self._taken) >= MOST_NONCES:
            self._taken.clear()
            self.instance = secrets.token_hex(16)
        self._latest = now
        # In the order they were taken: one that is ahead of its time holds up those behind it.
        while self._taken and next(iter(self._taken.values())) + WINDOW_SECONDS < now:
            self._taken.popitem(last=False)


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
    """HMAC over parts, each behind its length: no two lists of parts are the same bytes."""
    message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.new(key, message, hashlib.sha256).hexdigest()
