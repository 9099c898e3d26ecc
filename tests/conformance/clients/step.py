"""What a client did, and what it got."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One line of what is printed."""

    did: str
    got: str
