"""What agents read of the tools: every one and every parameter is described, and typed."""

from pathlib import Path
from typing import Any

from fastmcp import Client

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
