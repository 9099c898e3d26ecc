"""The guard against loops: how much one principal, and all agents, may say in a session.

Two limits. A principal may add so many messages a minute to one session (as many at once, then
evenly). And agents may add so many since a person's last word there, a *public* message of
agent_type ``human``: then they are stopped until a person speaks.

An author is stopped only for what it may see: public messages, its own private ones, those for
agents of its type, and an admin's also those for admins (what agents of another type say among
themselves is no loop of the admin's). What was deleted counts: it was said.

Pure but for the count it is told: the writer's transaction asks the database once for each
session and audience key, then counts along.
"""

import math
from collections.abc import Callable
from typing import Final, NamedTuple, Self

from typing_extensions import TypedDict

from proto.errors import LoopGuard
from proto.messages import HUMAN, Audience, Message, Session, Visibility
from proto.rate import Buckets
from proto.settings import Settings
from proto.visibility import audience_key, held_keys

GUARDED_PRINCIPALS: Final = 1_000
"""Principals of one session whose rates are remembered."""

SAID_SINCE_HUMAN: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM messages INDEXED BY messages_by_audience"
    " WHERE session_id = :session AND audience = :key AND sender_type <> 'human'"
    " AND deletes IS NULL AND id > ifnull("
    "(SELECT id FROM messages INDEXED BY messages_by_humans WHERE session_id = :session"
    " AND sender_type = 'human' AND visibility = 'public' AND deletes IS NULL"
    " ORDER BY id DESC LIMIT 1), 0) LIMIT :limit)"
)
"""Messages under an audience key since a person's last word, at most ``limit``."""


class ShownLimits(TypedDict):
    """The fields of `Limits`, as tools and REST give them."""

    messages_per_minute: int
    agent_messages: int


class Limits(NamedTuple):
    """What may be said in a session; 0: as much as one likes."""

    messages_per_minute: int = 0
    agent_messages: int = 0

    @classmethod
    def of_server(cls, settings: Settings) -> Self:
        """Those of sessions without limits of their own."""
        return cls(settings.messages_per_minute, settings.agent_messages_without_human)

    def overridden(self, messages_per_minute: int | None, agent_messages: int | None) -> "Limits":
        """These, but for those a session has of its own."""
        return Limits(
            self.messages_per_minute if messages_per_minute is None else messages_per_minute,
            self.agent_messages if agent_messages is None else agent_messages,
        )

    def of(self, session: Session) -> "Limits":
        """Those in force in a session."""
        return self.overridden(session.messages_per_minute, session.agent_messages)


class Guard:
    """One session's guard.

    Args:
        limits: those in force in the session.
    """

    __slots__ = ("_limits", "_rates", "_said")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rates: Buckets | None = None
        self._said: dict[str, int] = {}

    def admit(self, author: Audience, count: Callable[[str, int], int], now: float) -> None:
        """Let ``author`` add a message, and count it against its rate; or stop it.

        Args:
            author: who writes.
            count: tells for an audience key how many messages agents have added under it since a
                person's last word, looking no further than a limit.
            now: seconds on a clock that never goes back.

        Raises:
            LoopGuard: it has said too much.
        """
        ceiling = self._limits.agent_messages
        if ceiling and author.agent_type != HUMAN:
            said = sum(self._said_under(key, count) for key in held_keys(author))
            if said >= ceiling:
                raise LoopGuard(
                    f"Agents have added {ceiling} messages to this session since a person last"
                    " spoke in it.",
                    "Stop, and ask a person: their next public message in this session lifts"
                    " this, or an admin or a person raises agent_messages with update_session.",
                )
        self._check_rate(author.agent_id, now)

    def note(self, message: Message) -> None:
        """A message was added to the session."""
        if message.deletes is not None:
            return
        if message.sender_type != HUMAN:
            key = audience_key(message.visibility, message.principal, message.sender_type)
            if key in self._said:
                self._said[key] += 1
        elif message.visibility is Visibility.PUBLIC:
            self._said.clear()

    def _said_under(self, key: str, count: Callable[[str, int], int]) -> int:
        if key not in self._said:
            self._said[key] = count(key, self._limits.agent_messages)
        return self._said[key]

    def _check_rate(self, principal: str, now: float) -> None:
        most = self._limits.messages_per_minute
        if not most:
            return
        if self._rates is None:
            self._rates = Buckets(most / 60, most, keys=GUARDED_PRINCIPALS)
        if not self._rates.allow(principal, now):
            seconds = math.ceil(self._rates.retry_after(principal, now))
            raise LoopGuard(
                f"You have added more messages to this session than {most} a minute.",
                "Stop, and ask a person whether you are in a loop. One more message is taken in"
                f" {seconds} s; an admin or a person can raise messages_per_minute with"
                " update_session.",
            )
