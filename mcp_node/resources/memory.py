"""The resource of an agent's own memory: ``agent://me/memory``."""

import json
from typing import Final

from fastmcp import FastMCP

from mcp_node.errors import component_errors
from mcp_node.identity import current_principal
from mcp_node.rooms.memory import Memory
from mcp_node.tools.results import marked
from serving.identity import Identity

MEMORY_URI: Final = "agent://me/memory"


def add_memory_resource(mcp: FastMCP, memory: Memory, identity: Identity) -> None:
    """Add the resource; whoever reads it reads its own."""

    @mcp.resource(MEMORY_URI, name="memory", mime_type="application/json")
    async def read_memory() -> str:
        """What you keep for yourself, the latest first: keys and values, at most 100 and 64 KiB."""
        with component_errors():
            found = await memory.newest(current_principal(identity))
        return json.dumps(marked(found), ensure_ascii=False)
