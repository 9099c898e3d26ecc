"""The guard against loops: it limits how many messages agents add to a session.

There are two limits. ``messages_per_minute`` limits the rate of one principal in one session; that
many may come at once. ``agent_messages`` limits how many messages agents add after the last
*public* message of a person (agent_type ``human``); then agents are refused until a person writes.

For the second limit only those messages count that the author may see: public ones, its own
private ones, those for agents of its type, and for an admin those for admins (messages among
agents of another type are not the admin's loop). Deleted messages count.

The guard does no I/O: the writer's transaction counts in the database once for each session and
audience key, and the guard counts on from there.
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
"""The most principals of one session whose rates are kept."""

SAID_SINCE_HUMAN: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM messages INDEXED BY messages_by_audience"
    " WHERE session_id = :session AND audience = :key AND sender_type <> 'human'"
    " AND deletes IS NULL AND id > ifnull("
    "(SELECT id FROM messages INDEXED BY messages_by_humans WHERE session_id = :session"
    " AND sender_type = 'human' AND visibility = 'public' AND deletes IS NULL"
    " ORDER BY id DESC LIMIT 1), 0) LIMIT :limit) AS said"
)
"""Messages under an audience key since a person's last word, at most ``limit``."""


class ShownLimits(TypedDict):
    """The fields of `Limits`, as tools and REST give them."""

    messages_per_minute: int
    agent_messages: int


class Limits(NamedTuple):
    """The limits of a session; 0 means no limit."""

    messages_per_minute: int = 0
    agent_messages: int = 0

    @classmethod
    def of_server(cls, settings: Settings) -> Self:
        """The limits of sessions that have none of their own."""
        return cls(settings.messages_per_minute, settings.agent_messages_without_human)

    def overridden(self, messages_per_minute: int | None, agent_messages: int | None) -> "Limits":
        """These limits, replaced by those of a session's own that are not None."""
        return Limits(
            self.messages_per_minute if messages_per_minute is None else messages_per_minute,
            self.agent_messages if agent_messages is None else agent_messages,
        )

    def of(self, session: Session) -> "Limits":
        """The limits in force in a session."""
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

    def admit(
        self,
        author: Audience,
        count: Callable[[str, int], int],
        now: float,
        messages: int = 1,
    ) -> None:
        """Allow messages of ``author`` and count them against its rate, or refuse all of them.

        Args:
            author: who writes.
            count: returns how many messages agents have added under an audience key since the
                last public message of a person; it stops counting at the limit it is given.
            now: seconds of a monotonic clock.
            messages: how many.

        Raises:
            LoopGuard: a limit would be exceeded.
        """
        ceiling = self._limits.agent_messages
        if ceiling and author.agent_type != HUMAN:
            said = sum(self._said_under(key, count) for key in held_keys(author))
            if said + messages > ceiling:
                raise LoopGuard(
                    f"Agents have added {said} messages to this session since a person last spoke"
                    f" in it, and may add {ceiling}.",
                    "Stop, and ask a person: their next public message in this session lifts"
                    " this, or an admin or a person raises agent_messages with update_session.",
                )
        self._check_rate(author.agent_id, now, messages)

    def note(self, message: Message) -> None:
        """Count a message that was added to the session."""
        if message.about is not None:
            return
        if message.sender_type != HUMAN:
            key = audience_key(message.visibility, message.principal, message.sender_type)
            if key in self._said:
                self._said[key] += 1
        elif message.visibility is Visibility.PUBLIC:
            self._said.clear()

    def recount(self, limits: Limits) -> bool:
        """Count again what was said, because others have added messages.

        Returns:
            False if the limits are not ``limits`` any more, so that a new guard is needed.
        """
        self._said.clear()
        return limits == self._limits

    def _said_under(self, key: str, count: Callable[[str, int], int]) -> int:
        if key not in self._said:
            self._said[key] = count(key, self._limits.agent_messages)
        return self._said[key]

    def _check_rate(self, principal: str, now: float, messages: int) -> None:
        most = self._limits.messages_per_minute
        if not most:
            return
        if self._rates is None:
            self._rates = Buckets(most / 60, most, keys=GUARDED_PRINCIPALS)
        if messages > most:
            raise LoopGuard(
                f"You may add {most} messages a minute to this session.", "Add fewer at once."
            )
        if not self._rates.allow(principal, now, messages):
            seconds = math.ceil(self._rates.retry_after(principal, now, messages))
            next_one = "One more message is" if messages == 1 else f"{messages} more messages are"
            raise LoopGuard(
                f"You have added more messages to this session than {most} a minute.",
                f"Stop, and ask a person whether you are in a loop. {next_one} taken in"
                f" {seconds} s; an admin or a person can raise messages_per_minute with"
                " update_session.",
            )
