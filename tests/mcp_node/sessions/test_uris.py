"""URIs of sessions: what is written is read back, and nothing else is one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_node.sessions.uris import session_of, session_uris
from proto.errors import InvalidInput
from proto.names import NAME_PATTERN


@given(st.from_regex(re.compile(NAME_PATTERN), fullmatch=True))
def test_session_uris_are_read_back(session_id: str) -> None:
    assert [session_of(uri) for uri in session_uris(session_id)] == [session_id, session_id]


@given(st.one_of(st.text(), st.text().map("session://{}".format)))
def test_other_text_is_no_session_uri_and_is_not_repeated(text: str) -> None:
    try:
        found = session_of(text)
    except InvalidInput as error:
        assert str(error) == str(refused(""))
    else:
        assert text in session_uris(found)


def refused(text: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as found:
        session_of(text)
    return found.value


@pytest.mark.parametrize("tail", ["", "\n", "/", "a b", "a/messages\n", "a" * 65, "é", "%61", "-a"])
def test_near_misses_of_a_session_uri_are_refused(tail: str) -> None:
    refused(f"session://{tail}")
