"""Mentions: names that a message addresses with ``@``, outside of code."""

import re
from typing import Final

from mcp_node.inbox.prose import prose
from proto.names import NAME_PATTERN

MAX_MENTIONS: Final = 50
"""The most mentions of one message; without a limit one message could wake everybody."""

_MENTION: Final = re.compile(
    rf"(?<![\w.@/+-])@(guest:)?({NAME_PATTERN}(?:/{NAME_PATTERN})?)", re.ASCII
)
"""Not after a letter, digit or dot, so that a mail address is no mention."""


def mentioned(content: str) -> tuple[str, ...]:
    """The names mentioned in a text, in lower case, each once, in their order.

    ``@claude-main`` names a principal, ``@claude-main/reviewer`` one of its sub-agents,
    ``@guest:…`` a guest. Dots, hyphens and underscores at the end belong to the sentence.
    Names in Markdown code do not count (see `mcp_node.inbox.prose`).
    """
    if "@" not in content:
        return ()
    found: dict[str, None] = {}
    for match in _MENTION.finditer(prose(content)):
        name = ((match[1] or "") + match[2]).rstrip("._-").lower()
        found[name] = None
        if len(found) == MAX_MENTIONS:
            break
    return tuple(found)


def calls(mentions: tuple[str, ...], principal: str) -> bool:
    """Whether a principal, or one of its sub-agents, is among the mentioned names."""
    name = principal.lower()
    return any(each == name or each.startswith(f"{name}/") for each in mentions)
