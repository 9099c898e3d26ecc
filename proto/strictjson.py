"""The strict JSON rule for all untrusted input, applied before a framework parses it.

Refused: more bytes, deeper nesting or more values than the caps, NaN and Infinity, numbers that
overflow to infinity, integers beyond ±2**53, duplicate keys, NUL characters, lone surrogates,
invalid UTF-8, and anything after the value. Errors never repeat the input.

The time of parsing depends on the number of values, not of bytes: two megabytes of ``[],[],…``
block a process for half a second. So values are counted first, with searches whose time hardly
depends on the content.
"""

import itertools
import json
import math
import re
from typing import Any, Final, NoReturn

from proto.errors import InvalidInput, TooLarge
from proto.messages import MAX_ID

MAX_DEPTH: Final = 64
"""Nesting depth of a request. The lower limit of metadata is checked on its value."""

MAX_VALUES: Final = 40_000
"""Values in a request, containers included. One value in an agent's memory may have 32,768."""

_MAX_INT_DIGITS: Final = 17
_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""Takes linear time: quantifiers are possessive, and an unclosed string matches to the end."""
_BRACKET: Final = re.compile(r"[\[\]{}]")
_HINT: Final = "Send one JSON value as RFC 8259 describes it, in UTF-8."


def loads(
    raw: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES
) -> Any:
    """The value of a JSON text under the strict rule.

    Args:
        raw: the bytes as received.
        max_bytes: maximum size of ``raw``.
        max_depth: maximum nesting depth of objects and arrays.
        max_values: maximum number of values. Keys do not count; an empty object or array counts
            twice.

    Raises:
        TooLarge: more than ``max_bytes``.
        InvalidInput: it breaks the rule in another way.
    """
    if len(raw) > max_bytes:
        raise TooLarge(f"The body is larger than {max_bytes} bytes.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput("The body is not valid UTF-8.", _HINT) from None
    if _may_hold(text) > min(max_depth, max_values):
        _check_structure(text, max_depth, max_values)
    try:
        value = _DECODER.decode(text)
    except InvalidInput:
        raise
    except (ValueError, RecursionError):
        raise InvalidInput("The body is not valid JSON.", _HINT) from None
    if "\\u" in text:
        _check_strings(value)
    return value


def check_text(text: str, what: str) -> None:
    """Refuse NUL characters and lone surrogates, which SQLite and UTF-8 cannot represent.

    Raises:
        InvalidInput: ``text`` contains one. ``what`` is the name of the field in the error.
    """
    if "\x00" in text:
        raise InvalidInput(f"{what} contains a NUL character.", "Remove it and call again.")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise InvalidInput(
                f"{what} contains a lone surrogate.", "Send valid Unicode text."
            ) from None


def check_value(value: Any, what: str, *, max_depth: int) -> None:
    """Apply the strict rule to a value that a framework has parsed.

    Args:
        value: from a JSON parser.
        what: name of the field in the error.
        max_depth: maximum nesting depth of objects and arrays, the value itself included.

    Raises:
        InvalidInput: it is too deep, has a number out of bounds, a key that is not a string, a
            type that JSON does not have, a NUL character or a lone surrogate.
    """
    level: list[Any] = [value]
    depth = 0
    while level:
        containers = [item for item in level if isinstance(item, dict | list)]
        depth += bool(containers)
        if depth > max_depth:
            raise InvalidInput(f"{what} is nested deeper than {max_depth} levels.")
        for item in level:
            if not isinstance(item, dict | list):
                _check_scalar(item, what)
        level = [child for item in containers for child in _children(item, what)]


def _children(container: dict[Any, Any] | list[Any], what: str) -> list[Any]:
    if isinstance(container, list):
        return container
    for key in container:
        if not isinstance(key, str):
            raise InvalidInput(f"{what} has a key that is not a string.")
        check_text(key, what)
    return list(container.values())


def _check_scalar(item: Any, what: str) -> None:
    if isinstance(item, str):
        check_text(item, what)
    elif item is None or isinstance(item, bool):
        return
    elif isinstance(item, int):
        if not -MAX_ID <= item <= MAX_ID:
            raise InvalidInput(f"{what} has an integer beyond ±2**53.")
    elif not (isinstance(item, float) and math.isfinite(item)):
        raise InvalidInput(f"{what} has a value that JSON cannot express.")


def _may_hold(text: str) -> int:
    """An upper bound of a text's number of values, and of its depth."""
    return text.count(",") + text.count("[") + text.count("{") + 1


def _check_structure(text: str, max_depth: int, max_values: int) -> None:
    """Refuse a text that is too deep or has too many values, in time bounded by ``max_values``.

    A text of ``max_values`` values has at most twice as many strings: each value may have a key.
    """
    most_strings = 2 * max_values
    outside, strings = _STRING.subn("", text, most_strings + 1)
    depth = 0
    for found in itertools.islice(_BRACKET.finditer(outside), 2 * max_values):
        depth += 1 if found[0] in "[{" else -1
        if depth > max_depth:
            raise InvalidInput(f"The body is nested deeper than {max_depth} levels.")
    if strings > most_strings or _may_hold(outside) > max_values:
        raise InvalidInput(f"The body has more than {max_values} values.")


def _check_strings(value: Any) -> None:
    """Check every string: escapes can contain what raw UTF-8 cannot."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            check_text(item, "The body")
        elif isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise InvalidInput("The body has an object with duplicate keys.")
    return value


def _integer(digits: str) -> int:
    if len(digits) > _MAX_INT_DIGITS or not -MAX_ID <= (number := int(digits)) <= MAX_ID:
        raise InvalidInput("The body has an integer beyond ±2**53.")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise InvalidInput("The body has a number that is too large.")
    return number


def _constant(name: str) -> NoReturn:
    raise InvalidInput("The body contains NaN or Infinity, which JSON does not have.")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
