"""How many watch a session: this worker's connections and what its siblings told."""

from pathlib import Path

from tests.ws_node.making import ignore, make_settings
from ws_node.presence.viewer_counts import ENTRY_BYTES, REPEAT, ViewerCounts
from ws_node.rooms.room import Room


def rooms(directory: Path, **references: int) -> dict[str, Room]:
    made = {name: Room(name, make_settings(directory)) for name in references}
    for name, room in made.items():
        room.references = references[name]
    return made


def test_counts_are_the_sum_of_all_workers_without_silent_ones(tmp_path: Path) -> None:
    changed: list[str] = []
    watched = ViewerCounts(rooms(tmp_path, here=2), 1_000_000, on_change=changed.append)
    watched.update(1, {"here": 3, "there": 1})
    watched.update(2, {"here": 1})
    assert (watched["here"], watched["there"], watched["nowhere"]) == (6, 1, 0)
    assert sorted(changed) == ["here", "here", "there"]
    changed.clear()
    watched.update(1, {"here": 3, "there": 1})
    assert changed == []
    watched.update(1, {"here": 4})
    assert sorted(changed) == ["here", "there"]
    watched.update(1, {})
    assert (watched["here"], watched["there"]) == (3, 0)


def test_a_workers_counts_are_sent_when_they_change_and_now_and_then(tmp_path: Path) -> None:
    watched = ViewerCounts(rooms(tmp_path, here=2, left=0), 1_000_000, on_change=ignore)
    assert watched.changes() == {"here": 2}
    assert [watched.changes() for _ in range(REPEAT)] == [None] * (REPEAT - 1) + [{"here": 2}]
    watched.mark_changed()
    assert watched.changes() == {"here": 2}


def test_what_it_tells_fits_a_message(tmp_path: Path) -> None:
    watched = ViewerCounts(rooms(tmp_path, a=1, b=1, c=1), 2 * ENTRY_BYTES, on_change=ignore)
    assert watched.changes() == {"a": 1, "b": 1}
