"""What a viewer may say."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import InvalidInput
from ws_node.endpoints.commands import Ping, Subscribe, Unsubscribe, check_position, parse_command


def parse(text: str, session: str | None = "room") -> Ping | Subscribe | Unsubscribe:
    return parse_command(text, max_bytes=1_024, default_session=session)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("ping", Ping(plain=True)),
        ('{"type":"ping"}', Ping(plain=False)),
        ('{"type":"subscribe"}', Subscribe("room")),
        ('{"type":"subscribe","since":null}', Subscribe("room")),
        ('{"type":"subscribe","since":0}', Subscribe("room", 0)),
        ('{"type":"subscribe","since":9007199254740992,"epoch":"e"}', None),
        ('{"epoch":"e","since":7,"type":"subscribe"}', Subscribe("room", 7, "e")),
        ('{"type":"subscribe","session_id":"other"}', Subscribe("other")),
        ('{"type":"unsubscribe"}', Unsubscribe("room")),
        ('{"type":"unsubscribe","session_id":"other"}', Unsubscribe("other")),
    ],
)
def test_commands_are_parsed(text: str, command: Ping | Subscribe | Unsubscribe | None) -> None:
    assert parse(text) == (command or Subscribe("room", 2**53, "e"))


@pytest.mark.parametrize(
    "text",
    [
        *("", "PING", "ping ", "null", "[]", "1", '"ping"', "{}", '{"type":1}', '{"type":"x"}'),
        *('{"type":"ping","x":1}', '{"type":"subscribe","room":"x"}', '{"type":"ping"'),
        *('{"type":"subscribe","since":"1"}', '{"type":"subscribe","since":1.0}'),
        *('{"type":"subscribe","since":true}', '{"type":"subscribe","since":-1}'),
        '{"type":"subscribe","since":9007199254740993}',
        '{"type":"subscribe","epoch":"e"}',
        *('{"type":"subscribe","session_id":"a/b"}', '{"type":"subscribe","session_id":null}'),
        *('{"type":"unsubscribe","session_id":7}', '{"type":"unsubscribe","since":1}'),
        '{"type":"subscribe","since":1,"epoch":""}',
        '{"type":"subscribe","since":1,"epoch":5}',
        json.dumps({"type": "subscribe", "since": 1, "epoch": "e" * 65}),
        '{"type":"ping","type":"subscribe"}',
        "[" * 100 + "]" * 100,
        '{"type":"ping"}' + " " * 2_000,
    ],
)
def test_anything_else_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(text)
    assert len(text) < 5 or text not in str(refused.value)


@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
def test_a_session_must_be_named_where_the_address_names_none(kind: str) -> None:
    with pytest.raises(InvalidInput):
        parse(json.dumps({"type": kind}), session=None)


@given(st.text())
def test_no_text_is_anything_but_a_command_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert isinstance(parse(text), Ping | Subscribe | Unsubscribe)


@given(st.integers(0, 2**53), st.none() | st.text(min_size=1, max_size=64))
def test_every_position_passes(since: int, epoch: str | None) -> None:
    assert check_position(since, epoch) == (since, epoch)
