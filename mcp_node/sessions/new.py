"""Checked sessions and messages that are not stored yet."""

import msgspec

from proto.messages import Audience, Visibility


class NewMessage(msgspec.Struct, frozen=True):
    """A checked message that is not stored yet. ``author`` must be able to see its parent.

    With an ``idempotency_key``, the message that ``author`` added to the session under that key
    before is returned instead of being added again. With ``if_last_seen`` it is only added if
    nobody else has added a message after that id that ``author`` may see.
    """

    session_id: str
    author: Audience
    sender: str
    content: str
    visibility: Visibility
    metadata: msgspec.Raw
    parent_message_id: int | None = None
    idempotency_key: str | None = None
    if_last_seen: int | None = None


class NewSession(msgspec.Struct, frozen=True):
    """A checked session; if its id exists, the existing session is used."""

    session_id: str
    purpose: str
    metadata: msgspec.Raw
    created_by: str
