"""A viewer's view of a session: what it writes down for the judge, and what it complains about."""

from typing import Any

import msgspec
import pytest

from tests.chaos.agents import checksum
from tests.chaos.judge import Logged, Seer, Transcript, judge
from tests.chaos.sight import Data, Frame, Sight

ROOM = "room"
ALICE = Seer("alice", "claude", False)


def logged(id_: int) -> Logged:
    content = checksum("bob", "codex", "public", f"{id_}")
    return Logged(id_, id_ - 1, ROOM, "bob", "codex", "public", content)


LOG = [logged(id_) for id_ in range(1, 6)]


def message(id_: int, **more: Any) -> Frame:
    frame = Frame("new_message", ROOM, id_, data=Data(id_, "bob", "codex", "public", f"{id_}"))
    return msgspec.structs.replace(frame, **more)


def subscribed(position: int, **more: Any) -> Frame:
    frame = Frame("subscribed", ROOM, position, epoch="e", recovered=True)
    return msgspec.structs.replace(frame, **more)


def watching(start: int = 0, begins: str = "all") -> Sight:
    sight = Sight("viewer", ROOM, ALICE, begins)
    sight.connected()
    sight.ask()
    sight.take(subscribed(start))
    return sight


def found(sight: Sight) -> dict[str, int]:
    assert sight.start is not None
    verdict = judge(LOG, [Transcript(sight.name, ROOM, ALICE, sight.start, sight.got)])
    return {kind: count for kind, count in verdict.counts().items() if count}


def took(sight: Sight, *ids: int) -> Sight:
    for id_ in ids:
        sight.take(message(id_))
    return sight


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ((1, 2, 3, 4, 5), {}),
        ((1, 2, 4, 5), {"lost": 1}),
        ((1, 2, 2, 3, 4, 5), {"repeated": 1}),
        ((1, 3, 2, 4, 5), {"out_of_order": 1}),
        ((1, 2, 3, 4, 5, 6), {"invented": 1}),
    ],
)
def test_what_is_taken_is_what_is_judged(ids: tuple[int, ...], expected: dict[str, int]) -> None:
    assert found(took(watching(), *ids)) == expected


def test_who_left_and_came_back_has_everything_once() -> None:
    sight = took(watching(), 1, 2)
    sight.take(Frame(type="unsubscribed", session_id=ROOM))
    assert sight.ask() == 2
    sight.take(subscribed(2))
    assert found(took(sight, 3, 4, 5)) == {}
    assert sight.broken == []
    assert sight.replays == 2


def test_what_was_missed_while_away_is_lost() -> None:
    sight = took(watching(), 1, 2)
    sight.take(Frame(type="unsubscribed", session_id=ROOM))
    sight.ask()
    sight.take(subscribed(2))
    assert found(took(sight, 4, 5)) == {"lost": 1}


def test_nothing_may_come_of_a_session_that_was_left() -> None:
    sight = took(watching(), 1)
    sight.take(Frame(type="unsubscribed", session_id=ROOM))
    took(sight, 2)
    assert len(sight.broken) == 1


def test_nothing_may_come_before_the_answer_on_a_new_connection() -> None:
    sight = took(watching(), 1)
    sight.connected()
    sight.ask()
    took(sight, 2)
    assert len(sight.broken) == 1


def test_what_came_after_asking_again_on_a_live_socket_comes_again() -> None:
    sight = took(watching(), 1, 2)
    sight.ask()
    took(sight, 3)
    sight.take(subscribed(2))
    assert found(took(sight, 3, 4, 5)) == {}
    assert sight.broken == []


@pytest.mark.parametrize(
    "frame",
    [
        message(1, position=2),
        message(1, session_id="elsewhere"),
        subscribed(0),
        Frame(type="error", session_id=ROOM),
    ],
    ids=["position", "session", "answer unasked", "error"],
)
def test_each_breach_of_the_protocol_is_written_down(frame: Frame) -> None:
    sight = watching()
    sight.take(frame)
    assert len(sight.broken) == 1


def test_an_answer_from_another_place_or_log_is_written_down() -> None:
    for answer in (subscribed(1), subscribed(2, epoch="other")):
        sight = took(watching(), 1, 2)
        sight.connected()
        sight.ask()
        sight.take(answer)
        assert len(sight.broken) == 1


def test_being_told_to_reload_is_counted() -> None:
    sight = took(watching(), 1)
    sight.connected()
    sight.ask()
    sight.take(subscribed(0, recovered=False))
    sight.log_replaced()
    assert sight.resets == 2


def test_external_events_are_not_part_of_a_transcript() -> None:
    sight = watching()
    sight.take(message(1, origin="external", position=None))
    assert (sight.got, sight.broken) == ([], [])
