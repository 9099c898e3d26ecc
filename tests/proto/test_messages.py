"""The nouns: what readers are shown, what a principal may do, and the form of time."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from proto.messages import (
    Audience,
    Message,
    Principal,
    Session,
    Visibility,
    encode_metadata,
    utc_now,
)

READER = Principal("claude-main", "claude", frozenset({"read"}))


def a_message() -> Message:
    return Message(
        id=7,
        prev=3,
        session_id="demo",
        principal="claude-main",
        sender="claude-main/reviewer",
        sender_type="claude",
        content="hello",
        visibility=Visibility.AGENT_ONLY,
        timestamp="2026-11-23T21:30:00.123456Z",
        metadata=encode_metadata({"a": [1, None]}),
        parent_message_id=3,
    )


def test_a_message_is_shown_with_exactly_the_documented_fields() -> None:
    shown = a_message().shown()
    assert shown == {
        "id": 7,
        "sender": "claude-main/reviewer",
        "sender_type": "claude",
        "content": "hello",
        "visibility": "agent_only",
        "timestamp": "2026-11-23T21:30:00.123456Z",
        "metadata": {"a": [1, None]},
        "parent_message_id": 3,
    }
    assert type(shown["visibility"]) is str


def test_a_session_is_shown_with_exactly_the_documented_fields() -> None:
    session = Session("demo", "talk", encode_metadata(None), "claude-main", utc_now())
    assert session.shown() == {
        "session_id": "demo",
        "purpose": "talk",
        "metadata": {},
        "created_by": "claude-main",
        "created_at": session.created_at,
        "closed_at": None,
    }


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        a_message().content = "other"  # type: ignore[misc]


def test_the_levels_of_visibility_are_the_documented_words() -> None:
    assert [str(level) for level in Visibility] == ["public", "private", "agent_only", "admin_only"]


@pytest.mark.parametrize(
    ("metadata", "text"),
    [(None, b"{}"), ({}, b"{}"), ({"b": 1, "a": "é"}, '{"b":1,"a":"é"}'.encode())],
)
def test_metadata_is_encoded_once_in_its_own_order(
    metadata: dict[str, Any] | None, text: bytes
) -> None:
    assert bytes(encode_metadata(metadata)) == text


def test_metadata_never_carries_nan_to_a_reader() -> None:
    encoded = encode_metadata({"x": float("nan"), "y": float("inf")})
    assert json.loads(bytes(encoded)) == {"x": None, "y": None}


def test_timestamps_are_utc_with_microseconds() -> None:
    stamp = utc_now()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", stamp)
    assert abs(datetime.fromisoformat(stamp) - datetime.now(UTC)) < timedelta(minutes=1)


def test_timestamps_sort_as_text() -> None:
    assert utc_now() <= utc_now()


@pytest.mark.parametrize(
    ("sessions", "enters"),
    [
        (None, True),
        (frozenset({"demo"}), True),
        (frozenset({"other"}), False),
        (frozenset(), False),
    ],
)
def test_a_principal_enters_the_sessions_of_its_token(
    sessions: frozenset[str] | None, enters: bool
) -> None:
    principal = msgspec.structs.replace(READER, sessions=sessions)
    assert principal.may_enter("demo") is enters


@pytest.mark.parametrize(
    ("scopes", "is_admin"),
    [({"read"}, False), ({"read", "write"}, False), ({"admin"}, True), (set(), False)],
)
def test_the_audience_is_what_decides_visibility(scopes: set[str], is_admin: bool) -> None:
    principal = msgspec.structs.replace(READER, scopes=frozenset(scopes))
    assert principal.is_admin is is_admin
    assert principal.audience == Audience("claude-main", "claude", is_admin)


def test_viewers_of_one_audience_share_a_key() -> None:
    other = msgspec.structs.replace(READER, token_id="t2", expires_at=5)
    assert {READER.audience: 1}[other.audience] == 1


def test_hidden_characters_are_counted_where_there_are_any() -> None:
    plain = a_message()
    assert "hidden_characters" not in plain.shown()
    hidden = msgspec.structs.replace(plain, content="pay\u202e me \u200b now")
    assert hidden.shown()["hidden_characters"] == 2
    metadata = encode_metadata({"k\u200b": ["v", {"\u202e": "x\u2066"}], "plain": "é"})
    both = msgspec.structs.replace(hidden, metadata=metadata)
    assert both.shown()["hidden_characters"] == 5
