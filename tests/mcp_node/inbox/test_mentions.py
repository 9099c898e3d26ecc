"""Mentions: who is called by a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_node.inbox.mentions import MAX_MENTIONS, calls, mentioned
from proto.names import NAME_PATTERN

NAMES = st.from_regex(NAME_PATTERN, fullmatch=True)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("nobody", ()),
        ("@alice", ("alice",)),
        ("Ask @Alice, or @bob.", ("alice", "bob")),
        ("(@claude-main/reviewer)", ("claude-main/reviewer",)),
        ("@guest:alice-0123abcd hello", ("guest:alice-0123abcd",)),
        ("mail me@example.org", ()),
        ("a path src/@types/node", ()),
        ("@@alice", ()),
        ("@alice@bob", ("alice",)),
        ("@alice @alice", ("alice",)),
        ("@v1.2-rc.", ("v1.2-rc",)),
        ("@", ()),
        ("@-x", ()),
        ("@é", ()),
    ],
)
def test_mentioned_names_are_found(text: str, names: tuple[str, ...]) -> None:
    assert mentioned(text) == names


@given(NAMES, st.sampled_from(["", " ", "hey, ", "(", "\n"]), st.sampled_from(["", "!", ",", ":"]))
def test_a_name_after_an_at_sign_is_called(name: str, before: str, after: str) -> None:
    found = mentioned(f"{before}@{name}{after}")
    assert found == (name.rstrip("._-").lower(),)
    assert calls(found, name.rstrip("._-"))
    assert not calls(found, f"{name}x")


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    found = mentioned(text)
    assert len(found) == len(set(found)) <= MAX_MENTIONS


def test_many_names_are_bounded() -> None:
    assert len(mentioned(" ".join(f"@a{number}" for number in range(500)))) == MAX_MENTIONS


def test_a_sub_agent_calls_its_principal_and_no_other() -> None:
    assert calls(("claude-main/reviewer",), "claude-main")
    assert not calls(("claude-main/reviewer",), "claude")
    assert not calls(("claude-main/reviewer",), "reviewer")
