"""What a viewer records of a session for the judge, and the breaches it reports."""

from typing import Any

import msgspec
import pytest

from tests.chaos.agents import checksum
from tests.chaos.judge import Audience, Logged, Transcript, judge
from tests.chaos.viewer_log import Data, Frame, ViewerLog

ROOM = "room"
ALICE = Audience("alice", "claude", False)


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


def watching(start: int = 0, begins: str = "all") -> ViewerLog:
    viewer_log = ViewerLog("viewer", ROOM, ALICE, begins)
    viewer_log.connected()
    viewer_log.ask()
    viewer_log.receive(subscribed(start))
    return viewer_log


def found(viewer_log: ViewerLog) -> dict[str, int]:
    assert viewer_log.start is not None
    verdict = judge(
        LOG, [Transcript(viewer_log.name, ROOM, ALICE, viewer_log.start, viewer_log.got)]
    )
    return {kind: count for kind, count in verdict.counts().items() if count}


def took(viewer_log: ViewerLog, *ids: int) -> ViewerLog:
    for id_ in ids:
        viewer_log.receive(message(id_))
    return viewer_log


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
    viewer_log = took(watching(), 1, 2)
    viewer_log.receive(Frame(type="unsubscribed", session_id=ROOM))
    assert viewer_log.ask() == 2
    viewer_log.receive(subscribed(2))
    assert found(took(viewer_log, 3, 4, 5)) == {}
    assert viewer_log.breaches == []
    assert viewer_log.replays == 2


def test_what_was_missed_while_away_is_lost() -> None:
    viewer_log = took(watching(), 1, 2)
    viewer_log.receive(Frame(type="unsubscribed", session_id=ROOM))
    viewer_log.ask()
    viewer_log.receive(subscribed(2))
    assert found(took(viewer_log, 4, 5)) == {"lost": 1}


def test_nothing_may_come_of_a_session_that_was_left() -> None:
    viewer_log = took(watching(), 1)
    viewer_log.receive(Frame(type="unsubscribed", session_id=ROOM))
    took(viewer_log, 2)
    assert len(viewer_log.breaches) == 1


def test_nothing_may_come_before_the_answer_on_a_new_connection() -> None:
    viewer_log = took(watching(), 1)
    viewer_log.connected()
    viewer_log.ask()
    took(viewer_log, 2)
    assert len(viewer_log.breaches) == 1


def test_what_came_after_asking_again_on_a_live_socket_comes_again() -> None:
    viewer_log = took(watching(), 1, 2)
    viewer_log.ask()
    took(viewer_log, 3)
    viewer_log.receive(subscribed(2))
    assert found(took(viewer_log, 3, 4, 5)) == {}
    assert viewer_log.breaches == []


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
    viewer_log = watching()
    viewer_log.receive(frame)
    assert len(viewer_log.breaches) == 1


def test_an_answer_from_another_place_or_log_is_written_down() -> None:
    for answer in (subscribed(1), subscribed(2, epoch="other")):
        viewer_log = took(watching(), 1, 2)
        viewer_log.connected()
        viewer_log.ask()
        viewer_log.receive(answer)
        assert len(viewer_log.breaches) == 1


def test_being_told_to_reload_is_counted() -> None:
    viewer_log = took(watching(), 1)
    viewer_log.connected()
    viewer_log.ask()
    viewer_log.receive(subscribed(0, recovered=False))
    viewer_log.log_replaced()
    assert viewer_log.resets == 2


def test_external_events_are_not_part_of_a_transcript() -> None:
    viewer_log = watching()
    viewer_log.receive(message(1, origin="external", position=None))
    assert (viewer_log.got, viewer_log.breaches) == ([], [])
