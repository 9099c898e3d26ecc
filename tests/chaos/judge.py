"""The judge: compares what every viewer was given with what the log holds. Pure, and unforgiving.

Who may see what is spelled out here once more, on purpose: it must not be wrong in the same way
as the product.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

EXAMPLES = 10
"""How many findings of each kind are described."""


class Logged(NamedTuple):
    """A message of the log; ``sum`` is a checksum of what a viewer must be shown of it."""

    id: int
    prev: int
    session_id: str
    principal: str
    sender_type: str
    visibility: str
    sum: int


class Got(NamedTuple):
    """A message as a viewer got it."""

    id: int
    sum: int


class Audience(NamedTuple):
    """What decides what a viewer may see."""

    agent_id: str
    agent_type: str
    is_admin: bool


@dataclass(slots=True)
class Transcript:
    """What a viewer says it was given: everything of a session after ``start``."""

    viewer: str
    session_id: str
    audience: Audience
    start: int
    got: list[Got]


class Acknowledged(NamedTuple):
    """A message a writer was told is stored."""

    id: int
    sum: int
    key: str


@dataclass(slots=True)
class Verdict:
    """How many times the guarantee was broken, and how.

    Attributes:
        lost: visible in the log, never given.
        repeated: given again.
        out_of_order: given for the first time, after a later one.
        forbidden: of another session, or not for this viewer's eyes.
        invented: not in the log, not as it is there, or from before the viewer's start.
        vanished: acknowledged, but not in the log as it was written.
        doubled: writes that are in the log, or were acknowledged, under two ids.
        holes: places where the log's ids or a session's chain do not follow one another.
        examples: the first findings of each kind, in words.
    """

    lost: int = 0
    repeated: int = 0
    out_of_order: int = 0
    forbidden: int = 0
    invented: int = 0
    vanished: int = 0
    doubled: int = 0
    holes: int = 0
    examples: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Every count by its name."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "examples"}

    @property
    def clean(self) -> bool:
        """Whether there is nothing to say."""
        return not any(self.counts().values())

    def found(self, kind: str, text: str) -> None:
        """Count a finding; describe it if it is among the first."""
        count = getattr(self, kind) + 1
        setattr(self, kind, count)
        if count <= EXAMPLES:
            self.examples.append(f"{kind}: {text}")


def may_see(audience: Audience, message: Logged) -> bool:
    """Whether a viewer may see a message."""
    match message.visibility:
        case "public":
            return True
        case "private":
            return audience.agent_id == message.principal
        case "agent_only":
            return audience.is_admin or audience.agent_type == message.sender_type
        case "admin_only":
            return audience.is_admin
    raise ValueError(message.visibility)


def judge(
    log: Sequence[Logged],
    transcripts: Iterable[Transcript],
    acknowledged: Iterable[Acknowledged] = (),
) -> Verdict:
    """Compare transcripts and acknowledgements with the log (ascending by id)."""
    verdict = Verdict()
    by_id = {message.id: message for message in log}
    _judge_log(log, verdict)
    _judge_writes(by_id, acknowledged, verdict)
    for transcript in transcripts:
        _judge_viewer(by_id, log, transcript, verdict)
    return verdict


def _judge_log(log: Sequence[Logged], verdict: Verdict) -> None:
    lasts: dict[str, int] = {}
    for place, message in enumerate(log, start=1):
        if message.id != place:
            verdict.found("holes", f"id {message.id} in place {place} of the log")
        if message.prev != lasts.get(message.session_id, 0):
            verdict.found("holes", f"id {message.id} follows {message.prev} in its session")
        lasts[message.session_id] = message.id
    for checksum, count in Counter(message.sum for message in log).items():
        if count > 1:
            ids = [message.id for message in log if message.sum == checksum]
            verdict.found("doubled", f"one write under the ids {ids}")


def _judge_writes(
    by_id: Mapping[int, Logged], acknowledged: Iterable[Acknowledged], verdict: Verdict
) -> None:
    first: dict[str, int] = {}
    for write in acknowledged:
        if first.setdefault(write.key, write.id) != write.id:
            verdict.found("doubled", f"{write.key} acknowledged as {first[write.key]}, {write.id}")
        stored = by_id.get(write.id)
        if stored is None or stored.sum != write.sum:
            verdict.found("vanished", f"{write.key}, acknowledged as {write.id}")


def _judge_viewer(
    by_id: Mapping[int, Logged], log: Sequence[Logged], one: Transcript, verdict: Verdict
) -> None:
    seen: set[int] = set()
    newest = one.start
    for got in one.got:
        what = f"{got.id} to {one.viewer}"
        message = by_id.get(got.id)
        if got.id in seen:
            verdict.found("repeated", what)
            continue
        seen.add(got.id)
        if message is None or message.sum != got.sum or got.id <= one.start:
            verdict.found("invented", what)
        elif message.session_id != one.session_id or not may_see(one.audience, message):
            verdict.found("forbidden", what)
        elif got.id < newest:
            verdict.found("out_of_order", f"{what} after {newest}")
        newest = max(newest, got.id)
    for message in log:
        if (
            message.id > one.start
            and message.session_id == one.session_id
            and message.id not in seen
            and may_see(one.audience, message)
        ):
            verdict.found("lost", f"{message.id} to {one.viewer} (start {one.start})")
