"""What the node asks of a bridge."""

from collections.abc import Sequence
from typing import Protocol

from proto.messages import Message


class Publisher(Protocol):
    """A bridge out. ``publish`` never blocks and never raises: what cannot leave is dropped.

    Dropping loses nothing: the log is the truth, and ws_node reads from it what it missed.
    """

    @property
    def published(self) -> int:
        """Messages handed to the bridge."""

    @property
    def dropped(self) -> int:
        """Messages that were not, because the other side is away or too slow."""

    @property
    def connected(self) -> bool:
        """Whether the other side was there when last heard of."""

    @property
    def waiting(self) -> int:
        """Messages held until the bridge takes more."""

    async def start(self) -> None:
        """Open the bridge; the other side need not be there."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Send messages in their order, without waiting."""

    async def close(self) -> None:
        """Give what is waiting a short time to leave, then close."""
