"""Revoked tokens, as both nodes hold them in memory.

A revocation revokes one token (by its id), or every token of an agent that was issued up to a
moment. They are numbered 1, 2, 3 …: from the last number a node learns whether it has them all.
"""

from collections.abc import Iterable

import msgspec

from proto.messages import Principal


class Revocation(msgspec.Struct, frozen=True):
    """One revocation: of one token, or of all tokens of an agent.

    Attributes:
        number: 1, 2, 3 …
        token_id: the token; None if all tokens of an agent are revoked.
        agent_id: the agent, whose tokens issued up to ``issued_until`` are revoked.
        issued_until: seconds of Unix time.
    """

    number: int
    token_id: str | None
    agent_id: str | None
    issued_until: int


class Revocations:
    """The revocations that a node knows. Not thread-safe.

    Attributes:
        complete: whether those made before this process started are included.
        number: of the last one.
    """

    __slots__ = ("_agents", "_tokens", "complete", "number")

    def __init__(self, known: Iterable[Revocation] = ()) -> None:
        self.complete = False
        self._clear()
        for revocation in known:
            self.add(revocation)

    def replace(self, known: Iterable[Revocation]) -> None:
        """Replace all revocations. The given ones are complete."""
        self._clear()
        for revocation in known:
            self.add(revocation)
        self.complete = True

    def _clear(self) -> None:
        self.number = 0
        self._tokens: set[str] = set()
        self._agents: dict[str, int] = {}

    def add(self, revocation: Revocation) -> None:
        """Add a revocation; idempotent."""
        self.number = max(self.number, revocation.number)
        if revocation.token_id is not None:
            self._tokens.add(revocation.token_id)
        if revocation.agent_id is not None:
            until = max(self._agents.get(revocation.agent_id, 0), revocation.issued_until)
            self._agents[revocation.agent_id] = until

    def cover(self, principal: Principal) -> bool:
        """Whether a principal's token was revoked."""
        if not principal.token_id:
            return False
        return (
            principal.token_id in self._tokens
            or self._agents.get(principal.agent_id, -1) >= principal.issued_at
        )
