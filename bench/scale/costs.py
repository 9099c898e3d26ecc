"""What everything costs: the measured figures, and where each comes from.

All are converted to seconds of one core of the machine of the table in docs/performance.md.
"""

from dataclasses import dataclass, fields, replace
from typing import Final, NamedTuple

SLOWER: Final = 3.0
"""Figures of the second machine of docs/performance.md are divided by this."""


@dataclass(frozen=True)
class Costs:
    """Seconds of a core, unless said otherwise.

    Attributes:
        call: mcp_node, for each call of add_message.
        publish: of these, what mcp_node needs to publish a message after its commit.
        batch, row: how long a commit holds the log's lock: each batch, and each message in it.
        bus_in, bus_out: nats-server, for each message it receives, and for each connection that it
            passes the message to.
        message: ws_node, for each message that it receives.
        room: ws_node, for each room with messages, each time it writes.
        viewer: ws_node, for each viewer that it writes to, each time it writes.
        delivery: ws_node, for each message in each of these writes.
        heads_row: mcp_node and PostgreSQL together, for each message of the log that a comparison
            of heads reads, in each process of ws_node.
        viewer_bytes, room_bytes: memory of ws_node for each viewer, and each subscription.
        frame_bytes, bus_bytes: on the network, to each viewer and to each subscriber of NATS.
        stored_bytes, wal_bytes: in PostgreSQL's tables and in its write-ahead log, each message.
    """

    call: float = 0
    publish: float = 0
    batch: float = 0
    row: float = 0
    bus_in: float = 0
    bus_out: float = 0
    message: float = 0
    room: float = 0
    viewer: float = 0
    delivery: float = 0
    heads_row: float = 0
    viewer_bytes: float = 0
    room_bytes: float = 0
    frame_bytes: float = 0
    bus_bytes: float = 0
    stored_bytes: float = 0
    wal_bytes: float = 0


class Figure(NamedTuple):
    """A measured figure: the field of `Costs`, its value as measured, its unit, and its source."""

    name: str
    value: float
    unit: str
    source: str
    slower: bool = False
    """Whether it was measured on the second machine."""

    @property
    def converted(self) -> float:
        """In seconds of a core of the first machine, or in bytes."""
        size = {"µs": 1e-6, "B": 1.0, "KiB": 1024.0}[self.unit]
        return self.value * size / (SLOWER if self.slower else 1.0)


FIGURES: Final = (
    Figure("call", 843, "µs", "table: CPU of mcp_node per add_message"),
    Figure("publish", 8.4, "µs", "where a call's time goes: publishing, 1.0 % of a call"),
    Figure("batch", 2_045, "µs", "PostgreSQL, 20 and 200 callers: see `fitted`", True),
    Figure("row", 144.6, "µs", "the same", True),
    Figure("bus_in", 1.3, "µs", "CPU of nats-server, flood, no subscriber (docs/cluster.md)", True),
    Figure("bus_out", 1.2, "µs", "the same, each of 1 to 8 subscribers", True),
    Figure("message", 7.5, "µs", "fits 100 viewers at 0.102, 1,000 at 0.034 µs (compression)"),
    Figure("room", 5.0, "µs", "table: 1,000 rooms x 1 viewer, 15.8 µs, less the other three"),
    Figure("viewer", 3.2, "µs", "table: CPU per delivery, one message per drain"),
    Figure("delivery", 0.0265, "µs", "as `message`"),
    Figure("heads_row", 1.7, "µs", "2,000 rows in 3.4 ms from PostgreSQL (docs/cluster.md)", True),
    Figure("viewer_bytes", 18.5, "KiB", "table: memory per idle viewer"),
    Figure("room_bytes", 4.5, "KiB", "docs/cluster.md: memory of a subscription"),
    Figure("frame_bytes", 326, "B", "a frame of 260 bytes and 66 bytes of TCP, IP and Ethernet"),
    Figure("bus_bytes", 433, "B", "a message of 367 bytes on the bus, and the same"),
    Figure("stored_bytes", 885, "B", "tables and indexes, 95,000 messages of 256 characters"),
    Figure("wal_bytes", 1_574, "B", "the same messages"),
)

LOGS: Final = {
    "product": {},
    "operations": {"batch": 962e-6, "row": 33.9e-6},
    "function": {"batch": 623e-6, "row": 24.9e-6},
}
"""Ways to append to PostgreSQL: as it is, and two trials without the search index and tallies,
which reached 7,690 and 23,000 messages/s with 20 and 200 callers (today's operations), and
11,470 and 32,100 (one function of the database for a batch). Not converted."""


def measured(log: str = "product") -> Costs:
    """The costs as measured, with one of `LOGS`."""
    return replace(Costs(**{each.name: each.converted for each in FIGURES}), **LOGS[log])


def fitted(few: float, few_rate: float, many: float, many_rate: float) -> tuple[float, float]:
    """Seconds for each batch and each row, from the rates with few and with many callers.

    With n callers, each waiting for its own message, n messages are committed in two batches,
    however they divide into them: n = rate * (2 * batch + n * row).
    """
    row = (many / many_rate - few / few_rate) / (many - few)
    return (few / few_rate - few * row) / 2, row


def table() -> str:
    """The figures as Markdown."""
    docs = {each.name for each in fields(Costs)}
    assert docs == {each.name for each in FIGURES}
    lines = ["| figure | measured | used | source |", "|---|---|---|---|"]
    for each in FIGURES:
        used = each.converted / {"µs": 1e-6}.get(each.unit, 1.0)
        unit = "µs" if each.unit == "µs" else "B"
        lines.append(
            f"| {each.name} | {each.value:,g} {each.unit} | {used:,.4g} {unit} | {each.source} |"
        )
    return "\n".join(lines)
