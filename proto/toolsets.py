"""Sets of MCP tools: an agent pays for every tool it is shown, so it is shown those it needs."""

from typing import Literal

Toolset = Literal["core", "memory", "coordination", "moderation"]
"""The set that a tool belongs to."""
