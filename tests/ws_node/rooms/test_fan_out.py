"""The fan-out's turns: whoever joins or parts in the middle, each message once, and in rotation."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from proto.messages import Principal, Visibility
from tests.ws_node.making import EPOCH, ignore, make_event, make_settings
from ws_node.rooms.disconnect import Disconnect
from ws_node.rooms.fan_out import SLICE, TURN_WRITES, FanOut
from ws_node.rooms.framing import Framing, text_frame
from ws_node.rooms.outgoing import Outgoing
from ws_node.rooms.room import Room, Subscription
from ws_node.rooms.viewer import Viewer

SETTINGS = make_settings(Path("/nowhere"))


class Kept:
    """A connection that keeps what it is sent."""

    framing = Framing.WEBSOCKET

    def __init__(self) -> None:
        self.writable = asyncio.Event()
        self.unsent = 0
        self.sent = bytearray()
        self.ended: Disconnect | None = None

    @property
    def outlet(self) -> "Kept":
        return self

    def write(self, data: bytes) -> None:
        self.sent += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def call_on_leave(self, callback: Callable[[], None]) -> None:
        raise NotImplementedError("only a hub calls this")

    def disconnect(self, why: Disconnect) -> None:
        self.ended = why


def opened(name: str = "room") -> Room:
    room = Room(name, SETTINGS)
    room.follower.positioned(EPOCH, 0)
    room.open_ring()
    return room


def entered(room: Room, agent: str = "bob") -> tuple[Subscription, Kept]:
    kept = Kept()
    return Subscription(Viewer(kept, Principal(agent, "codex", frozenset({"read"}))), room), kept


def say(fan_out: FanOut, room: Room, visibility: Visibility = Visibility.PUBLIC) -> int:
    id_ = room.last + 1
    event = make_event(id_, b"%d;" % id_, session_id=room.session_id, visibility=visibility)
    fan_out.add(room, room.deliver(room.follower.feed([event])))
    return id_


def got(kept: Kept) -> list[int]:
    ids, rest = [], bytes(kept.sent)
    while rest:
        size = rest[1]
        ids.append(int(rest[2 : 1 + size]))
        rest = rest[2 + size :]
    return ids


STEP = st.one_of(
    st.tuples(st.just("say"), st.booleans()),
    st.tuples(st.just("join"), st.sampled_from(["bob", "alice"])),
    st.tuples(st.just("part"), st.integers(0, 30)),
    st.tuples(st.just("back"), st.integers(0, 30)),
    st.tuples(st.just("turn"), st.none()),
)


@given(st.lists(STEP, max_size=60), st.sampled_from([0, SLICE - 1, TURN_WRITES]))
def test_whoever_joins_or_parts_has_each_message_once(
    steps: list[tuple[str, object]], others: int
) -> None:
    fan_out, room = FanOut(SETTINGS, on_failure=ignore), opened()
    for _ in range(others):
        room.join(entered(room)[0])
    log: list[tuple[int, bool]] = []
    viewers: list[tuple[Subscription, Kept, list[tuple[int, int | None]]]] = []
    for step, value in steps:
        if step == "say":
            hidden = bool(value)
            visibility = Visibility.PRIVATE if hidden else Visibility.PUBLIC
            log.append((say(fan_out, room, visibility), hidden))
        elif step == "join":
            subscription, kept = entered(room, str(value))
            room.join(subscription)
            viewers.append((subscription, kept, [(room.last, None)]))
        elif step == "turn":
            fan_out.turn()
        elif viewers and isinstance(value, int):
            subscription, _, spans = viewers[value % len(viewers)]
            start, end = spans[-1]
            if step == "part" and end is None:
                while fan_out.busy:
                    fan_out.turn()
                room.leave(subscription)
                spans[-1] = (start, room.last)
            elif step == "back" and end is not None:
                room.join(subscription)
                spans.append((room.last, None))
    while fan_out.busy:
        fan_out.turn()
    for subscription, kept, spans in viewers:
        own = subscription.audience.agent_id == "alice"
        assert got(kept) == [
            id_
            for start, end in spans
            for id_, hidden in log
            if start < id_ <= (room.last if end is None else end) and (own or not hidden)
        ]
    assert not fan_out.full


def test_a_large_room_does_not_hold_up_a_small_one() -> None:
    fan_out, large, small = FanOut(SETTINGS, on_failure=ignore), opened("large"), opened("small")
    crowd = [entered(large) for _ in range(10 * TURN_WRITES)]
    for subscription, _ in crowd:
        large.join(subscription)
    one, kept = entered(small)
    small.join(one)
    say(fan_out, large)
    fan_out.turn()
    assert sum(bool(other.sent) for _, other in crowd) == TURN_WRITES
    say(fan_out, small)
    say(fan_out, large)  # waits for the one before to be through
    fan_out.turn()
    assert got(kept) == [1]
    assert sum(bool(other.sent) for _, other in crowd) <= 2 * TURN_WRITES
    while fan_out.busy:
        fan_out.turn()
    assert all(got(other) == [1, 2] for _, other in crowd)


def test_what_waits_is_counted_and_forgotten_with_its_room() -> None:
    failed: list[Room] = []
    fan_out, room = FanOut(SETTINGS, on_failure=failed.append), opened()
    broken, kept = entered(room)
    room.join(broken)
    kept.write = lambda data: 1 / 0  # type: ignore[assignment,method-assign,return-value]
    event = make_event(1, bytes(17 * 1_048_576))
    fan_out.add(room, [Outgoing(event, text_frame(event.body))])
    assert fan_out.full
    assert fan_out.busy
    fan_out.turn()
    assert failed == [room]
    assert not fan_out.full
    assert not fan_out.busy
    room.leave(broken)
    other, kept = entered(room)
    room.join(other)
    say(fan_out, room)
    fan_out.turn()
    assert got(kept) == [1]


def test_a_slow_viewer_is_closed_and_the_next_gets_its_message() -> None:
    fan_out, room = FanOut(SETTINGS, on_failure=ignore), opened()
    (slow, stuck), (quick, kept) = entered(room), entered(room)
    stuck.unsent = SETTINGS.max_unsent_bytes + 1
    room.join(slow)
    room.join(quick)
    say(fan_out, room)
    fan_out.turn()
    assert stuck.ended is Disconnect.SLOW
    assert not stuck.sent
    assert got(kept) == [1]
    assert (fan_out.slow, fan_out.delivered) == (1, 1)
