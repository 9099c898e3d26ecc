"""Revocations: of one token, of an agent's tokens up to a moment, and of nobody else's."""

import pytest

from proto.messages import Principal
from proto.revocations import Revocation, Revocations


def holder(agent: str = "alice", token: str = "t1", issued: int = 100) -> Principal:
    return Principal(
        agent, "claude", frozenset({"read"}), expires_at=999, token_id=token, issued_at=issued
    )


ONE_TOKEN = Revocation(1, "t1", None, 0)
AN_AGENT = Revocation(2, None, "alice", 100)


@pytest.mark.parametrize(
    ("revocation", "principal", "covered"),
    [
        (ONE_TOKEN, holder(), True),
        (ONE_TOKEN, holder(token="t2"), False),
        (ONE_TOKEN, holder(agent="bob"), True),
        (AN_AGENT, holder(), True),
        (AN_AGENT, holder(issued=99), True),
        (AN_AGENT, holder(issued=101), False),
        (AN_AGENT, holder(agent="bob"), False),
    ],
)
def test_a_revocation_covers_its_token_or_agent(
    revocation: Revocation, principal: Principal, covered: bool
) -> None:
    assert Revocations([revocation]).cover(principal) is covered


def test_a_later_moment_counts_and_an_earlier_one_takes_nothing_back() -> None:
    known = Revocations([AN_AGENT, Revocation(3, None, "alice", 50)])
    assert known.number == 3
    assert known.cover(holder(issued=100))


def test_who_needs_no_token_cannot_be_revoked() -> None:
    nobody = Principal("alice", "claude", frozenset({"read"}))
    assert not Revocations([AN_AGENT]).cover(nobody)


def test_a_list_replaces_what_was_known() -> None:
    """As after a restore: what the log does not know any more is in force no more."""
    known = Revocations([ONE_TOKEN, AN_AGENT])
    known.replace([Revocation(1, None, "bob", 100)])
    assert (known.number, known.complete) == (1, True)
    assert [known.cover(holder(agent=name)) for name in ("alice", "bob")] == [False, True]
