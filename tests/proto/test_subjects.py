"""Subjects of the bus: one for each session, which NATS takes and which go round."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.names import NAME_PATTERN
from proto.subjects import EXTERNAL, MESSAGE, Subjects, is_deployment

names = st.from_regex(NAME_PATTERN, fullmatch=True)
subjects = Subjects("default")


@given(names)
def test_every_session_has_a_subject_of_four_tokens_that_goes_round(name: str) -> None:
    for made, kind in ((subjects.message(name), MESSAGE), (subjects.external(name), EXTERNAL)):
        tokens = made.split(".")
        assert len(tokens) == 4 and all(re.fullmatch(r"[A-Za-z0-9:_-]+", one) for one in tokens)
        assert subjects.parse(made.encode()) == (kind, name.encode())
        assert subjects.session(name).split(".") == [*tokens[:2], "*", tokens[3]]


@given(names, names)
def test_two_sessions_never_share_one(one: str, other: str) -> None:
    assert (subjects.message(one) == subjects.message(other)) == (one == other)


@given(st.binary(max_size=64))
def test_any_subject_can_be_parsed(subject: bytes) -> None:
    kind, session_id = subjects.parse(b"partyline.default." + subject)
    assert b"." not in kind and b":" not in session_id


@pytest.mark.parametrize("name", ["", "-a", "a.b", "a b", "a*", "a>", "ä", "a" * 65])
def test_what_would_be_no_single_token_names_no_deployment(name: str) -> None:
    assert not is_deployment(name)
    assert is_deployment("Prod-2_eu")
