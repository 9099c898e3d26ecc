"""What a room's viewers are told of who is there: the pure part, in any order of events."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proto.frames import AgentHere
from proto.messages import utc
from ws_node.rooms.room_presence import (
    CROWD,
    CROWD_SECONDS,
    EVERY_SECONDS,
    LAST_SEEN_STEP,
    PresenceState,
    RoomPresence,
    is_news,
)

DAY = datetime(2026, 11, 24, tzinfo=UTC)


def agent(name: str, seen: float = 0.0, waiting: bool = False) -> AgentHere:
    return AgentHere(name, "claude", utc((DAY + timedelta(seconds=seen)).timestamp()), waiting)


agents = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from("abc"), st.tuples(st.floats(0, 200, allow_nan=False), st.booleans())
    ).map(lambda found: tuple(agent(name, *how) for name, how in found.items())),
)
theres = st.builds(PresenceState, st.sampled_from([0, 1, 2, CROWD, CROWD + 1]), agents)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 3)),
        st.tuples(st.just("forget"), st.integers(0, 3)),
        st.tuples(st.just("learn"), theres),
        st.tuples(st.just("look"), st.sampled_from([0.0, 0.1, 0.5, 1.0, 5.0])),
    ),
    max_size=60,
)


class Viewers:
    """Those who asked, and what each has been told since: (when, what)."""

    def __init__(self) -> None:
        self.presence: RoomPresence[int] = RoomPresence()
        self.now = 0.0
        self.sent: dict[int, list[tuple[float, PresenceState]]] = {}
        self.seen: dict[str, float] = {}

    def step(self, what: str, value: Any) -> None:
        if what == "ask":
            self.presence.subscribe(value)
            self.sent[value] = []
        elif what == "forget":
            self.presence.unsubscribe(value)
            self.sent.pop(value, None)
        elif what == "learn":
            self.presence.update(self.later(value))
        else:
            self.now += value
            self.look()

    def later(self, there: PresenceState) -> PresenceState:
        """Agents are seen so much later than before: that never goes back."""
        if there.agents is None:
            return there
        for one in there.agents:
            age = (datetime.fromisoformat(one.last_seen) - DAY).total_seconds()
            self.seen[one.name] = self.seen.get(one.name, 0.0) + age
        again = [agent(one.name, self.seen[one.name], one.waiting) for one in there.agents]
        return PresenceState(there.viewers, tuple(again))

    def look(self) -> None:
        due = self.presence.due(self.now)
        assert len(due) == len(set(due))
        for asker in due:
            assert self.presence.state is not None
            told = self.sent[asker]
            assert not told or is_news(told[-1][1], self.presence.state)
            told.append((self.now, self.presence.state))


@given(steps)
def test_everybody_is_told_what_changed_and_nothing_else(taken: list[tuple[str, Any]]) -> None:
    viewers = Viewers()
    for what, value in taken:
        viewers.step(what, value)
    viewers.look()
    there = viewers.presence.state
    if there is not None:
        assert all(viewers.sent.values())  # whoever asked was told at once
    while (at := viewers.presence.next_at()) is not None and viewers.sent:
        viewers.now = max(viewers.now, at)
        viewers.look()
    before = {asker: len(told) for asker, told in viewers.sent.items()}
    viewers.now += 1000.0
    viewers.look()
    assert {asker: len(told) for asker, told in viewers.sent.items()} == before
    for told in viewers.sent.values():
        assert there is None or not is_news(told[-1][1], there)
        for (at, one), (next_at, _) in itertools.pairwise(told[1:]):
            least = CROWD_SECONDS if one.viewers > CROWD else EVERY_SECONDS
            assert next_at - at >= least - 1e-9


def test_who_comes_is_told_at_once_and_the_others_in_their_turn() -> None:
    presence: RoomPresence[str] = RoomPresence()
    presence.subscribe("first")
    assert presence.due(0.0) == []  # nothing is known yet
    presence.update(PresenceState(1, None))
    assert presence.due(0.0) == ["first"]
    presence.update(PresenceState(1, None))
    assert presence.due(0.1) == []
    presence.subscribe("second")
    presence.update(PresenceState(2, None))
    assert sorted(presence.due(0.2)) == ["first", "second"]
    presence.subscribe("third")
    presence.update(PresenceState(3, None))
    assert presence.due(0.3) == ["third"]
    assert presence.next_at() == 0.2 + EVERY_SECONDS
    assert sorted(presence.due(0.2 + EVERY_SECONDS)) == ["first", "second"]
    assert presence.next_at() is None


def test_what_came_and_went_is_not_told() -> None:
    presence: RoomPresence[int] = RoomPresence()
    presence.subscribe(1)
    presence.update(PresenceState(1, None))
    presence.due(0.0)
    presence.update(PresenceState(2, None))
    presence.due(0.0)
    presence.update(PresenceState(3, None))
    presence.update(PresenceState(2, None))
    assert presence.due(EVERY_SECONDS) == []
    assert presence.next_at() is None


def test_a_crowd_is_told_less_often() -> None:
    presence: RoomPresence[int] = RoomPresence()
    for number in range(CROWD + 1):
        presence.subscribe(number)
    presence.update(PresenceState(CROWD + 1, None))
    presence.due(0.0)
    presence.update(PresenceState(CROWD + 2, None))
    assert len(presence.due(0.0)) == CROWD + 1
    presence.update(PresenceState(CROWD + 3, None))
    assert presence.due(CROWD_SECONDS - 0.01) == []
    assert len(presence.due(CROWD_SECONDS)) == CROWD + 1


def test_only_changes_worth_announcing_are_announced() -> None:
    before = PresenceState(2, (agent("a"), agent("b")))
    assert not is_news(before, before)
    assert not is_news(before, PresenceState(2, (agent("b", 59), agent("a"))))
    for now in (
        PresenceState(3, before.agents),
        PresenceState(2, None),
        PresenceState(2, (agent("a"),)),
        PresenceState(2, (agent("a"), agent("c"))),
        PresenceState(2, (agent("a"), agent("b", waiting=True))),
        PresenceState(2, (agent("a"), AgentHere("b", "codex", agent("b").last_seen, False))),
        PresenceState(2, (agent("a"), agent("b", LAST_SEEN_STEP.total_seconds()))),
    ):
        assert is_news(before, now), now
