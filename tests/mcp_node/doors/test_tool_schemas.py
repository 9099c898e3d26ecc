"""What agents read of the tools: every one and every parameter is described, and typed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastmcp import Client
from fastmcp.utilities.tests import asgi_server

from mcp_node.doors.mcp.tools.schemas import brief
from tests.mcp_node.doors.test_schema_lookup import server

FIVE = {
    "create_session": ({"purpose"}, {"session_id", "metadata"}),
    "list_sessions": (set(), {"limit", "active_since"}),
    "get_session": ({"session_id"}, set()),
    "add_message": (
        {"session_id", "content"},
        {"visibility", "metadata", "parent_message_id"},
    ),
    "get_messages": (
        {"session_id"},
        {"after", "before", "limit", "sender", "visibility"},
    ),
}
MEMORY = {"set_memory", "get_memory", "list_memory", "delete_memory"}
MODERATION = {"close_session", "update_session"}
COORDINATION = {"react", "claim", "release", "set_note", "get_notes", "set_status", "leave_session"}

MAX_CORE_CHARACTERS = 9_000
"""What the names, descriptions and input schemas of the set core may take in an agent's context."""

READING = {"list_sessions", "get_session", "get_messages", "search_messages"}


async def tools(data_dir: Path) -> dict[str, Any]:
    async with server(data_dir) as mcp, Client(mcp) as client:
        return {tool.name: tool for tool in await client.list_tools()}


async def test_the_five_tools_take_what_the_contract_names(tmp_path: Path) -> None:
    found = await tools(tmp_path / "data")
    for name, (required, optional) in FIVE.items():
        schema = found[name].input_schema
        assert set(schema.get("required", [])) == required
        assert set(schema["properties"]) >= required | optional
        assert schema["additionalProperties"] is False


async def test_every_tool_and_parameter_is_described(tmp_path: Path) -> None:
    for name, tool in (await tools(tmp_path / "data")).items():
        assert tool.description and tool.description.strip().endswith("."), name
        assert tool.output_schema is not None, name
        assert tool.annotations is not None
        assert tool.annotations.open_world_hint is False
        assert tool.annotations.read_only_hint is (name in READING) or name not in FIVE
        for parameter, schema in tool.input_schema["properties"].items():
            assert len(schema.get("description", "")) > 15, (name, parameter)


def characters(tool: Any) -> int:
    schema = json.dumps(tool.input_schema, separators=(",", ":"))
    return len(tool.name) + len(tool.description) + len(schema)


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema and every schema in it."""
    yield schema
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    inner += [schema[name] for name in ("items",) if name in schema]
    for one in inner:
        yield from parts(one)


async def test_what_the_core_tools_cost_an_agent(tmp_path: Path) -> None:
    async with server(tmp_path / "data", ["core"]) as mcp, Client(mcp) as client:
        core = await client.list_tools()
    assert len(core) >= 12
    assert sum(map(characters, core)) <= MAX_CORE_CHARACTERS


async def test_input_schemas_say_nothing_twice(tmp_path: Path) -> None:
    for name, tool in (await tools(tmp_path / "data")).items():
        optional = set(tool.input_schema["properties"]) - set(tool.input_schema.get("required", ()))
        for parameter, schema in tool.input_schema["properties"].items():
            for part in parts(schema):
                assert "title" not in part, (name, parameter)
                assert part.get("default", "") is not None, (name, parameter)
                assert part.get("additionalProperties") is not True, (name, parameter)
            if parameter in optional:
                assert {"type": "null"} not in schema.get("anyOf", ()), (name, parameter)


async def test_null_is_accepted_for_an_optional_argument(tmp_path: Path) -> None:
    async with (
        server(tmp_path / "data") as mcp,
        asgi_server(mcp) as running,
        running.client() as client,
    ):
        nulls = {"session_id": None, "metadata": None}
        made = await client.call_tool("create_session", {"purpose": "p", **nulls})
        assert made.structured_content["created"]


def test_brief_keeps_what_a_schema_allows() -> None:
    text, null = {"type": "string"}, {"type": "null"}
    assert brief({"anyOf": [text, null], "default": None, "description": "d"}) == {
        "type": "string",
        "description": "d",
    }
    assert brief({"anyOf": [text, null]}) == {"anyOf": [text, null]}
    either = [{"type": "integer"}, {"type": "number"}]
    assert brief({"anyOf": either, "default": 5}) == {"type": "number", "default": 5}
    assert brief({"anyOf": [text, {"type": "integer"}, null], "default": None}) == {
        "anyOf": [text, {"type": "integer"}]
    }
    listed = {"type": "array", "items": {"type": "object", "additionalProperties": True}}
    assert brief(listed) == {"type": "array", "items": {"type": "object"}}
    named = {"type": "object", "properties": {"default": {"type": "null"}, "anyOf": text}}
    assert brief(named) == named
