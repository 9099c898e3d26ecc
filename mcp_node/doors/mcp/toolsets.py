"""Which tools a caller is shown, and may call: those of its sets.

The sets are those of the address (``/mcp?tools=core,memory``), else those of the token, else those
of ``PARTYLINE_TOOLSETS``. Both eras are served alike: every request has the address and the token.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs

from fastmcp.exceptions import NotFoundError
from fastmcp.server.dependencies import get_http_request
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools.base import Tool, ToolResult
from mcp_types import CallToolRequestParams

from mcp_node.doors.mcp.identity import current_principal
from proto.errors import InvalidInput, PartylineError
from proto.toolsets import TOOLSETS_RULE, Toolset, toolsets_of
from serving.http.identity import Identity

_PARAMETER: Final = "tools"
_MAX_FIELDS: Final = 20


def toolsets_of_address(query: bytes) -> frozenset[Toolset] | None:
    """The sets that the query of an address asks for; None if it does not.

    Raises:
        InvalidInput: it is malformed, or asks for no set, or for one that does not exist.
    """
    if not query:
        return None
    try:
        parameters = parse_qs(query.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise InvalidInput("The address has a malformed query.") from None
    if _PARAMETER not in parameters:
        return None
    toolsets = toolsets_of(",".join(parameters[_PARAMETER]).split(","))
    if toolsets is None:
        raise InvalidInput(f"tools in the address {TOOLSETS_RULE}", "Correct the address.")
    return toolsets


class ToolsetFilter(Middleware):
    """Lists the tools of the caller's sets, and knows no others.

    Args:
        toolsets: the set of each tool; a tool that is not in it is in every set.
        default: the sets of a caller that asks for none.
        identity: tells who calls.
    """

    def __init__(
        self, toolsets: Mapping[str, Toolset], default: frozenset[Toolset], identity: Identity
    ) -> None:
        self._toolsets = toolsets
        self._default = default
        self._identity = identity

    async def on_list_tools(
        self, context: MiddlewareContext[Any], call_next: CallNext[Any, Sequence[Tool]]
    ) -> Sequence[Tool]:
        """List the tools of the caller's sets."""
        chosen = self._chosen()
        return [tool for tool in await call_next(context) if self._is_in(tool.name, chosen)]

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Call the tool, or answer as for an unknown one."""
        if not self._is_in(context.message.name, self._chosen()):
            raise NotFoundError("the tool is in none of the caller's sets")
        return await call_next(context)

    def _is_in(self, tool: str, chosen: frozenset[Toolset]) -> bool:
        toolset = self._toolsets.get(tool)
        return toolset is None or toolset in chosen

    def _chosen(self) -> frozenset[Toolset]:
        try:
            request = get_http_request()
        except RuntimeError:  # called without HTTP, by a client in this process
            return self._default
        try:
            asked = toolsets_of_address(request.scope["query_string"])
            return asked or current_principal(self._identity).toolsets or self._default
        except PartylineError:  # refused before, or by the tool itself
            return self._default
