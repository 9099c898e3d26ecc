"""Registering tools: what all of them have in common is done here, once."""

from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import signature
from typing import Any, Final

from fastmcp import FastMCP
from fastmcp.tools import FunctionTool
from mcp_types import ToolAnnotations

from mcp_node.doors.mcp.errors import tool_errors
from mcp_node.doors.mcp.identity import current_principal
from mcp_node.doors.mcp.tools.results import marked
from mcp_node.doors.mcp.tools.schemas import brief
from mcp_node.inbox.inbox import Inbox
from proto.toolsets import Toolset
from serving.http.identity import Identity

READS: Final = ToolAnnotations(read_only_hint=True, open_world_hint=False)
ADDS: Final = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
CHANGES: Final = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
)

Tool = Callable[..., Awaitable[dict[str, Any]]]
"""A tool's function: it takes the calling principal first, then the tool's arguments."""


class Tools:
    """Registers tools on a server.

    For every tool: the principal of the request is passed to its function, `PartylineError`
    becomes a tool error, the result is `marked`, and it gets the number of unread messages if its
    type has the field ``unread`` and the call is about one session.

    Args:
        mcp: the server.
        inbox: counts unread messages.
        identity: tells who calls.
    """

    def __init__(self, mcp: FastMCP, inbox: Inbox, identity: Identity) -> None:
        self._mcp = mcp
        self._inbox = inbox
        self._identity = identity
        self.toolsets: dict[str, Toolset] = {}
        """The set of each tool that was added."""

    def add(
        self, annotations: ToolAnnotations, result_type: Any, toolset: Toolset
    ) -> Callable[[Tool], Tool]:
        """A decorator that registers a function as the tool of its name.

        Args:
            annotations: MCP's hints to clients.
            result_type: a TypedDict, from which the output schema is made.
            toolset: the set that the tool belongs to.
        """
        has_unread = "unread" in result_type.__required_keys__ | result_type.__optional_keys__

        def register(function: Tool) -> Tool:
            @wraps(function)
            async def tool(**arguments: Any) -> dict[str, Any]:
                with tool_errors():
                    principal = current_principal(self._identity)
                    result = await function(principal, **arguments)
                    session_id = result.get("session_id", arguments.get("session_id"))
                    if has_unread and session_id is not None:
                        result["unread"] = await self._inbox.unread(principal, session_id)
                return marked(result)

            # FastMCP makes the schemas from these: without the principal, with the result's type.
            own = signature(function)
            _, *parameters = own.parameters.values()
            shown = own.replace(parameters=parameters, return_annotation=result_type)
            vars(tool)["__signature__"] = shown
            tool.__annotations__ = {one.name: one.annotation for one in parameters}
            tool.__annotations__["return"] = result_type
            made = FunctionTool.from_function(tool, annotations=annotations)
            made.parameters = brief(made.parameters)
            self._mcp.add_tool(made)
            self.toolsets[function.__name__] = toolset
            return function

        return register
