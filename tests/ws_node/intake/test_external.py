"""External events as values: types stay free, a new_message is what clients take it for."""

from typing import Any

import msgspec
import pytest

from proto.errors import InvalidInput
from ws_node.intake.external import external_event

DOCUMENTED = {
    "id": 1,
    "sender": "a",
    "sender_type": "claude",
    "content": "hello",
    "visibility": "public",
    "timestamp": "2026-11-23T21:30:00.000000Z",
    "metadata": {},
    "parent_message_id": None,
}


def frame_of(kind: str, data: dict[str, Any]) -> Any:
    return msgspec.json.decode(external_event("room", {"type": kind, "data": data}).body)


@pytest.mark.parametrize("left_out", sorted(set(DOCUMENTED) - {"content"}))
def test_every_field_but_the_content_may_be_left_out(left_out: str) -> None:
    data = {name: value for name, value in DOCUMENTED.items() if name != left_out}
    assert frame_of("new_message", data)["data"] == data


def test_other_fields_of_a_message_are_kept() -> None:
    data = {"content": "", "more": [1, {"a": None}], "parent_message_id": 7}
    assert frame_of("new_message", data)["data"] == data


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("content", value) for value in (None, 7, ["a"], {"a": 1}, True)),
        *(("id", value) for value in ("x", None, 1.5, True, [1])),
        *(("sender", value) for value in (None, 1, [])),
        *(("sender_type", value) for value in (None, 1, {})),
        *(("visibility", value) for value in (None, "all", 1, ["public"])),
        *(("timestamp", value) for value in (None, 1_700_000_000)),
        *(("metadata", value) for value in (None, "", [], 1)),
        *(("parent_message_id", value) for value in ("1", False, 1.0)),
    ],
)
def test_a_field_of_another_type_is_named(name: str, value: object) -> None:
    with pytest.raises(InvalidInput, match=rf"^INVALID_INPUT: data\.{name} must be ") as refused:
        external_event("room", {"type": "new_message", "data": {**DOCUMENTED, name: value}})
    assert refused.value.status == 422


def test_a_message_without_content_is_none() -> None:
    with pytest.raises(InvalidInput, match=r"data\.content is missing"):
        external_event("room", {"type": "new_message", "data": {"id": 1}})


def test_data_of_other_types_is_not_checked() -> None:
    data = {"id": "x", "content": 7, "metadata": None, "timestamp": []}
    assert frame_of("deploy", data) == {
        "type": "deploy",
        "session_id": "room",
        "data": data,
        "origin": "external",
    }
