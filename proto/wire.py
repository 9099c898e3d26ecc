"""The wire format of the bridge, version 1: an event as ZeroMQ frames.

A sender MUST send exactly three frames; a receiver MUST drop and count anything else.

=====  ========================  ====================================================
frame  content                   bounds
=====  ========================  ====================================================
0      session id, UTF-8         a name: ``[A-Za-z0-9][A-Za-z0-9._-]{0,63}``
1      header, msgpack array     8 fields, at most 1,024 bytes
2      body, UTF-8 JSON text     1 byte to the limit of a bridge message (2 MiB)
=====  ========================  ====================================================

Header: ``[version, epoch, id, prev, visibility, principal, sender_type, published_ns]``

=============  ==============  ===================================================
field          type            meaning
=============  ==============  ===================================================
version        int             1
epoch          str             the log's epoch, 0 to 64 characters
id             int or nil      1 to 2**53; nil: an ephemeral event
prev           int             0 to id - 1: the message before it in its session
visibility     str             public, private, agent_only, admin_only
principal      str             whose rights were used, at most 129 characters
sender_type    str             agent type of the sender, at most 129 characters
published_ns   int             sender's CLOCK_MONOTONIC, nanoseconds; 0 if unknown
=============  ==============  ===================================================

The body is the WebSocket frame ready to send (`proto.frames`); a receiver SHOULD NOT parse it.

Over HTTP, an event with an id is a POST to ``/broadcast/{session_id}`` with the same body. Epoch,
prev, visibility, principal and sender_type are in the headers `BRIDGE_HEADERS`.

Over NATS the session id is in the subject (`proto.subjects`), and the payload is the header's
length in two bytes (big-endian), the header, and the body.
"""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from proto.errors import WireError
from proto.frames import message_frame
from proto.messages import MAX_ID, Message, Visibility
from proto.names import is_name

VERSION: Final = 1
MAX_HEADER_BYTES: Final = 1024
MAX_WORD_CHARS: Final = 129
MAX_EPOCH_CHARS: Final = 64

BROADCAST_PREFIX: Final = "/broadcast/"
EPOCH_HEADER: Final = "x-partyline-epoch"
PREV_HEADER: Final = "x-partyline-prev"
PRINCIPAL_HEADER: Final = "x-partyline-principal"
VISIBILITY_HEADER: Final = "x-partyline-visibility"
SENDER_TYPE_HEADER: Final = "x-partyline-sender-type"
BRIDGE_HEADERS: Final = (
    EPOCH_HEADER,
    PREV_HEADER,
    PRINCIPAL_HEADER,
    VISIBILITY_HEADER,
    SENDER_TYPE_HEADER,
)
"""In the order in which they are signed."""

_Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Word = Annotated[str, msgspec.Meta(max_length=MAX_WORD_CHARS)]
_Epoch = Annotated[str, msgspec.Meta(max_length=MAX_EPOCH_CHARS)]


class Event(msgspec.Struct, frozen=True, gc=False):
    """An event on its way to viewers: an entry of the log (``id`` is set) or an external one."""

    session_id: str
    epoch: str
    id: int | None
    prev: int
    visibility: Visibility
    principal: str
    sender_type: str
    published_ns: int
    body: bytes


def message_event(message: Message, epoch: str, published_ns: int = 0) -> Event:
    """The event of an entry of the log, with the frame that viewers get.

    Args:
        message: a committed entry.
        epoch: of its log.
        published_ns: see the table above; 0 if it was read from the log.
    """
    return Event(
        message.session_id,
        epoch,
        message.id,
        message.prev,
        message.visibility,
        message.principal,
        message.sender_type,
        published_ns,
        message_frame(message),
    )


class _Header(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    version: int
    epoch: _Epoch
    id: _Id | None
    prev: _Count
    visibility: Visibility
    principal: _Word
    sender_type: _Word
    published_ns: _Count


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Header).decode


def encode(event: Event) -> list[bytes]:
    """The three frames of an event."""
    return [event.session_id.encode(), _header(event), event.body]


def pack(event: Event) -> bytes:
    """The payload of an event over NATS."""
    header = _header(event)
    return b"%b%b%b" % (len(header).to_bytes(2, "big"), header, event.body)


def unpack(session_id: bytes, payload: bytes, *, max_body: int) -> Event:
    """The event of a payload from NATS.

    Args:
        session_id: from the subject.
        payload: as it came.
        max_body: as for `decode`.

    Raises:
        WireError: as `decode`.
    """
    end = 2 + int.from_bytes(payload[:2], "big")
    return decode((session_id, payload[2:end], payload[end:]), max_body=max_body)


def _header(event: Event) -> bytes:
    header = _Header(
        VERSION,
        event.epoch,
        event.id,
        event.prev,
        event.visibility,
        event.principal,
        event.sender_type,
        event.published_ns,
    )
    return _encode(header)


def decode(frames: Sequence[bytes], *, max_body: int) -> Event:
    """The event of three frames.

    Args:
        frames: as received.
        max_body: maximum size of the body in bytes.

    Raises:
        WireError: with the reason ``frames``, ``header``, ``version``, ``session``, ``chain`` or
            ``body``. No other exception is raised, whatever the bytes are.
    """
    if len(frames) != 3:
        raise WireError("frames")
    raw_session, raw_header, body = frames
    if len(raw_header) > MAX_HEADER_BYTES:
        raise WireError("header")
    try:
        header = _decode(raw_header)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise WireError("version" if _foreign_version(raw_header) else "header") from None
    if header.version != VERSION:
        raise WireError("version")
    if not 0 < len(body) <= max_body:
        raise WireError("body")
    if header.id is not None and header.prev >= header.id:
        raise WireError("chain")
    try:
        session_id = raw_session.decode("ascii")
    except UnicodeDecodeError:
        raise WireError("session") from None
    if not is_name(session_id):
        raise WireError("session")
    return Event(
        session_id,
        header.epoch,
        header.id,
        header.prev,
        header.visibility,
        header.principal,
        header.sender_type,
        header.published_ns,
        body,
    )


def _foreign_version(raw_header: bytes) -> bool:
    """Whether the header is an array that begins with another version number."""
    try:
        fields = msgspec.msgpack.decode(raw_header)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return (
        isinstance(fields, list)
        and bool(fields)
        and type(fields[0]) is int
        and fields[0] != VERSION
    )
