"""The ring against a list that forgets nothing."""

from hypothesis import given
from hypothesis import strategies as st

from proto.messages import Audience, Visibility
from proto.visibility import may_see
from proto.wire import Event
from tests.ws_node.making import make_event
from ws_node.rooms.framing import Framing, text_frame
from ws_node.rooms.outgoing import Outgoing
from ws_node.rooms.ring import Ring

READERS = [Audience("alice", "claude"), Audience("bob", "codex"), Audience("root", "x", True)]

entries = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 40), st.sampled_from(list(Visibility))),
    max_size=30,
)


def filled(
    floor: int, most: int, most_bytes: int, made: list[tuple[int, int, Visibility]]
) -> tuple[Ring, list[tuple[Event, bytes]]]:
    ring = Ring(floor, max_messages=most, max_bytes=most_bytes)
    model: list[tuple[Event, bytes]] = []
    id_ = floor
    for step, size, visibility in made:
        id_ += step
        event = make_event(id_, b"%d" % id_ + b"." * size, visibility=visibility)
        model.append((event, text_frame(event.body)))
        ring.append(Outgoing(*model[-1]))
    return ring, model


@given(st.integers(0, 5), st.integers(1, 10), st.integers(1, 300), entries)
def test_a_ring_holds_the_newest_within_both_bounds(
    floor: int, most: int, most_bytes: int, made: list[tuple[int, int, Visibility]]
) -> None:
    ring, model = filled(floor, most, most_bytes, made)
    assert len(ring) <= most
    kept = model[len(model) - len(ring) :]
    assert sum(len(frame) for _, frame in kept) <= most_bytes
    dropped = model[: len(model) - len(ring)]
    assert ring.floor == (dropped[-1][0].id if dropped else floor)
    if dropped:  # one more would not have fitted
        more = model[len(dropped) - 1 :]
        assert len(more) > most or sum(len(frame) for _, frame in more) > most_bytes


@given(
    st.integers(1, 10), st.integers(1, 300), entries, st.integers(0, 100), st.sampled_from(READERS)
)
def test_what_it_covers_it_gives_completely(
    most: int,
    most_bytes: int,
    made: list[tuple[int, int, Visibility]],
    position: int,
    reader: Audience,
) -> None:
    ring, model = filled(0, most, most_bytes, made)
    if not ring.covers(position):
        assert position < ring.floor
        return
    expected = b"".join(
        frame
        for event, frame in model
        if (event.id or 0) > position
        and may_see(reader, event.visibility, event.principal, event.sender_type)
    )
    assert ring.after(position, reader, Framing.WEBSOCKET, 1 << 30) == (expected, None)


@given(entries, st.integers(0, 60), st.integers(0, 150), st.sampled_from(READERS))
def test_pieces_are_bounded_and_join_to_the_whole(
    made: list[tuple[int, int, Visibility]], position: int, most: int, reader: Audience
) -> None:
    ring, model = filled(0, 1_000, 1 << 30, made)
    whole, _ = ring.after(position, reader, Framing.WEBSOCKET, 1 << 30)
    pieces = []
    next_position: int | None = position
    while next_position is not None:
        former = next_position
        piece, next_position = ring.after(former, reader, Framing.WEBSOCKET, most)
        pieces.append(piece)
        assert next_position is None or next_position > former
        assert len(piece) <= most or piece in [frame for _, frame in model]
    assert b"".join(pieces) == whole


def test_a_message_larger_than_the_ring_leaves_it_empty_and_honest() -> None:
    ring = Ring(0, max_messages=10, max_bytes=20)
    ring.append(Outgoing(make_event(1), b"x" * 10))
    ring.append(Outgoing(make_event(2), b"x" * 30))
    assert (len(ring), ring.floor, ring.covers(1), ring.covers(2)) == (0, 2, False, True)


@given(
    st.integers(1, 10),
    st.integers(1, 300),
    entries,
    st.integers(0, 30),
    st.integers(0, 60),
    st.sampled_from(READERS),
)
def test_extended_by_what_came_before_it_is_still_complete(
    most: int,
    most_bytes: int,
    made: list[tuple[int, int, Visibility]],
    opened_at: int,
    start: int,
    reader: Audience,
) -> None:
    """It opens in the middle of a log and is extended by a stretch of it, with any overlap."""
    _, log = filled(0, 1_000, 1 << 30, made)
    ring = Ring(opened_at, max_messages=most, max_bytes=most_bytes)
    for event, frame in log:
        if (event.id or 0) > opened_at:
            ring.append(Outgoing(event, frame))
    older = Ring(start, max_messages=1_000, max_bytes=1 << 30)
    for event, frame in log:
        if (event.id or 0) > start:
            older.append(Outgoing(event, frame))
    through = max([event.id or 0 for event, _ in log], default=0)
    floor = ring.floor
    ring.extend(older, through)
    assert ring.floor <= floor
    assert ring.floor >= min(start, floor)
    assert len(ring) <= most
    for position in {ring.floor, (ring.floor + through) // 2 + 1, floor}:
        expected = [(event, frame) for event, frame in log if (event.id or 0) > position]
        assert sum(len(frame) for _, frame in expected) <= most_bytes
        visible = b"".join(
            frame
            for event, frame in expected
            if may_see(reader, event.visibility, event.principal, event.sender_type)
        )
        assert ring.after(position, reader, Framing.WEBSOCKET, 1 << 30) == (visible, None)
