"""Errors as an agent reads them: a code, what was wrong, what to do next; nothing else."""

from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError
from mcp import MCPError

from mcp_node.doors.mcp.errors import (
    ArgumentErrors,
    component_errors,
    protocol_errors,
    refuse,
    tool_errors,
)
from proto.errors import (
    InvalidInput,
    Overloaded,
    PartylineError,
    RateLimited,
    SessionNotFound,
    TooLarge,
    Unauthenticated,
)
from tests.mcp_node.doors.test_schema_lookup import server
from tests.serving.making import Sent, scope

MARK = "xYzzY"


async def call(data_dir: Path, name: str, arguments: dict[str, Any]) -> str:
    async with server(data_dir) as mcp:

        @mcp.tool
        async def crash() -> None:
            """Break."""
            raise RuntimeError(f"password={MARK}")

        async with Client(mcp) as client:
            answer = await client.call_tool(name, arguments, raise_on_error=False)
    assert answer.is_error
    text = str(answer.content[0].text)
    assert MARK not in text
    return text


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("create_session", {}),
        ("create_session", {"purpose": [MARK]}),
        ("create_session", {"purpose": "a", MARK: 1}),
        ("get_messages", {"session_id": "a", "limit": MARK}),
        ("get_messages", {"session_id": "a", "after": True}),
        ("list_sessions", {"limit": 0.5}),
        (MARK, {}),
    ],
)
async def test_what_the_framework_refuses_is_invalid_input(
    tmp_path: Path, name: str, arguments: dict[str, Any]
) -> None:
    text = await call(tmp_path / "data", name, arguments)
    assert text.startswith("INVALID_INPUT: ")
    assert "pydantic" not in text and "validation error" not in text


async def test_a_crash_tells_nothing(tmp_path: Path) -> None:
    assert await call(tmp_path / "data", "crash", {}) == "Error calling tool 'crash'"


def test_our_errors_become_tool_errors_with_their_words() -> None:
    with pytest.raises(ToolError) as raised, tool_errors():
        raise SessionNotFound
    assert str(raised.value).startswith("SESSION_NOT_FOUND: There is no such session. Call ")
    with pytest.raises(ValueError, match="ours"), tool_errors():
        raise ValueError("ours")


@pytest.mark.parametrize(
    ("path", "error", "status"),
    [
        ("/mcp", InvalidInput("No."), 400),
        ("/mcp", TooLarge("No."), 413),
        ("/mcp", Unauthenticated("No."), 401),
        ("/api/sessions", InvalidInput("No."), 422),
        ("/api/sessions", Unauthenticated("No."), 401),
    ],
)
async def test_a_request_refused_at_the_door_has_its_paths_form(
    path: str, error: InvalidInput, status: int
) -> None:
    sent = Sent()
    await refuse(scope(path=path), sent, error)
    assert sent.status == status
    assert (b"jsonrpc" in sent.body) == (path == "/mcp")
    assert error.code.encode() in sent.body
    challenged = any(key == b"www-authenticate" for key, _ in sent[0]["headers"])
    assert challenged == (status == 401)


def test_the_middleware_names_its_parameters_as_fastmcp_calls_them() -> None:
    names = ArgumentErrors.on_call_tool.__code__.co_varnames[:3]
    assert names == ("self", "context", "call_next")


async def test_unknown_resources_and_prompts_are_not_repeated(tmp_path: Path) -> None:
    async with server(tmp_path / "data") as mcp, Client(mcp) as client:
        for ask in (client.read_resource(f"unknown://{MARK}"), client.get_prompt(MARK)):
            with pytest.raises(MCPError, match="There is no such") as refused:
                await ask
            assert MARK not in str(refused.value.error)


async def test_a_resource_or_prompt_that_crashes_tells_nothing(tmp_path: Path) -> None:
    async with server(tmp_path / "data") as mcp:

        @mcp.resource("crash://{id}")
        async def crash(id: str) -> str:
            """Break."""
            raise RuntimeError(f"password={MARK}")

        @mcp.prompt
        async def crashing() -> str:
            """Break."""
            raise RuntimeError(f"password={MARK}")

        async with Client(mcp) as client:
            for ask in (client.read_resource(f"crash://{MARK}"), client.get_prompt("crashing")):
                with pytest.raises(MCPError, match=r"^The \w+ could not be made\.$") as refused:
                    await ask
                assert refused.value.error.code == -32603


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SessionNotFound(), -32602),
        (Unauthenticated("No."), -32602),
        (RateLimited("No."), -32603),
        (Overloaded("No."), -32603),
    ],
)
async def test_outside_of_tools_our_errors_are_json_rpc_errors(
    tmp_path: Path, error: PartylineError, code: int
) -> None:
    with pytest.raises(MCPError) as refused, protocol_errors():
        raise error
    assert (refused.value.error.code, refused.value.error.message) == (code, str(error))

    async with server(tmp_path / "data") as mcp:

        @mcp.resource("refusing://it")
        async def refusing() -> str:
            """Refuse."""
            with component_errors():
                raise error

        async with Client(mcp) as client:
            with pytest.raises(MCPError) as refused:
                await client.read_resource("refusing://it")
    assert (refused.value.error.code, refused.value.error.message) == (code, str(error))
