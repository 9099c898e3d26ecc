"""RoomFollower, one transition after the other."""

from proto.messages import Visibility
from proto.wire import Event
from ws_node.rooms.follower import MAX_EPOCHS, RoomFollower, Want

EPOCH = "e1"


def event(id_: int | None, prev: int = -1, epoch: str = EPOCH, size: int = 2) -> Event:
    """A message; its predecessor is the id below, unless ``prev`` says otherwise."""
    before = prev if prev >= 0 else (id_ or 1) - 1
    return Event("room", epoch, id_, before, Visibility.PUBLIC, "a", "t", 0, b"x" * size)


def ids(events: list[Event]) -> list[int | None]:
    return [one.id for one in events]


def following(head: int, **limits: int) -> RoomFollower:
    follower = RoomFollower(**limits)
    assert follower.ask() is Want.POSITION
    assert follower.positioned(EPOCH, head) == []
    return follower


# Opening


def test_an_opening_follower_wants_its_position_once_and_holds_what_comes() -> None:
    follower = RoomFollower()
    assert follower.ask() is Want.POSITION
    assert follower.ask() is Want.NOTHING
    assert follower.feed([event(6), event(5)]) == []
    assert (follower.held, follower.behind, follower.last) == (2, 0, None)
    assert ids(follower.positioned(EPOCH, 4)) == [5, 6]
    assert (follower.held, follower.last, follower.ask()) == (0, 6, Want.NOTHING)


def test_what_is_held_up_to_the_position_has_been_read_already() -> None:
    follower = RoomFollower()
    follower.feed([event(3), event(4)])
    assert follower.positioned(EPOCH, 4) == []
    assert follower.counts.duplicates == 2


def test_held_messages_of_another_log_are_dropped_when_the_position_is_known() -> None:
    follower = RoomFollower()
    follower.feed([event(5, epoch="e0"), event(5), event(6, epoch="e0")])
    assert ids(follower.positioned(EPOCH, 4)) == [5]
    assert (follower.foreign, follower.held) == (2, 0)


def test_a_hole_in_what_was_held_is_wanted_at_once() -> None:
    follower = RoomFollower()
    follower.ask()
    follower.feed([event(7)])
    assert follower.positioned(EPOCH, 5) == []
    assert (follower.behind, follower.ask()) == (2, Want.PAGE)


def test_a_failed_question_for_the_position_is_asked_again() -> None:
    follower = RoomFollower()
    follower.ask()
    follower.failed()
    assert follower.ask() is Want.POSITION


def test_a_promise_below_the_head_makes_what_lies_between_wanted() -> None:
    follower = RoomFollower()
    follower.ask()
    assert follower.positioned(EPOCH, 9, base=6) == []
    assert (follower.last, follower.target, follower.ask()) == (6, 9, Want.PAGE)


def test_a_promise_above_the_head_is_the_head() -> None:
    follower = RoomFollower()
    follower.ask()
    follower.positioned(EPOCH, 3, base=8)
    assert (follower.last, follower.ask()) == (3, Want.NOTHING)


def test_a_head_seen_while_opening_is_not_forgotten() -> None:
    follower = RoomFollower()
    follower.ask()
    follower.seen_head(EPOCH, 8)
    follower.positioned(EPOCH, 7)
    assert (follower.behind, follower.ask()) == (1, Want.PAGE)


def test_a_head_of_another_log_seen_while_opening_does_not_matter() -> None:
    follower = RoomFollower()
    follower.ask()
    follower.seen_head("e0", 800)
    follower.positioned(EPOCH, 7)
    assert (follower.behind, follower.ask()) == (0, Want.NOTHING)


def test_what_does_not_fit_while_opening_is_read_from_history() -> None:
    follower = RoomFollower(hold_messages=2)
    follower.ask()
    follower.feed([event(5), event(6), event(7), event(8)])
    assert (follower.held, follower.counts.forgotten) == (2, 2)
    assert ids(follower.positioned(EPOCH, 4)) == [5, 6]
    assert (follower.behind, follower.ask()) == (2, Want.PAGE)


def test_any_number_of_foreign_logs_takes_no_memory() -> None:
    follower = RoomFollower(hold_messages=0)
    for number in range(100):
        follower.feed([event(5, epoch=f"x{number}")])
    assert len(follower._reaches) == MAX_EPOCHS


# LogSync


def test_the_next_message_of_the_chain_goes_by_whatever_its_distance() -> None:
    follower = following(4)
    assert ids(follower.feed([event(9, prev=4), event(20, prev=9)])) == [9, 20]
    assert (follower.last, follower.ask()) == (20, Want.NOTHING)


def test_repeats_are_dropped_and_counted() -> None:
    follower = following(4)
    assert ids(follower.feed([event(5), event(5), event(4), event(1)])) == [5]
    assert follower.counts.duplicates == 3


def test_a_foreign_message_is_dropped_and_counted_whatever_its_id() -> None:
    follower = following(4)
    assert follower.feed([event(5, epoch="e2"), event(99, epoch="e2")]) == []
    assert (follower.foreign, follower.behind, follower.held) == (2, 0, 0)


def test_an_ephemeral_event_is_none_of_its_business() -> None:
    follower = following(4)
    assert follower.feed([event(None)]) == []
    assert follower.last == 4


def test_a_reordered_message_waits_for_the_one_before() -> None:
    follower = following(4)
    assert follower.feed([event(6)]) == []
    assert follower.held == 1
    assert ids(follower.feed([event(5)])) == [5, 6]
    assert (follower.held, follower.behind) == (0, 0)


def test_a_head_seen_above_wants_a_page_and_one_below_does_not() -> None:
    follower = following(4)
    follower.seen_head(EPOCH, 4)
    assert follower.ask() is Want.NOTHING
    follower.seen_head(EPOCH, 5)
    assert follower.ask() is Want.PAGE
    assert follower.ask() is Want.NOTHING


def test_a_head_of_another_log_is_foreign() -> None:
    follower = following(4)
    follower.seen_head("e2", 50)
    assert (follower.foreign, follower.ask()) == (1, Want.NOTHING)


def test_a_second_position_is_only_a_head() -> None:
    follower = following(4)
    assert follower.positioned(EPOCH, 6) == []
    assert (follower.last, follower.behind) == (4, 2)


# Behind


def behind(last: int, *held: Event, **limits: int) -> RoomFollower:
    follower = following(last, **limits)
    assert follower.feed(held) == []
    assert follower.ask() is Want.PAGE
    return follower


def test_a_page_fills_the_gap_and_releases_what_was_held() -> None:
    follower = behind(4, event(7))
    assert ids(follower.page(EPOCH, [event(5), event(6)], through=6, head=7)) == [5, 6, 7]
    assert (follower.held, follower.ask()) == (0, Want.NOTHING)


def test_a_page_that_goes_on_is_followed_by_another() -> None:
    follower = behind(4, event(9))
    assert ids(follower.page(EPOCH, [event(5)], through=5, head=9)) == [5]
    assert follower.ask() is Want.PAGE


def test_a_page_repeats_nothing_of_what_came_meanwhile() -> None:
    follower = behind(4, event(6))
    assert ids(follower.feed([event(5)])) == [5, 6]
    assert follower.page(EPOCH, [event(5), event(6)], through=6, head=6) == []
    assert follower.last == 6


def test_a_page_read_before_the_bridge_overtook_it_gives_up_nothing() -> None:
    """The bridge was faster than the page, and more than the page is missing."""
    follower = behind(4, event(6), event(90))
    assert ids(follower.feed([event(5)])) == [5, 6]
    assert follower.page(EPOCH, [event(5)], through=5, head=90) == []
    assert (follower.behind, follower.held, follower.ask()) == (84, 1, Want.PAGE)


def test_a_failed_page_is_asked_again() -> None:
    follower = behind(4, event(6))
    follower.failed()
    assert follower.ask() is Want.PAGE


def test_a_page_of_another_log_is_foreign_and_asked_again() -> None:
    follower = behind(4, event(6))
    assert follower.page("e2", [event(5, epoch="e2")], through=5, head=5) == []
    assert (follower.foreign, follower.last, follower.held) == (1, 4, 1)
    assert follower.ask() is Want.PAGE


def test_ids_the_log_does_not_have_are_given_up() -> None:
    follower = behind(4, event(1_000), event(2_000, prev=1_500))
    assert follower.page(EPOCH, [event(5)], through=5, head=5) != []
    assert (follower.counts.unexplained, follower.held, follower.behind) == (2, 0, 0)
    assert follower.ask() is Want.NOTHING
    assert ids(follower.feed([event(6)])) == [6]


def test_giving_up_spares_what_came_after_the_question() -> None:
    """Messages 6 and 7 were committed after the page was read; 6 was lost."""
    follower = behind(4, event(1_000))
    assert follower.feed([event(7)]) == []
    assert ids(follower.page(EPOCH, [event(5)], through=5, head=5)) == [5]
    assert (follower.held, follower.behind, follower.ask()) == (1, 2, Want.PAGE)
    assert ids(follower.page(EPOCH, [event(6)], through=6, head=7)) == [6, 7]


def test_giving_up_spares_a_head_seen_after_the_question() -> None:
    follower = behind(4, event(1_000))
    follower.seen_head(EPOCH, 8)
    follower.page(EPOCH, [event(5)], through=5, head=5)
    assert (follower.behind, follower.ask()) == (3, Want.PAGE)


def test_what_does_not_fit_is_forgotten_and_read_later() -> None:
    follower = behind(4, event(6), event(7), event(8), hold_messages=2)
    assert (follower.held, follower.counts.forgotten) == (2, 1)
    page = [event(5), event(6), event(7), event(8)]
    assert ids(follower.page(EPOCH, page, through=8, head=8)) == [5, 6, 7, 8]
    assert (follower.held, follower.ask()) == (0, Want.NOTHING)


def test_bytes_are_bounded_too_and_given_back() -> None:
    follower = behind(4, event(6, size=60), event(7, size=60), hold_bytes=100)
    assert (follower.held, follower.counts.forgotten) == (1, 1)
    follower.page(EPOCH, [event(5), event(6)], through=6, head=7)
    assert follower.feed([event(9, size=90)]) == []
    assert follower.held == 1


def test_a_page_for_an_opening_follower_is_nothing() -> None:
    follower = RoomFollower()
    assert follower.page(EPOCH, [event(1)], through=1, head=1) == []
    assert follower.last is None
