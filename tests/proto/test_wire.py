"""The bridge's format: what goes round, and that nothing but WireError comes of the rest."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto import wire
from proto.errors import WireError
from proto.messages import MAX_ID, Visibility
from proto.names import NAME_PATTERN
from proto.wire import MAX_HEADER_BYTES, VERSION, Event, decode, encode, unpack

MAX_BODY = 1000
REASONS = {"frames", "header", "version", "session", "chain", "body"}
HEADER: list[Any] = [VERSION, "epoch", 7, 3, "public", "claude-main", "claude", 5]

words = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=129)


@st.composite
def events(draw: Callable[..., Any]) -> Event:
    number = draw(st.none() | st.integers(1, MAX_ID))
    return Event(
        session_id=draw(st.from_regex(NAME_PATTERN, fullmatch=True)),
        epoch=draw(words.map(lambda word: word[:64])),
        id=number,
        prev=draw(st.integers(0, number - 1 if number else 0)),
        visibility=draw(st.sampled_from(Visibility)),
        principal=draw(words),
        sender_type=draw(words),
        published_ns=draw(st.integers(0, 2**63 - 1)),
        body=draw(st.binary(min_size=1, max_size=MAX_BODY)),
    )


def pack(fields: object) -> bytes:
    return msgspec.msgpack.encode(fields)


def changed(position: int, value: object) -> bytes:
    return pack([*HEADER[:position], value, *HEADER[position + 1 :]])


def reason(frames: list[bytes]) -> str:
    with pytest.raises(WireError) as refusal:
        decode(frames, max_body=MAX_BODY)
    return refusal.value.reason


@given(events())
def test_every_event_survives_encoding_and_decoding(event: Event) -> None:
    frames = encode(event)
    assert [type(frame) for frame in frames] == [bytes, bytes, bytes]
    assert decode(frames, max_body=MAX_BODY) == event


def test_the_frames_are_those_of_the_table() -> None:
    event = Event("demo", "e1", 9, 4, Visibility.PRIVATE, "me", "claude", 12, b"{}")
    session, header, body = encode(event)
    assert (session, body) == (b"demo", b"{}")
    assert msgspec.msgpack.decode(header) == [1, "e1", 9, 4, "private", "me", "claude", 12]


def test_an_ephemeral_event_has_nil_for_an_id() -> None:
    event = Event("demo", "", None, 0, Visibility.PUBLIC, "", "", 0, b"{}")
    assert msgspec.msgpack.decode(encode(event)[1])[2] is None
    assert decode(encode(event), max_body=2) == event


@given(st.lists(st.binary(max_size=64), max_size=5))
def test_arbitrary_bytes_raise_nothing_but_a_wire_error(frames: list[bytes]) -> None:
    assert reason(frames) in REASONS


@given(st.binary(max_size=MAX_HEADER_BYTES + 8))
def test_arbitrary_headers_raise_nothing_but_a_wire_error(header: bytes) -> None:
    assert reason([b"demo", header, b"{}"]) in {"header", "version"}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(0, 9), inner),
    ).map(pack)
)
def test_well_formed_msgpack_that_is_no_header_is_refused(header: bytes) -> None:
    assert reason([b"demo", header, b"{}"]) in {"header", "version"}


@given(st.integers(0, 60), st.integers(0, 255))
def test_one_flipped_byte_is_refused_or_another_valid_event(place: int, value: int) -> None:
    header = bytearray(pack(HEADER))
    header[place % len(header)] = value
    try:
        event = decode([b"demo", bytes(header), b"{}"], max_body=MAX_BODY)
    except WireError as error:
        assert error.reason in REASONS
    else:
        assert event.id is None or 0 <= event.prev < event.id <= MAX_ID


@pytest.mark.parametrize("count", [0, 1, 2, 4, 100])
def test_other_than_three_frames_are_refused(count: int) -> None:
    assert reason(([b"demo", pack(HEADER), b"{}"] * 40)[:count]) == "frames"


@pytest.mark.parametrize("length", range(len(pack(HEADER))))
def test_a_truncated_header_is_refused(length: int) -> None:
    assert reason([b"demo", pack(HEADER)[:length], b"{}"]) == "header"


@pytest.mark.parametrize(
    "header",
    [
        pack(HEADER) + b"\x00",
        pack(HEADER[:-1]),
        pack([*HEADER, None]),
        pack({"version": 1}),
        b"not msgpack",
        b"\xdd\xff\xff\xff\xff",  # an array that claims four billion fields
        b"\x91" * 1000,  # nested a thousand deep
        b"\x98\x01\xa2\xff\xfe",  # a string that is not UTF-8
        b"\x92\x01\x81\x80\x01",  # a map whose key is a map
        b"\x92\x01\xd6\xff\xff\xff\xff\xff",  # an extension type
        changed(0, "1"),
        changed(0, True),
        changed(1, "e" * 65),
        changed(1, b"epoch"),
        changed(2, 0),
        changed(2, -1),
        changed(2, 7.0),
        changed(2, True),
        changed(2, MAX_ID + 1),
        changed(3, -1),
        changed(3, None),
        changed(3, 2**63),
        changed(4, "everyone"),
        changed(4, None),
        changed(5, "p" * 130),
        changed(6, 7),
        changed(7, -1),
        changed(7, 2**64 - 1),
    ],
)
def test_a_header_of_another_form_is_refused(header: bytes) -> None:
    assert reason([b"demo", header, b"{}"]) == "header"


def test_an_oversized_header_is_not_looked_into() -> None:
    header = pack([2, "x" * MAX_HEADER_BYTES])
    assert reason([b"demo", header, b"{}"]) == "header"


@pytest.mark.parametrize("version", [0, 2, 3, 127, 128, 2**40, -1])
def test_another_version_is_told_apart_whatever_its_shape(version: int) -> None:
    for header in (changed(0, version), pack([version]), pack([version, {"new": "shape"}])):
        assert reason([b"demo", header, b"{}"]) == "version"


@pytest.mark.parametrize("prev", [7, 8, MAX_ID])
def test_a_chain_that_does_not_go_forward_is_refused(prev: int) -> None:
    assert reason([b"demo", changed(3, prev), b"{}"]) == "chain"


@pytest.mark.parametrize("body", [b"", b"x" * (MAX_BODY + 1)])
def test_an_empty_or_oversized_body_is_refused(body: bytes) -> None:
    assert reason([b"demo", pack(HEADER), body]) == "body"


def test_a_body_of_exactly_the_limit_is_taken() -> None:
    body = b"x" * MAX_BODY
    assert decode([b"demo", pack(HEADER), body], max_body=MAX_BODY).body == body


@pytest.mark.parametrize(
    "session",
    [b"", b".demo", b"demo\n", b"de mo", b"a" * 65, b"\xff\xfe", "é".encode(), b"demo\x00", b"a/b"],
)
def test_a_session_that_is_no_name_is_refused(session: bytes) -> None:
    assert reason([session, pack(HEADER), b"{}"]) == "session"


def test_bounds_are_inclusive() -> None:
    header = [1, "e" * 64, MAX_ID, MAX_ID - 1, "public", "p" * 129, "t" * 129, 2**63 - 1]
    event = decode([b"a" * 64, pack(header), b"x"], max_body=1)
    assert (event.id, event.prev, len(event.principal)) == (MAX_ID, MAX_ID - 1, 129)


@given(events())
def test_every_event_goes_round_as_a_payload(event: Event) -> None:
    found = unpack(event.session_id.encode(), wire.pack(event), max_body=MAX_BODY)
    assert found == event


@given(st.binary(max_size=64), st.binary(max_size=200))
def test_arbitrary_payloads_raise_nothing_but_a_wire_error(session: bytes, payload: bytes) -> None:
    with pytest.raises(WireError) as refusal:
        unpack(session, payload, max_body=MAX_BODY)
    assert refusal.value.reason in REASONS


def test_a_payload_is_the_header_with_its_length_and_the_body() -> None:
    event = Event("demo", "e1", 9, 4, Visibility.PRIVATE, "me", "claude", 12, b"{}")
    _, header, body = encode(event)
    assert wire.pack(event) == len(header).to_bytes(2, "big") + header + body
