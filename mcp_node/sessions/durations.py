"""Durations as people and models write them: ``90s``, ``15m``, ``12h``, ``30d``."""

import re
from typing import Final

from proto.errors import InvalidInput

LONGEST_SECONDS: Final = 3_650 * 86_400

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd])")


def duration_seconds(value: object, what: str) -> int:
    """The seconds of a duration, 1 to `LONGEST_SECONDS`.

    Args:
        value: a whole number and ``s``, ``m``, ``h`` or ``d`` as text, or seconds as an integer.
        what: the argument's name, for the error text.

    Raises:
        InvalidInput: it is neither, or it is zero or more than ten years.
    """
    seconds = 0
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        seconds = int(found[1]) * _UNITS[found[2]]
    if not 0 < seconds <= LONGEST_SECONDS:
        raise InvalidInput(
            f"{what} must be a whole number and s, m, h or d, such as 12h or 30d, at most 3650d."
        )
    return seconds
