"""The only visibility rule: a predicate for the hub, and keys for the store.

A message has an *audience key* and a reader holds a set of them:

============  ==================  ==========================================
visibility    key of the message  readers that hold the key
============  ==================  ==========================================
public        ``p``               everyone in the session
private       ``s:<principal>``   that principal alone
agent_only    ``t:<sender_type>`` agents of that type, and every admin
admin_only    ``a``               every admin
============  ==================  ==========================================

`may_see` is the rule; `held_keys` and `KEY_RANGE_ALL_TYPES` express the same for SQL, where the
key is a generated column. A property test compares the two.

A reply contains the id of its parent. So a reply may not be visible to anybody who may not see its
parent (`reply_fits`): otherwise the reply would reveal that a hidden message exists.
"""

from typing import Final

from proto.messages import ANONYMOUS, Audience, Visibility

KEY_LETTERS: Final = {
    Visibility.PUBLIC: "p",
    Visibility.PRIVATE: "s",
    Visibility.AGENT_ONLY: "t",
    Visibility.ADMIN_ONLY: "a",
}
"""The first letter of a message's key."""

KEY_RANGE_ALL_TYPES: Final = ("t:", "t;")
"""Every ``t:…`` key k has low <= k < high (``;`` follows ``:`` in ASCII). An admin holds all."""

SQL_IS_OF_ANY_TYPE: Final = "audience >= '{}' AND audience < '{}'".format(*KEY_RANGE_ALL_TYPES)
"""SQL condition: a row's key is within `KEY_RANGE_ALL_TYPES`."""

SQL_AUDIENCE_KEY: Final = (
    "CASE visibility WHEN 'public' THEN 'p' WHEN 'private' THEN 's:' || principal"
    " WHEN 'agent_only' THEN 't:' || sender_type ELSE 'a' END"
)
"""`audience_key` as the SQL expression behind the generated column."""


def may_see(audience: Audience, visibility: Visibility, principal: str, sender_type: str) -> bool:
    """Whether a reader may see a message.

    Args:
        audience: the reader.
        visibility: the message's.
        principal: whose rights wrote the message.
        sender_type: the agent type of its sender.
    """
    if visibility is Visibility.PUBLIC:
        return True
    if audience.agent_id == ANONYMOUS:
        return False
    if visibility is Visibility.PRIVATE:
        return audience.agent_id == principal
    if visibility is Visibility.AGENT_ONLY:
        return audience.is_admin or audience.agent_type == sender_type
    return audience.is_admin


def audience_key(visibility: Visibility, principal: str, sender_type: str) -> str:
    """The key of a message; equal to `SQL_AUDIENCE_KEY` on its row."""
    if visibility is Visibility.PUBLIC:
        return "p"
    if visibility is Visibility.PRIVATE:
        return f"s:{principal}"
    if visibility is Visibility.AGENT_ONLY:
        return f"t:{sender_type}"
    return "a"


def is_private_key(key: str) -> bool:
    """Whether a key is that of ``private`` messages."""
    return key.startswith("s:")


def reply_fits(key: str, parent_key: str) -> bool:
    """Whether everybody who may see a reply may see its parent too.

    The author of the reply may see the parent.

    Args:
        key: of the reply.
        parent_key: of the message it answers.
    """
    return (
        parent_key in ("p", key)
        or is_private_key(key)
        or (key == "a" and parent_key.startswith("t:"))
    )


SQL_REPLY_FITS: Final = (
    "(parent.audience = 'p' OR parent.audience = reply.audience"
    " OR substr(reply.audience, 1, 2) = 's:'"
    " OR (reply.audience = 'a' AND substr(parent.audience, 1, 2) = 't:'))"
)
"""`reply_fits` in SQL, for the rows ``reply`` and ``parent``."""


def held_keys(audience: Audience) -> tuple[str, ...]:
    """The keys that a reader holds; an admin also holds `KEY_RANGE_ALL_TYPES`."""
    if audience.agent_id == ANONYMOUS:
        return ("p",)
    if audience.is_admin:
        return ("p", f"s:{audience.agent_id}", "a")
    return ("p", f"s:{audience.agent_id}", f"t:{audience.agent_type}")


def holds_all_types(audience: Audience) -> bool:
    """Whether the reader sees every ``agent_only`` message."""
    return audience.is_admin and audience.agent_id != ANONYMOUS
