"""Sets of MCP tools: an agent pays for every tool it is shown, so it is shown those it needs.

Sets are about cost, not about rights: whoever may call a tool is decided by the scopes alone.
"""

from collections.abc import Iterable
from typing import Final, Literal, get_args

Toolset = Literal["core", "memory", "coordination", "moderation"]
"""The set that a tool belongs to."""

TOOLSETS: Final[tuple[Toolset, ...]] = get_args(Toolset)
"""Every set."""

DEFAULT_TOOLSETS: Final[frozenset[Toolset]] = frozenset({"core"})
"""The sets of a caller that named none, if the node's setting names none either."""

TOOLSETS_RULE: Final = f"must be one or more of {', '.join(TOOLSETS)}."
"""The end of a sentence that refuses names of sets."""


def toolsets_of(names: Iterable[object]) -> frozenset[Toolset] | None:
    """The sets of these names; None if there are no names, or one is not that of a set."""
    given = list(names)
    chosen: frozenset[Toolset] = frozenset(one for one in TOOLSETS if one in given)
    return chosen if given and all(one in TOOLSETS for one in given) else None
