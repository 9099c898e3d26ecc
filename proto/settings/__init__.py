"""Every setting of both nodes, once: name, default, bounds, meaning.

A theme has a file; `Settings` is the table of all. ``make docs`` writes ``docs/settings.md`` from
it. Environment variables have the prefix ``PARTYLINE_``; ``PORT``, which honcho sets for each
process that it starts, is not read.
"""

from proto.settings.environment import TOKEN_VARIABLE, load_settings, unknown_variables
from proto.settings.nodes import node_url
from proto.settings.table import Settings

__all__ = ("TOKEN_VARIABLE", "Settings", "load_settings", "node_url", "unknown_variables")
