"""Checks of arguments from outside, the same for tools and REST.

Each function returns the checked value, or raises `InvalidInput` with a text that says what to
correct.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from mcp_node.sessions.metadata_index import digests
from mcp_node.sessions.reads import PageQuery
from proto.errors import Forbidden, InvalidInput, TooLarge
from proto.messages import ANONYMOUS, MAX_ID, Visibility, encode_metadata
from proto.names import check_free_name, check_name
from proto.settings import Settings
from proto.strictjson import check_text, check_value, loads

MAX_PAGE: Final = 1_000
MAX_FILTERS: Final = 5
"""The most fields of metadata to filter by."""

_MAX_FILTER_BYTES: Final = 16 * 1024

MOST_TOGETHER: Final = 50
"""The most messages that are added together."""

MESSAGE_FIELDS: Final = frozenset({"content", "visibility", "metadata", "parent_message_id"})

_TIMESTAMP: Final = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?"
)


def check_content(content: Any, settings: Settings) -> str:
    """The text of a message: at most MAX_CONTENT_CHARS characters, not only white space."""
    return _check_words(
        content, "content", settings.max_content_chars, "Say something, and call again."
    )


def check_purpose(purpose: Any, settings: Settings) -> str:
    """The purpose of a session: at most MAX_PURPOSE_CHARS characters, not only white space."""
    return _check_words(
        purpose,
        "purpose",
        settings.max_purpose_chars,
        "Say in a sentence what the session is for.",
    )


def _check_words(value: Any, what: str, most: int, if_empty: str) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{what} must be a string.")
    if len(value) > most:
        raise TooLarge(f"{what} has more than {most} characters.")
    check_text(value, what)
    if not value.strip():
        raise InvalidInput(f"{what} is empty.", if_empty)
    return value


def check_metadata(metadata: Any, settings: Settings) -> msgspec.Raw:
    """A JSON object within MAX_METADATA_BYTES and MAX_METADATA_DEPTH, encoded; ``{}`` for None."""
    if metadata is None:
        return encode_metadata(None)
    if not isinstance(metadata, Mapping):
        raise InvalidInput("metadata must be a JSON object.")
    metadata = dict(metadata)
    check_value(metadata, "metadata", max_depth=settings.max_metadata_depth)
    encoded = encode_metadata(metadata)
    if len(bytes(encoded)) > settings.max_metadata_bytes:
        raise TooLarge(f"metadata has more than {settings.max_metadata_bytes} bytes as JSON.")
    return encoded


def check_visibility(visibility: Any) -> Visibility:
    """One of the four visibilities."""
    try:
        return Visibility(visibility)
    except ValueError:
        names = ", ".join(Visibility)
        raise InvalidInput(f"visibility must be one of: {names}.") from None


def check_id(value: Any, what: str, *, least: int = 0) -> int | None:
    """A message id or position from ``least`` to 2**53, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_ID:
        raise InvalidInput(f"{what} must be an integer from {least} to {MAX_ID}.")
    return value


def check_message_id(value: Any) -> int:
    """The id of a message, 1 to 2**53."""
    id_ = check_id(value, "message_id", least=1)
    if id_ is None:
        raise InvalidInput("message_id is missing.", "Say which message.")
    return id_


def check_limit(limit: Any, most: int = MAX_PAGE) -> int:
    """The size of a page, 1 to ``most``."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= most:
        raise InvalidInput(f"limit must be an integer from 1 to {most}.")
    return limit


def check_page(
    session_id: Any,
    after: Any = None,
    before: Any = None,
    limit: Any = 50,
    sender: Any = None,
    visibility: Any = None,
    thread: Any = None,
    metadata: Any = None,
) -> PageQuery:
    """The query for a page of a session.

    With ``after`` it reads the first messages after that id, without it the last ones.
    """
    return PageQuery(
        check_name(session_id, "session_id"),
        first := check_id(after, "after"),
        check_id(before, "before"),
        check_limit(limit),
        descending=first is None,
        sender=check_sender(sender),
        visibility=None if visibility is None else check_visibility(visibility),
        thread=check_id(thread, "thread", least=1),
        fields=check_fields(metadata),
    )


def check_messages(messages: Any) -> list[Mapping[str, Any]]:
    """What `add_messages` adds: 1 to `MOST_TOGETHER` objects with fields of `MESSAGE_FIELDS`.

    The fields' values are not checked.
    """
    if not isinstance(messages, list) or not 1 <= len(messages) <= MOST_TOGETHER:
        raise InvalidInput(f"messages must be a list of 1 to {MOST_TOGETHER} messages.")
    for number, message in enumerate(messages):
        if not isinstance(message, Mapping) or not message.keys() <= MESSAGE_FIELDS:
            fields = ", ".join(sorted(MESSAGE_FIELDS))
            raise InvalidInput(
                f"messages[{number}] must be an object with these fields alone: {fields}."
            )
    return messages


def check_fields(metadata: Any) -> tuple[str, ...]:
    """The fields that a message's metadata must have, as digests; none for None.

    An object of 1 to `MAX_FILTERS` keys, whose values are texts, numbers, booleans or null.
    """
    if metadata is None:
        return ()
    if not isinstance(metadata, Mapping) or not 1 <= len(metadata) <= MAX_FILTERS:
        raise InvalidInput(f"metadata must be a JSON object of 1 to {MAX_FILTERS} keys.")
    check_value(dict(metadata), "metadata", max_depth=2)
    fields = tuple(digests(metadata))
    if len(fields) < len(metadata):
        raise InvalidInput("The values of metadata must be texts, numbers, true, false or null.")
    return fields


def parse_fields(metadata: str | None) -> Any:
    """A JSON text, from a query string, as a value for `check_fields`."""
    if metadata is None:
        return None
    try:
        return loads(metadata.encode(), max_bytes=_MAX_FILTER_BYTES)
    except (InvalidInput, UnicodeEncodeError):
        raise InvalidInput('metadata must be a JSON object, such as {"kind":"finding"}.') from None


def check_key(key: Any) -> str | None:
    """An idempotency key of 1 to 128 characters, or None."""
    if key is None:
        return None
    if not isinstance(key, str) or not 1 <= len(key) <= 128:
        raise InvalidInput("idempotency_key must be a string of 1 to 128 characters.")
    check_text(key, "idempotency_key")
    return key


def check_printable(value: Any, what: str, most: int) -> str:
    """A text of 1 to ``most`` printable characters, without a space at either end.

    Printable is what Python's ``str.isprintable`` accepts: no control, format or unassigned
    characters, and no separator but the space. So two different texts rarely look alike.
    """
    if not isinstance(value, str) or not 1 <= len(value) <= most or not value.isprintable():
        raise InvalidInput(f"{what} must be 1 to {most} printable characters.")
    if value != value.strip(" "):
        raise InvalidInput(f"{what} must not begin or end with a space.")
    return value


def check_sender(sender: Any) -> str | None:
    """The name of a sender to filter by, 1 to 129 characters, or None."""
    if sender is None:
        return None
    if not isinstance(sender, str) or not 1 <= len(sender) <= 129:
        raise InvalidInput("sender must be a string of 1 to 129 characters.")
    check_text(sender, "sender")
    return sender


def check_label(agent_id: str, speaking_as: Any) -> str:
    """The sender of a message: the principal, or ``principal/label`` for a sub-agent."""
    if speaking_as is None:
        return agent_id
    if agent_id == ANONYMOUS:
        raise Forbidden("Without a name there are no sub-agents.", "Connect with a token.")
    return f"{agent_id}/{check_free_name(speaking_as, 'speaking_as')}"


def check_seconds(value: Any, what: str, *, most: float) -> float:
    """A duration in seconds, 0 to ``most``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise InvalidInput(f"{what} must be a number of seconds from 0 to {most:g}.")
    return float(value)


def check_moment(value: Any, what: str) -> str | None:
    """A time in ISO 8601 (UTC if it has no offset) as the log writes it, or None."""
    if value is None:
        return None
    problem = InvalidInput(f"{what} must be a time in ISO 8601, such as 2026-11-23T21:30:00Z.")
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        raise problem
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise problem from None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
