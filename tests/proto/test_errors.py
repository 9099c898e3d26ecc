"""The tree of errors: stable codes, statuses, and texts an agent can act on."""

import re
from collections.abc import Iterator

import pytest

from proto import errors
from proto.errors import (
    Claimed,
    ConfigurationError,
    Forbidden,
    InvalidInput,
    KeyReused,
    LinkNotFound,
    LoopGuard,
    MemoryExists,
    MemoryNotFound,
    MessageNotFound,
    MovedOn,
    NoteNotFound,
    NotFound,
    Overloaded,
    ParentNotFound,
    PartylineError,
    RateLimited,
    SessionClosed,
    SessionNotFound,
    TooLarge,
    Unauthenticated,
    Unavailable,
    VersionConflict,
    WireError,
    WrongMediaType,
)

CODES = {
    InvalidInput: ("INVALID_INPUT", 422),
    TooLarge: ("TOO_LARGE", 413),
    WrongMediaType: ("WRONG_MEDIA_TYPE", 415),
    Unauthenticated: ("UNAUTHENTICATED", 401),
    Forbidden: ("FORBIDDEN", 403),
    SessionNotFound: ("SESSION_NOT_FOUND", 404),
    MessageNotFound: ("MESSAGE_NOT_FOUND", 404),
    LinkNotFound: ("LINK_NOT_FOUND", 404),
    ParentNotFound: ("PARENT_NOT_FOUND", 404),
    MemoryNotFound: ("MEMORY_NOT_FOUND", 404),
    KeyReused: ("KEY_REUSED", 409),
    MemoryExists: ("MEMORY_EXISTS", 409),
    MovedOn: ("MOVED_ON", 409),
    Claimed: ("CLAIMED", 409),
    VersionConflict: ("VERSION_CONFLICT", 409),
    NoteNotFound: ("NOTE_NOT_FOUND", 404),
    SessionClosed: ("SESSION_CLOSED", 409),
    RateLimited: ("RATE_LIMITED", 429),
    LoopGuard: ("LOOP_GUARD", 429),
    Overloaded: ("OVERLOADED", 503),
    Unavailable: ("UNAVAILABLE", 503),
}


def descendants(cls: type[PartylineError]) -> Iterator[type[PartylineError]]:
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from descendants(child)


@pytest.mark.parametrize("kind", CODES)
def test_codes_and_statuses_are_fixed(kind: type[PartylineError]) -> None:
    assert (kind.code, kind.status) == CODES[kind]


def test_every_error_a_caller_sees_is_in_the_table() -> None:
    assert set(descendants(PartylineError)) - {NotFound} == set(CODES)


def test_the_tree_in_the_docstring_is_the_tree_of_the_code() -> None:
    rows = re.findall(r"─ (\w+) +([A-Z_]+) +(\d+)", errors.__doc__ or "")
    assert {(name, code, int(status)) for name, code, status in rows} == {
        (kind.__name__, code, status) for kind, (code, status) in CODES.items()
    }


@pytest.mark.parametrize("kind", CODES)
def test_every_error_says_what_to_do_next(kind: type[PartylineError]) -> None:
    error = kind("It is wrong.")
    assert error.hint
    assert str(error) == f"{kind.code}: It is wrong. {error.hint}"


def test_a_hint_of_its_own_replaces_that_of_the_class() -> None:
    error = InvalidInput("It is wrong.", "Do this.")
    assert (error.message, error.hint) == ("It is wrong.", "Do this.")
    assert str(error) == "INVALID_INPUT: It is wrong. Do this."


def test_an_error_without_a_hint_ends_after_the_message() -> None:
    assert str(PartylineError("It is wrong.")) == "ERROR: It is wrong."


@pytest.mark.parametrize("kind", [SessionNotFound, ParentNotFound, MemoryNotFound])
def test_what_is_not_found_answers_alike_without_being_told_why(
    kind: type[SessionNotFound] | type[ParentNotFound] | type[MemoryNotFound],
) -> None:
    assert str(kind()) == str(kind())
    assert kind().message.endswith(".")
    assert isinstance(kind(), NotFound)


def test_a_narrower_breach_is_still_invalid_input() -> None:
    assert issubclass(TooLarge, InvalidInput)
    assert issubclass(WrongMediaType, InvalidInput)


@pytest.mark.parametrize("kind", [ConfigurationError, WireError])
def test_what_only_operators_see_is_outside_the_callers_tree(kind: type[Exception]) -> None:
    assert not issubclass(kind, PartylineError)


def test_a_wire_error_carries_its_reason() -> None:
    assert WireError("frames").reason == "frames"
