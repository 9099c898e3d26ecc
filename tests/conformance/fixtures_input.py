"""Tools and a prompt of the conformance suite that return questions instead of a result.

The way of 2026-07-28: the client answers them and calls again, with the state it was given.
"""

from typing import Any

import mcp_types
from fastmcp import Context, FastMCP
from mcp import MCPError
from mcp_types import InputRequest, InputRequiredResult

from tests.conformance.fixtures_content import text

NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
COLOR = {"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]}
OK = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
CONTEXT = {
    "type": "object",
    "properties": {"context": {"type": "string"}},
    "required": ["context"],
}


def form(message: str, schema: dict[str, Any]) -> mcp_types.ElicitRequest:
    params = mcp_types.ElicitRequestFormParams(message=message, requested_schema=schema)
    return mcp_types.ElicitRequest(params=params)


def sample(prompt: str, max_tokens: int) -> mcp_types.CreateMessageRequest:
    message = mcp_types.SamplingMessage(role="user", content=text(prompt))
    params = mcp_types.CreateMessageRequestParams(messages=[message], max_tokens=max_tokens)
    return mcp_types.CreateMessageRequest(params=params)


def questions(state: str | None = None, **requests: InputRequest) -> InputRequiredResult:
    return InputRequiredResult(input_requests=requests, request_state=state)


def accepted(ctx: Context, key: str, field: str) -> Any:
    """What the form asked under a key was filled in with; None if it was not, or wrongly."""
    answer = (ctx.input_responses or {}).get(key)
    if not isinstance(answer, mcp_types.ElicitResult) or answer.action != "accept":
        return None
    return (answer.content or {}).get(field)


def add_input_tools(mcp: FastMCP) -> None:
    add_single_questions(mcp)
    add_states(mcp)
    add_capability_tools(mcp)


def add_single_questions(mcp: FastMCP) -> None:
    @mcp.tool
    def test_input_required_result_elicitation(ctx: Context) -> str | InputRequiredResult:
        """Ask for a name and greet it."""
        name = accepted(ctx, "user_name", "name")
        if not isinstance(name, str):
            return questions(user_name=form("What is your name?", NAME))
        return f"Hello, {name}!"

    @mcp.tool
    def test_input_required_result_sampling(ctx: Context) -> str | InputRequiredResult:
        """Ask the client's model for a capital."""
        answer = (ctx.input_responses or {}).get("capital_question")
        if not isinstance(answer, mcp_types.CreateMessageResult):
            return questions(capital_question=sample("What is the capital of France?", 100))
        assert isinstance(answer.content, mcp_types.TextContent)
        return answer.content.text

    @mcp.tool
    def test_input_required_result_list_roots(ctx: Context) -> str | InputRequiredResult:
        """Ask for the client's roots."""
        answer = (ctx.input_responses or {}).get("client_roots")
        if not isinstance(answer, mcp_types.ListRootsResult):
            return questions(client_roots=mcp_types.ListRootsRequest())
        return "Roots: " + ", ".join(str(root.uri) for root in answer.roots)

    @mcp.prompt
    def test_input_required_result_prompt(ctx: Context) -> str | InputRequiredResult:
        """Ask for the context of a prompt."""
        context = accepted(ctx, "user_context", "context")
        if not isinstance(context, str):
            return questions(user_context=form("What context should the prompt use?", CONTEXT))
        return f"The context is: {context}"


def add_states(mcp: FastMCP) -> None:
    @mcp.tool
    def test_input_required_result_request_state(ctx: Context) -> str | InputRequiredResult:
        """Ask for a confirmation, and get the state back with it."""
        if ctx.request_state != "confirming" or accepted(ctx, "confirm", "ok") is None:
            return questions("confirming", confirm=form("Please confirm", OK))
        return "state-ok"

    @mcp.tool
    def test_input_required_result_tampered_state(ctx: Context) -> str | InputRequiredResult:
        """Ask for a confirmation; a state that was changed on the way never gets here."""
        if ctx.request_state is None:
            return questions("sealed", confirm=form("Please confirm", OK))
        return "state-ok"

    @mcp.tool
    def test_input_required_result_multiple_inputs(ctx: Context) -> str | InputRequiredResult:
        """Ask three things at once."""
        asked: dict[str, InputRequest] = {
            "user_name": form("What is your name?", NAME),
            "greeting": sample("Generate a greeting", 50),
            "client_roots": mcp_types.ListRootsRequest(),
        }
        if not asked.keys() <= (ctx.input_responses or {}).keys():
            return questions("three", **asked)
        return "All three are answered."

    @mcp.tool
    def test_input_required_result_multi_round(ctx: Context) -> str | InputRequiredResult:
        """Ask for a name, then for a color."""
        if ctx.request_state is None:
            return questions("round 1", step1=form("Step 1: What is your name?", NAME))
        if ctx.request_state == "round 1":
            name = accepted(ctx, "step1", "name")
            color = form("Step 2: What is your favorite color?", COLOR)
            return questions(f"round 2: {name}", step2=color)
        return f"{ctx.request_state}, {accepted(ctx, 'step2', 'color')}"


def add_capability_tools(mcp: FastMCP) -> None:
    @mcp.tool
    def test_input_required_result_capabilities(ctx: Context) -> str | InputRequiredResult:
        """Ask only what the client can answer."""
        can = ctx.session.client_capabilities
        asked: dict[str, InputRequest] = {}
        if can is not None and can.elicitation is not None:
            asked["user_name"] = form("What is your name?", NAME)
        if can is not None and can.sampling is not None:
            asked["greeting"] = sample("Generate a greeting", 50)
        return questions(None, **asked) if asked else "The client can answer nothing."

    @mcp.tool
    def test_streaming_elicitation(ctx: Context) -> str | InputRequiredResult:
        """Ask, in an era in which nothing may be asked over the stream."""
        return questions(user_name=form("What is your name?", NAME))

    @mcp.tool
    def test_missing_capability(ctx: Context) -> str:
        """Need what the client has not declared."""
        can = ctx.session.client_capabilities
        if can is not None and can.sampling is not None:
            return "The client can sample."
        needed = mcp_types.ClientCapabilities(sampling=mcp_types.SamplingCapability())
        data = mcp_types.MissingRequiredClientCapabilityErrorData(required_capabilities=needed)
        raise MCPError(
            code=mcp_types.MISSING_REQUIRED_CLIENT_CAPABILITY,
            message="This tool needs the client's capability sampling.",
            data=data.model_dump(by_alias=True, mode="json", exclude_none=True),
        )
