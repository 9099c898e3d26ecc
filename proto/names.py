"""Names: agent ids, agent types, labels and session ids, checked before they are used or logged."""

import re
import secrets
from typing import Final

from proto.errors import InvalidInput

NAME_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
RESERVED: Final = frozenset(
    {"system", "anonymous", "human", "guest", "external", "partyline", "service"}
)
"""Names that no principal can have: the program uses them itself."""

GUEST_PREFIX: Final = "guest:"
"""A guest's principal is this and the id of its live link. No name contains a colon."""

_NAME: Final = re.compile(NAME_PATTERN)


def is_name(value: object) -> bool:
    """Whether ``value`` is a well-formed name: 1 to 64 of ``A-Z a-z 0-9 . _ -``."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def check_name(value: object, what: str) -> str:
    """``value``, if it is a well-formed name.

    Args:
        value: untrusted input of any type.
        what: name of the field in the error, such as ``"session_id"``.

    Raises:
        InvalidInput: it is not a string of 1 to 64 of ``A-Z a-z 0-9 . _ -`` that starts with a
            letter or digit.
    """
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise InvalidInput(
        f"{what} must be 1 to 64 letters, digits, dots, underscores or hyphens, "
        "and start with a letter or digit."
    )


def check_principal(value: object, what: str) -> str:
    """``value``, if it may be a principal: a name, or ``guest:`` and a name.

    Raises:
        InvalidInput: it is neither.
    """
    if isinstance(value, str) and value.startswith(GUEST_PREFIX):
        return GUEST_PREFIX + check_name(value.removeprefix(GUEST_PREFIX), what)
    return check_name(value, what)


def check_free_name(value: object, what: str) -> str:
    """``value``, if it is a well-formed name and not reserved.

    Raises:
        InvalidInput: as `check_name`, or the name is one of `RESERVED` (in any case).
    """
    name = check_name(value, what)
    if name.lower() in RESERVED:
        raise InvalidInput(f"{what} is a reserved name.", "Choose another one.")
    return name


def new_session_id() -> str:
    """A session id that cannot be guessed: ``session_`` and 16 hex digits."""
    return f"session_{secrets.token_hex(8)}"
