"""The JSON text of frames: the exact bytes a browser gets, and what they mean."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.frames import (
    PONG_FRAME,
    RESERVED_TYPES,
    after_change,
    changed_by,
    error_frame,
    external_frame,
    message_frame,
    subscribed_frame,
)
from proto.messages import MAX_ID, Kind, Message, Visibility, encode_metadata

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
json_objects = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | st.integers(-MAX_ID, MAX_ID) | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)
messages = st.builds(
    Message,
    id=st.integers(1, MAX_ID),
    prev=st.just(0),
    session_id=st.just("demo"),
    principal=texts,
    sender=texts,
    sender_type=texts,
    content=texts,
    visibility=st.sampled_from(Visibility),
    timestamp=st.just("2026-11-23T21:30:00.123456Z"),
    metadata=json_objects.map(encode_metadata),
    parent_message_id=st.none() | st.integers(1, MAX_ID),
)


def a_message(**changes: Any) -> Message:
    fields: dict[str, Any] = {
        "id": 42,
        "prev": 41,
        "session_id": "demo",
        "principal": "secret-principal",
        "sender": "claude/reviewer",
        "sender_type": "claude",
        "content": 'say "hi"\n\u2028é',
        "visibility": Visibility.PUBLIC,
        "timestamp": "2026-11-23T21:30:00.123456Z",
        "metadata": encode_metadata({"k": [1, 2.5, None]}),
        "parent_message_id": None,
    }
    return Message(**(fields | changes))


def test_the_bytes_of_a_message_are_fixed() -> None:
    assert message_frame(a_message()).decode() == (
        '{"type":"new_message","session_id":"demo","position":42,"data":{"id":42,'
        '"sender":"claude/reviewer","sender_type":"claude","content":"say \\"hi\\"\\n\u2028é",'
        '"visibility":"public","timestamp":"2026-11-23T21:30:00.123456Z",'
        '"metadata":{"k":[1,2.5,null]},"parent_message_id":null}}'
    )


def test_neither_the_principal_nor_the_chain_is_shown() -> None:
    frame = json.loads(message_frame(a_message()))
    assert "secret-principal" not in json.dumps(frame)
    assert "prev" not in frame and "prev" not in frame["data"]


@given(messages)
def test_a_message_comes_back_as_rest_shows_it(message: Message) -> None:
    frame = json.loads(message_frame(message))
    assert list(frame) == ["type", "session_id", "position", "data"]
    assert frame["position"] == frame["data"]["id"] == message.id
    assert list(frame["data"].items()) == list(message.shown().items())


@given(messages)
def test_one_message_always_makes_the_same_bytes(message: Message) -> None:
    again = Message(**{name: getattr(message, name) for name in message.__struct_fields__})
    assert message_frame(again) == message_frame(message)


def deleted(message: Message) -> Message:
    return msgspec.structs.replace(
        message, content="", metadata=encode_metadata(None), deleted=True
    )


@given(messages)
def test_a_frame_without_texts_is_the_frame_of_the_deleted_message(message: Message) -> None:
    left = message_frame(deleted(message))
    deletion = message_frame(a_message(content="", about=message.id, kind=Kind.DELETION))
    assert after_change(message_frame(message), deletion) == left == after_change(left, deletion)
    data = json.loads(left)["data"]
    assert (data["content"], data["metadata"], data["deleted"]) == ("", {}, True)
    assert data == deleted(message).shown()


def test_the_bytes_of_a_deletion_are_fixed() -> None:
    frame = message_frame(a_message(content="", about=7))
    assert frame == (
        b'{"type":"message_deleted","session_id":"demo","position":42,"data":{"id":7}}'
    )
    assert changed_by(frame) == 7


@given(messages, texts.filter(bool), json_objects)
def test_a_frame_after_an_edit_is_the_frame_of_the_edited_message(
    message: Message, content: str, metadata: dict[str, Any]
) -> None:
    edit = msgspec.structs.replace(
        a_message(content=content, metadata=encode_metadata(metadata)),
        about=message.id,
        kind=Kind.EDIT,
    )
    edited = msgspec.structs.replace(
        message, content=content, metadata=edit.metadata, edited_at=edit.timestamp
    )
    frame = message_frame(edit)
    assert changed_by(frame) == message.id
    assert after_change(message_frame(message), frame) == message_frame(edited)
    assert json.loads(message_frame(edited))["data"] == edited.shown()
    emptied = message_frame(msgspec.structs.replace(edit, content=""))
    assert json.loads(emptied)["data"] == {"id": message.id}
    assert after_change(frame, b'{"type":"message_deleted",') == emptied
    assert changed_by(emptied) is None


def test_the_bytes_of_an_edit_and_of_a_reaction_are_fixed() -> None:
    edit = a_message(content="new", metadata=encode_metadata({"k": 1}), about=7, kind=Kind.EDIT)
    assert message_frame(edit) == (
        b'{"type":"message_edited","session_id":"demo","position":42,"data":{"id":7,'
        b'"content":"new","metadata":{"k":1},"edited_at":"2026-11-23T21:30:00.123456Z"}}'
    )
    details = msgspec.Raw(b'{"reaction":"ack","removed":false}')
    reaction = a_message(content="", about=7, kind=Kind.REACTION, details=details)
    assert message_frame(reaction) == (
        b'{"type":"message_reacted","session_id":"demo","position":42,"data":{"id":7,'
        b'"sender":"claude/reviewer","reaction":"ack","removed":false}}'
    )
    assert changed_by(message_frame(reaction)) is None


def test_a_reaction_has_no_text_that_could_change() -> None:
    with pytest.raises(ValueError, match="no text"):
        after_change(b'{"type":"message_reacted"}', b"")


@given(messages)
def test_a_message_deletes_nothing_whatever_it_says(message: Message) -> None:
    assert changed_by(message_frame(message)) is None
    quoting = a_message(content=message_frame(a_message(about=7)).decode())
    assert changed_by(message_frame(quoting)) is None


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{}",
        b'{"type":"message_deleted",',
        b'{"type":"message_deleted","session_id":"s","position":1,"data":{"id":"x"}}',
        b'{"type":"message_deleted","session_id":"\xff","position":1,"data":{"id":1}}',
        b'{"type":"message_edited","session_id":"s","position":1,"data":{"content":"x"}}',
    ],
)
def test_what_is_no_deletion_deletes_nothing(frame: bytes) -> None:
    assert changed_by(frame) is None


@given(texts, json_objects)
def test_an_external_event_is_marked_and_has_no_position(kind: str, data: dict[str, Any]) -> None:
    frame = json.loads(external_frame("demo", kind, data))
    assert list(frame.items()) == [
        ("type", kind),
        ("session_id", "demo"),
        ("data", data),
        ("origin", "external"),
    ]


def test_the_data_of_an_external_event_cannot_reach_the_fields_around_it() -> None:
    forged = {"position": 9, "origin": "log", "session_id": "other", 'x"},"position":9,"y': {}}
    frame = json.loads(external_frame("demo", "new_message", forged))
    assert (frame["session_id"], frame["origin"]) == ("demo", "external")
    assert "position" not in frame
    assert frame["data"] == forged


@pytest.mark.parametrize("epoch", [None, "e1"])
@pytest.mark.parametrize("recovered", [True, False])
def test_subscribed_frames_have_their_fields_in_order(epoch: str | None, recovered: bool) -> None:
    frame = json.loads(subscribed_frame("demo", epoch, 7, recovered))
    assert list(frame.items()) == [
        ("type", "subscribed"),
        ("session_id", "demo"),
        ("epoch", epoch),
        ("position", 7),
        ("recovered", recovered),
    ]


def test_pong_and_error_frames_are_compact_json() -> None:
    assert PONG_FRAME == b'{"type":"pong"}'
    assert (
        error_frame("BAD", "It is bad.") == b'{"type":"error","code":"BAD","message":"It is bad."}'
    )


@pytest.mark.parametrize(
    "frame", [subscribed_frame("s", "e", 0, True), PONG_FRAME, error_frame("C", "m")]
)
def test_the_protocols_own_types_are_reserved(frame: bytes) -> None:
    assert json.loads(frame)["type"] in RESERVED_TYPES


def test_messages_may_be_broadcast_under_their_own_type() -> None:
    assert "new_message" not in RESERVED_TYPES
    assert {"subscribed", "pong", "error", "presence", "message_deleted"} <= RESERVED_TYPES
