"""The resource of an agent's own memory: ``agent://me/memory``."""

import json
from collections.abc import Sequence
from typing import Any, Final

from fastmcp import FastMCP
from fastmcp.resources import Resource
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext

from mcp_node.doors.mcp.errors import component_errors
from mcp_node.doors.mcp.identity import current_principal
from mcp_node.doors.mcp.tools.results import marked
from mcp_node.memory.memory import Memory, has_memory
from proto.errors import Unauthenticated
from serving.http.identity import Identity

MEMORY_URI: Final = "agent://me/memory"


def add_memory_resource(mcp: FastMCP, memory: Memory, identity: Identity) -> None:
    """Add the resource; each caller reads its own memory."""

    @mcp.resource(MEMORY_URI, name="memory", mime_type="application/json")
    async def read_memory() -> str:
        """What you keep for yourself, the latest first: keys and values, at most 100 and 64 KiB."""
        with component_errors():
            found = await memory.newest(current_principal(identity))
        return json.dumps(marked(found), ensure_ascii=False)

    mcp.add_middleware(_ListedToOwners(identity))


class _ListedToOwners(Middleware):
    """Lists the resource only to callers with a memory: some clients read all that is listed."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def on_list_resources(
        self, context: MiddlewareContext[Any], call_next: CallNext[Any, Sequence[Resource]]
    ) -> Sequence[Resource]:
        """List the resources, without this one for callers who have no memory."""
        listed = await call_next(context)
        if self._owner():
            return listed
        return [resource for resource in listed if str(resource.uri) != MEMORY_URI]

    def _owner(self) -> bool:
        try:
            return has_memory(current_principal(self._identity))
        except Unauthenticated:
            return False
