"""Which tokens were taken back, as a value both nodes hold.

A revocation takes back one token (by its id), or every token of an agent that was issued up to a
moment. They are numbered 1, 2, 3 …: another ``number`` tells a node that it has not the same.
"""

from collections.abc import Iterable

import msgspec

from proto.messages import Principal


class Revocation(msgspec.Struct, frozen=True):
    """One revocation: of ``token_id``, or of what ``agent_id`` was issued until then.

    ``issued_until`` is in seconds of Unix time.
    """

    number: int
    token_id: str | None
    agent_id: str | None
    issued_until: int


class Revocations:
    """Every revocation known here. Not safe for use from several threads.

    Attributes:
        complete: whether those made before this process started have been learnt.
        number: of the last one known.
    """

    __slots__ = ("_agents", "_tokens", "complete", "number")

    def __init__(self, known: Iterable[Revocation] = ()) -> None:
        self.complete = False
        self._clear()
        for revocation in known:
            self.add(revocation)

    def replace(self, known: Iterable[Revocation]) -> None:
        """Know these and no others; they are all there are."""
        self._clear()
        for revocation in known:
            self.add(revocation)
        self.complete = True

    def _clear(self) -> None:
        self.number = 0
        self._tokens: set[str] = set()
        self._agents: dict[str, int] = {}

    def add(self, revocation: Revocation) -> None:
        """Learn of one; again does no harm."""
        self.number = max(self.number, revocation.number)
        if revocation.token_id is not None:
            self._tokens.add(revocation.token_id)
        if revocation.agent_id is not None:
            until = max(self._agents.get(revocation.agent_id, 0), revocation.issued_until)
            self._agents[revocation.agent_id] = until

    def cover(self, principal: Principal) -> bool:
        """Whether a principal's token was taken back."""
        if not principal.token_id:
            return False
        return (
            principal.token_id in self._tokens
            or self._agents.get(principal.agent_id, -1) >= principal.issued_at
        )
