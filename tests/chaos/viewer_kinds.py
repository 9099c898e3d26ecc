"""How many viewers of each kind, of which sessions, beginning how."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from tests.chaos.sockets import ManyViewer, SocketViewer
from tests.chaos.streams import StreamViewer
from tests.chaos.viewers import Viewer
from tests.pair import Pair

BEGINNINGS: Final = ("now", "all", "plain")
KINDS: Final = (
    SocketViewer,
    SocketViewer,
    StreamViewer,
    ManyViewer,
    SocketViewer,
    StreamViewer,
    SocketViewer,
)
"""Seven, so that every kind meets every session, audience and size of buffer."""

STEPS: Final = (0, 1, 3)
"""From one session of a viewer of several to the others."""


def make_viewers(
    pairs: Sequence[Pair], count: int, rooms: Sequence[str], rng: Callable[[str], random.Random]
) -> list[Viewer]:
    """The viewers of a run; ``rng`` makes the generator of one part."""
    viewers: list[Viewer] = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        begins = BEGINNINGS[number // len(rooms) % len(BEGINNINGS)]
        if begins == "plain" and kind is not SocketViewer:
            begins = "now"  # the others always ask
        steps = STEPS if kind is ManyViewer else STEPS[:1]
        own = dict.fromkeys(rooms[(number + step) % len(rooms)] for step in steps)
        viewers.append(kind(pairs, number, [*own], begins, rng(f"viewer {number}")))
    return viewers


def kinds_of(viewers: Sequence[Viewer]) -> str:
    """How many there are of each kind."""
    kinds = Counter(viewer.kind for viewer in viewers)
    return ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))


def deliveries_by_kind(viewers: Sequence[Viewer]) -> str:
    """How many messages each kind was given."""
    kinds = Counter[str]()
    for viewer in viewers:
        kinds[viewer.kind] += sum(len(viewer_log.got) for viewer_log in viewer.viewer_logs.values())
    return ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items()))
