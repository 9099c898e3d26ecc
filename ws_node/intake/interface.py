"""What the node asks of the receiving side of a bridge."""

from typing import Protocol


class Intake(Protocol):
    """Puts the messages of a bridge into the event queue.

    Attributes:
        received: well-formed messages.
        overflowed: well-formed messages dropped because the queue was full.
        malformed: counts of what was dropped, by reason.
    """

    received: int
    overflowed: int
    malformed: dict[str, int]

    @property
    def refused(self) -> int:
        """Peers, messages or rights that were refused."""

    def start(self) -> None:
        """Receive from now on."""

    def close(self) -> None:
        """Stop receiving."""

    def subscribe(self, session_id: str) -> None:
        """The session has a room: receive its messages."""

    def unsubscribe(self, session_id: str) -> None:
        """The session's room was dropped."""

    async def subscribed(self, session_id: str) -> None:
        """Wait until no message of the session that is published later can be missed.

        It returns without that certainty, soon, if the bridge is away.
        """
