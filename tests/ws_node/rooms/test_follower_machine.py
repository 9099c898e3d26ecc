"""RoomFollower against a model log, under anything that a bridge and a history can do."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proto.messages import Visibility
from proto.wire import Event
from ws_node.rooms.follower import RoomFollower, Want

FORGED = 1_000_000
"""Forged ids are above this: the model's log never gets there."""


def event(id_: int, prev: int, epoch: str = "log") -> Event:
    return Event("room", epoch, id_, prev, Visibility.PUBLIC, "a", "t", 0, b"x" * (id_ % 7 + 1))


class Follows(RuleBasedStateMachine):
    """One session's log, a bridge that loses, repeats and reorders, a history that is asked."""

    @initialize(
        before=st.integers(0, 5),
        hold_messages=st.integers(0, 6),
        hold_bytes=st.integers(0, 30),
    )
    def begin(self, before: int, hold_messages: int, hold_bytes: int) -> None:
        self.limits = (hold_messages, hold_bytes)
        self.follower = RoomFollower(hold_messages=hold_messages, hold_bytes=hold_bytes)
        self.log: list[Event] = []
        self.global_id = 0
        self.delivered: list[Event] = []
        self.asked = Want.NOTHING
        self.asked_after = 0
        self.start: int | None = None
        self.promise: int | None = None
        for _ in range(before):
            self.append(1)

    @property
    def head(self) -> int:
        return self.log[-1].id or 0 if self.log else 0

    def append(self, step: int) -> None:
        prev = self.head
        self.global_id += step
        self.log.append(event(self.global_id, prev))

    def take(self, events: list[Event]) -> None:
        self.delivered += events

    # The log and the bridge

    @rule(steps=st.lists(st.integers(1, 3), min_size=1, max_size=5))
    def commit(self, steps: list[int]) -> None:
        """Other sessions have the ids between."""
        for step in steps:
            self.append(step)

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def bridge(self, data: st.DataObject) -> None:
        """Any frames of the log, in any order, as often as it likes."""
        places = st.lists(st.integers(0, len(self.log) - 1), max_size=6)
        self.take(self.follower.feed([self.log[place] for place in data.draw(places)]))

    @precondition(lambda self: self.log)
    @rule(count=st.integers(1, 4))
    def newest(self, count: int) -> None:
        self.take(self.follower.feed(self.log[-count:]))

    @rule(id_=st.integers(2, 50), epoch=st.sampled_from(["old", "new", ""]))
    def foreign_frame(self, id_: int, epoch: str) -> None:
        self.take(self.follower.feed([event(id_, id_ - 1, epoch)]))

    @rule(over=st.integers(1, 50), gap=st.integers(1, 3))
    def forged_frame(self, over: int, gap: int) -> None:
        id_ = FORGED + over
        self.take(self.follower.feed([event(id_, id_ - gap)]))

    @rule(epoch=st.sampled_from(["log", "log", "old"]), back=st.integers(0, 3))
    def head_seen(self, epoch: str, back: int) -> None:
        known = self.log[-1 - back].id if len(self.log) > back else 0
        self.follower.seen_head(epoch, known or 0)

    # History

    @precondition(lambda self: self.follower.last is None and self.promise is None)
    @rule()
    def let_in_early(self) -> None:
        self.promise = self.global_id

    @rule()
    def ask(self) -> None:
        want = self.follower.ask()
        assert want is Want.NOTHING or self.asked is Want.NOTHING, "two under way"
        if want is not Want.NOTHING:
            self.asked = want
            self.asked_after = self.follower.last or 0

    @precondition(lambda self: self.asked is not Want.NOTHING)
    @rule()
    def no_answer(self) -> None:
        self.asked = Want.NOTHING
        self.follower.failed()

    @precondition(lambda self: self.asked is Want.PAGE)
    @rule()
    def page_of_another_log(self) -> None:
        self.asked = Want.NOTHING
        foreign = [event(self.asked_after + 1, self.asked_after, "new")]
        self.take(self.follower.page("new", foreign, through=self.asked_after + 1, head=99))

    @precondition(lambda self: self.asked is not Want.NOTHING)
    @rule(
        limit=st.integers(1, 4),
        meanwhile=st.integers(0, 2),
        lost=st.integers(0, 2),
        overtaken=st.booleans(),
    )
    def answer(self, limit: int, meanwhile: int, lost: int, overtaken: bool) -> None:
        """Read now; it arrives after some more was committed, and published or not."""
        want, self.asked = self.asked, Want.NOTHING
        head = self.head
        rest = [one for one in self.log if (one.id or 0) > self.asked_after]
        if overtaken:
            self.take(self.follower.feed(rest))
        for number in range(meanwhile):
            self.append(1)
            if number >= lost:
                self.take(self.follower.feed(self.log[-1:]))
        if want is Want.POSITION:
            base = self.promise
            self.start = head if base is None else min(base, head)
            self.take(self.follower.positioned("log", head, base))
            return
        stretch = rest[:limit]
        through = stretch[-1].id or 0 if len(stretch) == limit else max(head, self.asked_after)
        self.take(self.follower.page("log", stretch, through=through, head=head))

    # What holds

    @invariant()
    def what_was_delivered_is_the_log_without_holes(self) -> None:
        if getattr(self, "start", None) is None:
            return
        expected = [one for one in self.log if (one.id or 0) > (self.start or 0)]
        assert self.delivered == expected[: len(self.delivered)]

    @invariant()
    def memory_is_bounded(self) -> None:
        if hasattr(self, "limits"):
            held = list(self.follower._held.values())
            assert len(held) == self.follower.held <= self.limits[0]
            assert sum(len(one.body) for one in held) == self.follower._held_bytes
            assert self.follower._held_bytes <= self.limits[1]

    def teardown(self) -> None:
        """Everything goes quiet: heads are told and every question is answered."""
        if not hasattr(self, "log"):
            return
        self.follower.seen_head("log", self.head)
        for _ in range(10 + 2 * len(self.log)):
            self.ask()
            if self.asked is Want.NOTHING:
                break
            self.answer(2, 0, 0, False)
        assert self.asked is Want.NOTHING
        assert self.follower.last == self.head or not self.log
        assert self.follower.behind == 0
        expected = [one for one in self.log if (one.id or 0) > (self.start or 0)]
        assert self.delivered == expected


TestFollows = Follows.TestCase
TestFollows.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
