"""Tools of the conformance suite that ask the client something while they run.

Only sessions before 2026-07-28 have a way back to the client; in the later era a tool returns its
questions (fixtures_input.py).
"""

import json
from typing import Any

import mcp_types
from fastmcp import Context, FastMCP

from tests.conformance.fixtures_content import text

USER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    },
    "required": ["username", "email"],
}

DEFAULTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {
            "type": "string",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": {"type": "boolean", "default": True},
    },
}


def titled(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"const": value, "title": title} for value, title in pairs]


OPTIONS = ["option1", "option2", "option3"]
ENUMS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": OPTIONS},
        "titledSingle": {
            "type": "string",
            "oneOf": titled(
                ("value1", "First Option"), ("value2", "Second Option"), ("value3", "Third Option")
            ),
        },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": OPTIONS}},
        "titledMulti": {
            "type": "array",
            "items": {
                "anyOf": titled(
                    ("value1", "First Choice"),
                    ("value2", "Second Choice"),
                    ("value3", "Third Choice"),
                )
            },
        },
    },
}


def add_asking_tools(mcp: FastMCP) -> None:
    @mcp.tool
    async def test_sampling(prompt: str, ctx: Context) -> str:
        """Have the client's model answer a prompt."""
        message = mcp_types.SamplingMessage(role="user", content=text(prompt))
        answer = await ctx.session.create_message(
            [message], max_tokens=100, related_request_id=ctx.request_id
        )
        content = answer.content
        assert isinstance(content, mcp_types.TextContent)
        return f"LLM response: {content.text}"

    @mcp.tool
    async def test_elicitation(message: str, ctx: Context) -> str:
        """Ask the client's user for a name and an address."""
        return f"User response: {await ask(ctx, message, USER)}"

    @mcp.tool
    async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
        """Ask with a default for each type of value."""
        return f"Elicitation completed: {await ask(ctx, 'Please review', DEFAULTS)}"

    @mcp.tool
    async def test_elicitation_sep1330_enums(ctx: Context) -> str:
        """Ask with each form of choice."""
        return f"Elicitation completed: {await ask(ctx, 'Please choose', ENUMS)}"


async def ask(ctx: Context, message: str, schema: dict[str, Any]) -> str:
    """What the client's user answered to a form."""
    answer = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    return f"action={answer.action}, content={json.dumps(answer.content)}"
