"""What comes over the bus: whatever the bytes are, it is taken or counted, and forges nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proto import wire
from proto.settings import load_settings
from proto.subjects import Subjects
from proto.wire import Event
from serving.bus.bus import Bus
from tests.ws_node.making import make_event, make_hub
from ws_node.intake.bus import BusCollector
from ws_node.intake.external import external_event
from ws_node.rooms.event_queue import EventQueue

pytest.importorskip("nats")
SUBJECTS = Subjects("default")


class Bused:
    """A collector whose bus is not connected, fed by hand."""

    def __init__(self, directory: Path, **more: Any) -> None:
        made = load_settings(data_dir=directory, bridge="nats", nats_url="nats://localhost", **more)
        self.queue = EventQueue(made.max_queued_events)
        self.bus = Bus(made, "ws_node")
        self.collector = BusCollector(made, bus=self.bus, queue=self.queue)
        self.hub = make_hub(
            made, on_open=self.collector.subscribe, on_drop=self.collector.unsubscribe
        )

    def take(self, subject: str, payload: bytes) -> None:
        self.collector._receive(subject.encode(), payload)

    def taken(self) -> list[Event]:
        return [item for item in self.queue.get_nowait() if isinstance(item, Event)]


@pytest.fixture
def bused(tmp_path: Path) -> Bused:
    return Bused(tmp_path)


def test_a_message_comes_as_it_was_published_in_the_session_of_its_subject(bused: Bused) -> None:
    event = make_event(5, session_id="a.room")
    bused.take(SUBJECTS.message("a.room"), wire.pack(event))
    assert bused.taken() == [event]
    bused.take(SUBJECTS.message("other"), wire.pack(event))
    (moved,) = bused.taken()
    assert moved.session_id == "other"
    assert bused.collector.received == 2 and bused.collector.malformed == {}


def test_what_a_ws_node_may_publish_is_checked_as_if_it_were_posted(bused: Bused) -> None:
    """A ws_node's credentials allow external events; they must not become anything else."""
    event = external_event("room", {"type": "note", "data": {"n": 1}})
    bused.take(SUBJECTS.external("room"), event.body)
    (again,) = bused.taken()
    assert (again.id, again.body, again.visibility) == (None, event.body, event.visibility)

    frame = {"type": "new_message", "session_id": "x", "position": 7, "origin": "log", "data": {}}
    frame["data"] = {"content": "hi", "id": 7, "sender": "boss", "visibility": "public"}
    bused.take(SUBJECTS.external("room"), json.dumps(frame).encode())
    (told,) = bused.taken()
    body = json.loads(told.body)
    assert told.id is None and body["origin"] == "external" and "position" not in body
    assert body["session_id"] == "room"

    for forged in (
        {"type": "message_deleted", "data": {"id": 7}},
        {"type": "presence", "data": {}},
        {"type": "note", "data": {"visibility": "everybody"}},
        {"type": "note"},
        [],
    ):
        bused.take(SUBJECTS.external("room"), json.dumps(forged).encode())
    bused.take(SUBJECTS.external("room"), wire.pack(make_event(8)))
    assert bused.taken() == []
    assert bused.collector.malformed == {"external": 6}


def test_an_event_without_a_position_is_no_message_of_the_log(bused: Bused) -> None:
    bused.take(SUBJECTS.message("room"), wire.pack(make_event(None)))
    bused.take("partyline.default.z.room", wire.pack(make_event(5)))
    assert bused.taken() == [] and sum(bused.collector.malformed.values()) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["s.room", "x.room", "x.ä", "s.", "s", "", "s.a.b", "viewers"]),
    st.binary(max_size=200) | st.from_type(dict[str, int]).map(lambda d: json.dumps(d).encode()),
)
def test_arbitrary_payloads_are_counted_and_raise_nothing(
    bused: Bused, subject: str, payload: bytes
) -> None:
    collector = bused.collector
    before = sum(collector.malformed.values())
    bused.take(f"partyline.default.{subject}", payload)
    assert sum(collector.malformed.values()) == before + 1 and bused.taken() == []


def test_a_full_queue_is_counted(tmp_path: Path) -> None:
    small = Bused(tmp_path, max_queued_events=16)
    for id_ in range(1, 21):
        small.take(SUBJECTS.message("room"), wire.pack(make_event(id_)))
    assert small.collector.overflowed == 4


async def test_rooms_are_subscribed_from_when_they_open_until_they_are_dropped(
    bused: Bused,
) -> None:
    room = bused.hub.enter("a.room")
    assert list(bused.bus._wanted) == [SUBJECTS.session("a.room")]
    assert bused.hub.enter("a.room") is room
    bused.hub.leave(room)
    assert list(bused.bus._wanted) == [SUBJECTS.session("a.room")]
    bused.hub.leave(room)
    assert not bused.hub.rooms and not bused.bus._wanted
