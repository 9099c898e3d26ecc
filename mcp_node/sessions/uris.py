"""The URIs of sessions as MCP resources."""

import re
from typing import Final

from proto.errors import InvalidInput
from proto.names import is_name

SESSION: Final = "session://{id}"
MESSAGES: Final = "session://{id}/messages"

_URI: Final = re.compile(r"session://([^/]{1,64})(?:/messages)?")


def session_uris(session_id: str) -> tuple[str, str]:
    """The URI of a session, and that of its messages."""
    return SESSION.format(id=session_id), MESSAGES.format(id=session_id)


def session_of(uri: str) -> str:
    """The session that a resource's URI names.

    Raises:
        InvalidInput: it is not exactly the URI of a session or of its messages.
    """
    found = _URI.fullmatch(uri)
    if found is None or not is_name(found[1]):
        raise InvalidInput(
            f"Only the resources {SESSION} and {MESSAGES} can be subscribed to.",
            "Put the id of a session in place of {id}.",
        )
    return found[1]
