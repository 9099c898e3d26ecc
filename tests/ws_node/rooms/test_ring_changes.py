"""What a room remembers of deleted and edited messages: what the log would give now."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.frames import message_frame
from proto.internal_api import LogPage
from proto.messages import ANONYMOUS, Audience, Kind, Message, Visibility, encode_metadata
from proto.wire import message_event
from tests.ws_node.making import EPOCH
from ws_node.log.shared_reads import log_range
from ws_node.rooms.framing import Framing, text_frame
from ws_node.rooms.outgoing import Outgoing
from ws_node.rooms.ring import Ring

READER = Audience(ANONYMOUS, ANONYMOUS)
NOTHING = encode_metadata(None)

Step = tuple[str, int]
steps = st.lists(
    st.tuples(st.sampled_from(["say", "say", "delete", "edit"]), st.integers(0, 30)), max_size=30
)
"""Each says something of that length, or deletes or edits the message so many before."""


def entry(
    id_: int, content: str = "", about: int | None = None, kind: Kind = Kind.MESSAGE
) -> Message:
    return Message(
        id_,
        id_ - 1,
        "room",
        "alice",
        "alice",
        "claude",
        content,
        Visibility.PUBLIC,
        "2026-11-24T03:40:33.000000Z",
        NOTHING if kind is Kind.DELETION else encode_metadata({"about": content}),
        None,
        about,
        kind=kind,
    )


def outgoing(message: Message) -> Outgoing:
    event = message_event(message, EPOCH)
    return Outgoing(event, text_frame(event.body))


class Log:
    """A session's log, as the store keeps it."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def step(self, what: str, number: int) -> Message | None:
        """One more entry; None if that one cannot be deleted or edited."""
        id_ = len(self.messages) + 1
        if what == "say":
            self.messages.append(entry(id_, "x" * number))
            return self.messages[-1]
        place = id_ - 2 - number
        if place < 0 or self.messages[place].about or self.messages[place].deleted:
            return None
        for at, each in enumerate(self.messages):  # an edit has its text until the next change
            if each.about == place + 1:
                self.messages[at] = msgspec.structs.replace(each, content="", metadata=NOTHING)
        if what == "delete":
            added = entry(id_, about=place + 1, kind=Kind.DELETION)
            new = {"content": "", "metadata": NOTHING, "deleted": True, "edited_at": None}
        else:
            added = entry(id_, f"edit {id_}", about=place + 1, kind=Kind.EDIT)
            new = {
                "content": added.content,
                "metadata": added.metadata,
                "edited_at": added.timestamp,
            }
        self.messages[place] = msgspec.structs.replace(self.messages[place], **new)
        self.messages.append(added)
        return added

    def frames(self, after: int) -> bytes:
        """What a viewer gets that comes now."""
        return b"".join(text_frame(message_frame(each)) for each in self.messages[after:])


def given_by(ring: Ring, position: int) -> bytes:
    frames, more = ring.after(position, READER, Framing.WEBSOCKET, 1 << 30)
    assert more is None
    return frames


@given(steps, st.integers(1, 20), st.integers(1, 4_000))
def test_a_ring_gives_what_the_log_would_give(made: list[Step], most: int, most_bytes: int) -> None:
    log, ring = Log(), Ring(0, max_messages=most, max_bytes=most_bytes)
    for step in made:
        added = log.step(*step)
        if added is not None:
            ring.append(outgoing(added))
        assert given_by(ring, ring.floor) == log.frames(ring.floor)
        assert len(given_by(ring, ring.floor)) <= most_bytes
        assert len(ring) <= most


@given(steps, steps, st.integers(0, 20), st.integers(0, 20), st.integers(1, 40))
def test_what_was_read_before_a_change_does_not_bring_the_text_back(
    before: list[Step],
    later: list[Step],
    opened: int,
    start: int,
    most: int,
) -> None:
    """A page is read; then things happen; then the room's ring is extended by the page."""
    log = Log()
    for step in before:
        log.step(*step)
    head = len(log.messages)
    opened = min(opened, head)
    ring = Ring(opened, max_messages=most, max_bytes=1 << 30)
    for message in log.messages[opened:]:
        ring.append(outgoing(message))
    page = LogPage(EPOCH, head, head, log.messages[start:])
    older = log_range(page, start).messages
    for step in later:
        added = log.step(*step)
        if added is not None:
            ring.append(outgoing(added))
    ring.extend(older, head)
    assert given_by(ring, ring.floor) == log.frames(ring.floor)


@pytest.mark.parametrize("framing", list(Framing))
def test_the_text_is_in_no_framing(framing: Framing) -> None:
    secret = "all of this is secret " * 20
    said = outgoing(entry(1, secret))
    ring = Ring(0, max_messages=10, max_bytes=1 << 20)
    ring.append(said)
    assert ring.after(0, READER, framing, 1 << 20)[0] == said.framed(framing)
    ring.append(outgoing(entry(2, about=1, kind=Kind.DELETION)))
    assert ring.after(0, READER, framing, 1 << 20)[0] != said.framed(framing)
    left = msgspec.structs.replace(entry(1), metadata=NOTHING, deleted=True)
    expected = outgoing(left).framed(framing) + outgoing(
        entry(2, about=1, kind=Kind.DELETION)
    ).framed(framing)
    assert ring.after(0, READER, framing, 1 << 20)[0] == expected
