"""Queues, exactly simulated: when does each piece of work end?

All are first come, first served, and what comes in does not depend on what comes out. So the time
of every event follows from those before it, and no calendar of future events is needed, except
where several queues compete.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final, NamedTuple

LONGEST: Final = 0.5
"""Seconds. A part in which half of the work waits longer is saturated."""


@dataclass
class Usage:
    """How busy a part was.

    Attributes:
        busy: seconds of work, all of its servers together.
        waits: when work came, and how long it took until it was done.
    """

    busy: float = 0.0
    waits: list[tuple[float, float]] = field(default_factory=list)

    def fell_behind(self, seconds: float) -> bool:
        """Whether the work of some seconds came faster than it was done.

        That is so if what came in the last quarter waited longer than `LONGEST`, or longer and
        longer: much longer than what came in the second quarter (medians).
        """
        waits = sorted(self.waits)
        early, late = (
            [wait for at, wait in waits if begin <= at / seconds < begin + 0.25]
            for begin in (0.25, 0.75)
        )
        if not early or not late:
            return False
        before, at_last = median(early), median(late)
        return at_last > LONGEST or at_last > max(1.5 * before, 0.1 * seconds)


class Servers:
    """Servers with one queue."""

    def __init__(self, count: int) -> None:
        self._free = [0.0] * count
        self.usage = Usage()

    def serve(self, at: float, seconds: float) -> float:
        """When work that comes at a time is done. Work must come in order of time."""
        begin = max(at, self._free[0])
        end = begin + seconds
        heapq.heapreplace(self._free, end)
        self.usage.busy += seconds
        self.usage.waits.append((at, end - at))
        return end


def take_turns(
    writers: Sequence[Sequence[float]], batch: float, row: float, most: int, usage: Usage
) -> list[list[float]]:
    """Writers that commit what waits for them in batches, under one lock.

    A writer that is not committing takes what waits, at most so many messages, and waits for the
    lock. Writers get it in the order in which they asked.

    Args:
        writers: for each, the times at which its messages come, in order.
        batch, row: how long the lock is held for a batch, and for each message in it.
        most: messages in a batch.

    Returns:
        When each message is committed.
    """
    done: list[list[float]] = [[] for _ in writers]
    asking = [(times[0], writer) for writer, times in enumerate(writers) if times]
    heapq.heapify(asking)
    free = 0.0
    while asking:
        asked, writer = heapq.heappop(asking)
        times, ends = writers[writer], done[writer]
        first = last = len(ends)
        while last < len(times) and last - first < most and times[last] <= asked:
            last += 1
        held = batch + row * (last - first)
        free = max(free, asked) + held
        usage.busy += held
        usage.waits.extend((at, free - at) for at in times[first:last])
        ends.extend([free] * (last - first))
        if last < len(times):
            heapq.heappush(asking, (max(free, times[last]), writer))
    return done


class Arrival(NamedTuple):
    """A message at a process of ws_node: when, of which session, for how many viewers."""

    at: float
    session: int
    viewers: int
    number: int


def drain(
    arrivals: Sequence[Arrival],
    *,
    message: float,
    room: float,
    viewer: float,
    delivery: float,
    usage: Usage,
) -> Iterator[tuple[Arrival, float]]:
    """One process of ws_node: takes all that has come, then writes to the viewers of each room.

    Messages of a room that come together share its write to each viewer. What comes meanwhile waits
    for the next turn.

    Yields:
        Each arrival, and when the last of its viewers had it.
    """
    now, place = 0.0, 0
    while place < len(arrivals):
        begin = now = max(now, arrivals[place].at)
        rooms: dict[int, list[Arrival]] = {}
        while place < len(arrivals) and arrivals[place].at <= begin:
            rooms.setdefault(arrivals[place].session, []).append(arrivals[place])
            place += 1
        now += message * sum(map(len, rooms.values()))
        for together in rooms.values():
            now += room + together[0].viewers * (viewer + delivery * len(together))
            for each in together:
                usage.waits.append((each.at, now - each.at))
                yield each, now
        usage.busy += now - begin
