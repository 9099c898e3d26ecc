"""The judge itself: it sees every way in which a transcript can be wrong, and only those."""

from typing import Any

import pytest

from tests.chaos.judge import Acknowledged, Audience, Got, Logged, Transcript, judge, may_see

ROOM = "room"
ALICE = Audience("alice", "claude", False)


def logged(id_: int, prev: int, **more: Any) -> Logged:
    message = Logged(id_, prev, ROOM, "bob", "codex", "public", sum=1000 + id_)
    return message._replace(**more)


LOG = [
    logged(1, 0),
    logged(2, 1, visibility="private"),
    logged(3, 0, session_id="elsewhere"),
    logged(4, 2),
    logged(5, 4, visibility="agent_only"),
    logged(6, 5, principal="alice", sender_type="claude", visibility="private"),
    logged(7, 6),
]
RIGHT = [1, 4, 6, 7]


def given(ids: list[int], *, start: int = 0, audience: Audience = ALICE) -> Transcript:
    return Transcript("viewer", ROOM, audience, start, [Got(id_, 1000 + id_) for id_ in ids])


def test_a_transcript_as_it_should_be_is_clean() -> None:
    verdict = judge(LOG, [given(RIGHT), given([6, 7], start=4), given([], start=7)])
    assert verdict.clean
    assert verdict.examples == []


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ([1, 6, 7], {"lost": 1}),
        ([1, 4, 6], {"lost": 1}),
        ([], {"lost": 4}),
        ([1, 4, 4, 6, 7], {"repeated": 1}),
        ([1, 4, 6, 7, 1, 4], {"repeated": 2}),
        ([1, 6, 4, 7], {"out_of_order": 1}),
        ([7, 6, 4, 1], {"out_of_order": 3}),
        ([1, 2, 4, 6, 7], {"forbidden": 1}),
        ([1, 4, 5, 6, 7], {"forbidden": 1}),
        ([1, 3, 4, 6, 7], {"forbidden": 1}),
        ([1, 4, 6, 7, 8], {"invented": 1}),
        ([6, 6, 2, 1], {"lost": 2, "repeated": 1, "out_of_order": 1, "forbidden": 1}),
    ],
)
def test_each_wrong_entry_is_counted(ids: list[int], found: dict[str, int]) -> None:
    verdict = judge(LOG, [given(ids)])
    assert {kind: count for kind, count in verdict.counts().items() if count} == found
    assert len(verdict.examples) == sum(found.values())
    assert not verdict.clean


def test_an_altered_message_is_invented() -> None:
    transcript = given(RIGHT)
    transcript.got[1] = Got(4, 99)
    assert judge(LOG, [transcript]).invented == 1


def test_what_lies_before_the_start_was_not_asked_for() -> None:
    assert judge(LOG, [given(RIGHT, start=1)]).invented == 1


def test_viewers_are_judged_one_by_one() -> None:
    verdict = judge(LOG, [given(RIGHT), given([1, 4]), given([4, 1, 6, 7])])
    assert (verdict.lost, verdict.out_of_order) == (2, 1)


def test_every_session_of_a_viewer_is_a_transcript_of_its_own() -> None:
    both = [given(RIGHT), Transcript("viewer", "elsewhere", ALICE, 0, [Got(3, 1003)])]
    assert judge(LOG, both).clean
    swapped = [given([1, 3, 4, 6, 7]), Transcript("viewer", "elsewhere", ALICE, 0, [])]
    verdict = judge(LOG, swapped)
    assert (verdict.forbidden, verdict.lost) == (1, 1)


def test_an_acknowledged_message_that_is_not_in_the_log_vanished() -> None:
    assert judge(LOG, [], [Acknowledged(7, 1007, "k")]).clean
    assert judge(LOG, [], [Acknowledged(8, 1008, "k")]).vanished == 1
    assert judge(LOG, [], [Acknowledged(7, 1006, "k")]).vanished == 1


def test_a_write_with_two_ids_is_doubled() -> None:
    answers = [Acknowledged(1, 1001, "k"), Acknowledged(1, 1001, "k"), Acknowledged(4, 1004, "k")]
    assert judge(LOG, [], answers).doubled == 1
    assert judge([logged(1, 0), logged(2, 1, sum=1001)], []).doubled == 1


def test_holes_in_ids_and_chains_are_seen() -> None:
    assert judge([logged(1, 0), logged(3, 1)], []).holes == 1
    assert judge([logged(1, 0), logged(2, 0)], []).holes == 1


@pytest.mark.parametrize(
    ("visibility", "seers"),
    [
        ("public", {"author", "peer", "stranger", "admin"}),
        ("private", {"author"}),
        ("agent_only", {"author", "peer", "admin"}),
        ("admin_only", {"admin"}),
    ],
)
def test_the_rule_of_who_sees_what(visibility: str, seers: set[str]) -> None:
    everybody = {
        "author": Audience("bob", "codex", False),
        "peer": Audience("eve", "codex", False),
        "stranger": ALICE,
        "admin": Audience("root", "person", True),
    }
    message = logged(1, 0, visibility=visibility)
    assert {name for name, audience in everybody.items() if may_see(audience, message)} == seers
