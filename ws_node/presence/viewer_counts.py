"""How many connections watch each session, over all workers and, over the bus, all nodes."""

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final

from ws_node.rooms.room import Room

ENTRY_BYTES: Final = 80
"""Most bytes of a session and its count in a message to the siblings."""

REPEAT: Final = 5
"""Unchanged counts are sent again every so many calls: a sibling may have missed them."""


class ViewerCounts:
    """The counts of this worker's rooms and of its siblings'.

    Args:
        rooms: of this worker.
        max_bytes: of a message to the siblings; sessions that do not fit are left out.
        on_change: called with the id of a session whose count changed in another worker.
    """

    def __init__(
        self, rooms: Mapping[str, Room], max_bytes: int, *, on_change: Callable[[str], None]
    ) -> None:
        self._on_change = on_change
        self._rooms = rooms
        self._most = max_bytes // ENTRY_BYTES
        self._elsewhere: dict[int | str, dict[str, int]] = {}
        self._sum: Counter[str] = Counter()
        self._changed = True
        self._quiet = 0

    def __getitem__(self, session_id: str) -> int:
        """The number of connections that watch a session."""
        room = self._rooms.get(session_id)
        return self._sum[session_id] + (0 if room is None else room.references)

    def mark_changed(self) -> None:
        """A count of this worker changed: it is sent with the next `changes`."""
        self._changed = True

    def changes(self) -> dict[str, int] | None:
        """This worker's counts if they are to be sent, else None; call it about once a second."""
        self._quiet += 1
        if not self._changed and self._quiet < REPEAT:
            return None
        self._changed, self._quiet = False, 0
        own = ((name, room.references) for name, room in self._rooms.items() if room.occupied)
        return dict(islice(own, self._most))

    def update(self, worker: int | str, counts: dict[str, int]) -> None:
        """Set the counts of a sibling, or of a process of another node; empty when it is away."""
        former = self._elsewhere.get(worker, {})
        if counts == former:
            return
        if counts:
            self._elsewhere[worker] = counts
        else:
            del self._elsewhere[worker]
        for name in former.keys() | counts.keys():
            if moved := counts.get(name, 0) - former.get(name, 0):
                self._sum[name] += moved
                if not self._sum[name]:
                    del self._sum[name]
                self._on_change(name)
