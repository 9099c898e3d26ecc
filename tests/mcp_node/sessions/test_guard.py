"""The guard as a value: told who writes and what the database counts, it admits or stops."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_node.sessions.guard import Guard, Limits
from proto.errors import LoopGuard
from proto.messages import ANONYMOUS, Audience, Message, Visibility, encode_metadata, utc_now
from proto.visibility import audience_key, may_see

CLAUDE = Audience("claude-1", "claude")
CODEX = Audience("codex-1", "codex")
ADMIN = Audience("root", "ops", is_admin=True)
GUEST = Audience("guest:alice-0123abcd", "guest")
HUMAN = Audience("human", "human")
NOBODY = Audience(ANONYMOUS, ANONYMOUS)
EVERYBODY = [CLAUDE, CODEX, ADMIN, GUEST, HUMAN, NOBODY]


def said(
    author: Audience, visibility: Visibility = Visibility.PUBLIC, about: int | None = None
) -> Message:
    place = (1, 0, "room", author.agent_id, author.agent_id, author.agent_type, "a", visibility)
    return Message(*place, utc_now(), encode_metadata(None), None, about)


def counting(log: list[Message]) -> Callable[[str, int], int]:
    """What the database counts: since the last public message of a person."""

    def count(key: str, limit: int) -> int:
        since = 0
        for number, message in enumerate(log, 1):
            word = message.sender_type == "human" and message.visibility is Visibility.PUBLIC
            since = number if word and message.about is None else since
        return min(limit, sum(1 for message in log[since:] if counts(message, key)))

    def counts(message: Message, key: str) -> bool:
        if message.sender_type == "human" or message.about is not None:
            return False
        return audience_key(message.visibility, message.principal, message.sender_type) == key

    return count


def stopped(guard: Guard, author: Audience, log: list[Message], now: float = 0.0) -> bool:
    try:
        guard.admit(author, counting(log), now)
    except LoopGuard:
        return True
    return False


def test_a_minute_takes_so_many_of_each_and_no_more() -> None:
    guard = Guard(Limits(messages_per_minute=30))
    assert [stopped(guard, CLAUDE, []) for _ in range(31)] == [False] * 30 + [True]
    assert not stopped(guard, CODEX, [])
    assert stopped(guard, CLAUDE, [], now=1.9)
    assert not stopped(guard, CLAUDE, [], now=2.1)
    assert stopped(guard, CLAUDE, [], now=2.2)
    assert [stopped(guard, CLAUDE, [], now=63) for _ in range(31)] == [False] * 30 + [True]


def test_a_person_is_held_to_the_minute_as_well() -> None:
    guard = Guard(Limits(messages_per_minute=1))
    assert [stopped(guard, HUMAN, []) for _ in range(2)] == [False, True]


def test_the_error_says_to_stop_and_ask_and_when_it_goes_on() -> None:
    guard = Guard(Limits(messages_per_minute=6))
    for _ in range(6):
        guard.admit(CLAUDE, counting([]), 0.0)
    with pytest.raises(LoopGuard, match=r"6 a minute.*ask a person.*in 10 s.*update_session"):
        guard.admit(CLAUDE, counting([]), 0.0)
    with pytest.raises(LoopGuard, match=r"added 1 messages.*ask a person.*public message"):
        Guard(Limits(agent_messages=1)).admit(CLAUDE, counting([said(CODEX)]), 0.0)


def test_without_limits_nobody_is_stopped_and_nothing_is_counted() -> None:
    def never(key: str, limit: int) -> int:
        raise AssertionError("it was counted")

    guard = Guard(Limits())
    for _ in range(10_000):
        guard.admit(CLAUDE, never, 0.0)


def test_who_is_stopped_by_the_ceiling_uses_up_no_rate() -> None:
    guard = Guard(Limits(messages_per_minute=1, agent_messages=1))
    log = [said(CODEX)]
    assert stopped(guard, CLAUDE, log)
    log.append(said(HUMAN))
    guard.note(log[-1])
    assert not stopped(guard, CLAUDE, log)


@pytest.mark.parametrize("visibility", list(Visibility))
@pytest.mark.parametrize("author", EVERYBODY)
def test_only_a_persons_public_message_is_a_word(author: Audience, visibility: Visibility) -> None:
    guard = Guard(Limits(agent_messages=1))
    log = [said(CLAUDE)]
    assert stopped(guard, CLAUDE, log)
    log.append(said(author, visibility))
    guard.note(log[-1])
    word = author is HUMAN and visibility is Visibility.PUBLIC
    assert stopped(guard, CLAUDE, log) is not word
    assert stopped(Guard(Limits(agent_messages=1)), CLAUDE, log) is not word


def test_an_entry_that_deletes_is_neither_counted_nor_a_word() -> None:
    guard = Guard(Limits(agent_messages=2))
    log = [said(CLAUDE)]
    assert not stopped(guard, CLAUDE, log)
    for entry in (said(CLAUDE, about=1), said(HUMAN, about=1)):
        log.append(entry)
        guard.note(entry)
    assert not stopped(guard, CLAUDE, log)
    log.append(said(CODEX))
    guard.note(log[-1])
    assert stopped(guard, CLAUDE, log)


@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.sampled_from(EVERYBODY), st.sampled_from(Visibility)), max_size=40),
)
def test_what_an_author_may_not_see_never_stops_it(
    ceiling: int, wanted: list[tuple[Audience, Visibility]]
) -> None:
    """One guard in a full room, and for each author one in a room of what it sees, agree."""
    guard, log = Guard(Limits(agent_messages=ceiling)), list[Message]()
    for author, visibility in wanted:
        seen = [m for m in log if may_see(author, m.visibility, m.principal, m.sender_type)]
        refused = stopped(guard, author, log)
        if not author.is_admin:
            fresh = Guard(Limits(agent_messages=ceiling))
            assert stopped(fresh, author, seen) is refused
        if not refused:
            log.append(msgspec.structs.replace(said(author, visibility), id=len(log) + 1))
            guard.note(log[-1])
        assert author is not HUMAN or not refused
