"""A line of the table: our figure beside the reference's from the same run, and the bar."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        name: what was measured.
        ours: our figure.
        unit: of both figures.
        reference: the figure it is compared with, from the same run; None if it stands alone.
        against: what the reference is.
        bar: what is to be reached, in words; empty for a figure that only informs.
        met: whether it was; None without a bar.
    """

    name: str
    ours: float
    unit: str
    reference: float | None = None
    against: str = ""
    bar: str = ""
    met: bool | None = None

    @property
    def ratio(self) -> float | None:
        """Our figure as a multiple of the reference's."""
        return self.ours / self.reference if self.reference else None

    def as_json(self) -> dict[str, Any]:
        """The row for ``--json``."""
        return {**asdict(self), "ratio": self.ratio}

    def cells(self) -> tuple[str, ...]:
        """The row as the table shows it."""
        reference = "" if self.reference is None else f"{_short(self.reference)} ({self.against})"
        return (
            self.name,
            f"{_short(self.ours)} {self.unit}",
            reference,
            "" if self.ratio is None else f"{self.ratio:.2f}",
            self.bar,
            {True: "met", False: "NOT MET", None: ""}[self.met],
        )


HEADINGS = ("measurement", "ours", "reference", "ratio", "bar", "")


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown, which is also readable in a terminal."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share of ``values`` lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


median = statistics.median


def _short(value: float) -> str:
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
