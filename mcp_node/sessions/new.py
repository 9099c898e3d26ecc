"""Sessions and messages that were checked and have no place in the log yet."""

import msgspec

from proto.messages import Audience, Visibility


class NewMessage(msgspec.Struct, frozen=True):
    """A checked message that has no place in the log yet. ``author`` decides on its parent.

    With an ``idempotency_key``, a message its author has already added to the session under the
    same key is given back instead of being added again.
    """

    session_id: str
    author: Audience
    sender: str
    content: str
    visibility: Visibility
    metadata: msgspec.Raw
    parent_message_id: int | None = None
    idempotency_key: str | None = None


class NewSession(msgspec.Struct, frozen=True):
    """A checked session; get-or-create when its id exists."""

    session_id: str
    purpose: str
    metadata: msgspec.Raw
    created_by: str
