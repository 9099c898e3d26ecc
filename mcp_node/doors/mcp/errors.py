"""The mapping of errors to MCP, for our own errors and for those that FastMCP raises.

An agent reads ``CODE: what was wrong. What to do next.`` A tool returns it in a result with
``isError``, and the error's details as JSON on a second line. Everything else returns a JSON-RPC
error: internal error (-32603) if the same request may succeed later, else invalid params (-32602).
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mcp_types
from fastmcp.exceptions import (
    FastMCPError,
    NotFoundError,
    PromptError,
    ResourceError,
    ToolError,
    ValidationError,
)
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools.base import ToolResult
from mcp import MCPError
from pydantic import ValidationError as PydanticValidationError

from mcp_node.doors.mcp.tools.results import marked
from proto.errors import InvalidInput, PartylineError, RateLimited, Unauthenticated
from serving.http.asgi import Scope, Send, respond
from serving.http.problems import field_problem, send_problem


@contextmanager
def tool_errors() -> Iterator[None]:
    """Turn our errors into tool errors, which FastMCP then logs at debug level only."""
    try:
        yield
    except PartylineError as error:
        text = str(error)
        if details := error.details:
            text += "\n" + json.dumps(marked(details), ensure_ascii=False, separators=(",", ":"))
        raise ToolError(text, log_level=logging.DEBUG) from None


@contextmanager
def component_errors() -> Iterator[None]:
    """Turn our errors into the JSON-RPC error of a resource or a prompt.

    They are FastMCP's classes, because it would log an `MCPError` with its traceback.
    """
    try:
        yield
    except PartylineError as error:
        kind = FastMCPError if _passing(error) else ValidationError
        raise kind(str(error), log_level=logging.DEBUG) from None


@contextmanager
def protocol_errors() -> Iterator[None]:
    """Turn our errors into the JSON-RPC error of a method that FastMCP does not serve."""
    try:
        yield
    except PartylineError as error:
        code = mcp_types.INTERNAL_ERROR if _passing(error) else mcp_types.INVALID_PARAMS
        raise MCPError(code=code, message=str(error)) from None


def _passing(error: PartylineError) -> bool:
    """Whether the same request may succeed if it is retried."""
    return error.status >= 500 or isinstance(error, RateLimited)


class ArgumentErrors(Middleware):
    """Rephrases FastMCP's refusals of arguments and of unknown names.

    FastMCP's own texts repeat the caller's input.
    """

    async def on_call_tool(
        self,
        context: MiddlewareContext[mcp_types.CallToolRequestParams],
        call_next: CallNext[mcp_types.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Call the tool; rephrase refused arguments and an unknown name."""
        try:
            return await call_next(context)
        except ValidationError as error:
            cause = error.__cause__
            found: Any = []
            if isinstance(cause, PydanticValidationError):
                found = cause.errors(include_url=False, include_input=False, include_context=False)
            problem = field_problem(found)
            if any(each["type"] == "unexpected_keyword_argument" for each in found):
                problem = InvalidInput("The tool has no such argument.", await _arguments(context))
            raise ToolError(str(problem), log_level=logging.DEBUG) from None
        except NotFoundError:
            unknown = InvalidInput(
                "There is no such tool.",
                "Call tools/list to see the tools; the address can name other sets of them, as in"
                " /mcp?tools=core,memory.",
            )
            raise ToolError(str(unknown), log_level=logging.DEBUG) from None

    async def on_read_resource(
        self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]
    ) -> Any:
        """Read the resource; rephrase an unknown URI and a crash."""
        try:
            return await call_next(context)
        except NotFoundError:
            raise _unknown("resource", "resources/list and resources/templates/list") from None
        except ResourceError:  # a crash; it repeats the URI
            raise _crashed("resource") from None

    async def on_get_prompt(
        self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]
    ) -> Any:
        """Get the prompt; rephrase an unknown name, a missing argument and a crash."""
        try:
            await _check_arguments(context)
            return await call_next(context)
        except NotFoundError:
            raise _unknown("prompt", "prompts/list") from None
        except PromptError:  # a crash; it says what crashed, even where details are masked
            raise _crashed("prompt") from None


async def _arguments(context: MiddlewareContext[Any]) -> str:
    """A sentence that names a tool's arguments."""
    assert context.fastmcp_context is not None
    tool = await context.fastmcp_context.fastmcp.get_tool(context.message.name)
    names = list(tool.parameters["properties"]) if tool is not None else []
    return f"Its arguments are {', '.join(names)}." if names else "It takes none."


async def _check_arguments(context: MiddlewareContext[Any]) -> None:
    """Refuse a prompt without a required argument; FastMCP would log a traceback.

    Raises:
        MCPError: an argument is missing.
    """
    assert context.fastmcp_context is not None
    prompt = await context.fastmcp_context.fastmcp.get_prompt(context.message.name)
    given = context.message.arguments or {}
    for argument in (prompt and prompt.arguments) or ():
        if argument.required and argument.name not in given:
            with protocol_errors():
                raise InvalidInput(f"The prompt needs the argument {argument.name}.")


def _unknown(what: str, where: str) -> MCPError:
    error = InvalidInput(f"There is no such {what}.", f"Call {where} to see what there is.")
    return MCPError(code=mcp_types.INVALID_PARAMS, message=str(error))


def _crashed(what: str) -> MCPError:
    return MCPError(code=mcp_types.INTERNAL_ERROR, message=f"The {what} could not be made.")


async def refuse(scope: Scope, send: Send, error: PartylineError) -> None:
    """Answer a request that is refused before FastMCP or FastAPI gets it, as they would."""
    if not scope["path"].startswith("/mcp"):
        await send_problem(send, error)
        return
    passing = _passing(error)
    code = mcp_types.INTERNAL_ERROR if passing else mcp_types.INVALID_REQUEST
    answer = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": str(error)}}
    headers = [(b"content-type", b"application/json")]
    if passing:
        headers.append((b"retry-after", b"1"))
    if isinstance(error, Unauthenticated):
        headers.append((b"www-authenticate", b'Bearer error="invalid_token"'))
    status = error.status if error.status != InvalidInput.status else 400
    await respond(send, status, headers, json.dumps(answer).encode())
