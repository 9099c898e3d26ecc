"""Raw requests to a real pair, byte for byte as an attacker writes them, and what came back.

Every path answers in its own form; `Answer.code` is the error code in any of them, None for
success.
"""

import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from serving.peers.local import LOCAL_URL, LocalTransport
from tests.pair import Pair
from tests.waiting import PATIENCE

MODERN: Final = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call"}
LEGACY: Final = {"MCP-Protocol-Version": "2025-06-18"}
ACCEPT: Final = {"Accept": "application/json, text/event-stream"}
JSON: Final = {"Content-Type": "application/json"}
_META: Final = json.dumps(
    {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "attacker", "version": "0"},
    }
).encode()


_CONTEXT: Final = ssl.create_default_context()
"""Never used; making one for each client would cost more than all the rest."""


class Answer(NamedTuple):
    """What came back: HTTP status, error code, body as text, headers, and the decoded result."""

    status: int
    code: str | None
    text: str
    headers: Mapping[str, str]
    result: Any = None


def http(url: str | Path) -> httpx.AsyncClient:
    if isinstance(url, Path):
        transport = LocalTransport(url, httpx.Limits())
        return httpx.AsyncClient(base_url=LOCAL_URL, transport=transport, timeout=PATIENCE)
    return httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE, verify=_CONTEXT)


async def ask(
    url: str | Path,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    content: Any = None,
) -> Answer:
    """One request, to a node's address or its Unix socket.

    The error code is read from REST's, JSON-RPC's or /broadcast's form.
    """
    async with http(url) as client:
        answer = await client.request(method, path, headers=headers, content=content)
    return Answer(answer.status_code, *_code_of(answer))


def _code_of(answer: httpx.Response) -> tuple[str | None, str, Mapping[str, str], Any]:
    text = answer.text
    body: Any = None
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        lines = [line[5:] for line in text.splitlines() if line.startswith("data:") and line[5:]]
        body = json.loads(lines[-1])
    elif text:
        try:
            body = json.loads(text)
        except ValueError:
            body = None
    code: str | None = None if answer.is_success else str(answer.status_code)
    result = body
    if isinstance(body, dict):
        if body.get("success") is False:
            assert set(body) == {"success", "error"}
            code = body["error"].partition(":")[0]
        elif body.get("jsonrpc") == "2.0":
            code, result = _rpc(body)
        elif isinstance(body.get("error"), dict):
            assert set(body["error"]) == {"code", "message", "next_step"}, body
            code = body["error"]["code"]
    return code, text, answer.headers, result


def _rpc(body: dict[str, Any]) -> tuple[str | None, Any]:
    if "error" in body:
        code, colon, _ = body["error"]["message"].partition(":")
        return (code if colon and code.isupper() else str(body["error"]["code"])), body
    result = body["result"]
    if result.get("isError"):
        return result["content"][0]["text"].partition(":")[0], result
    return None, result.get("structuredContent", result)


def call(name: str, arguments: bytes, *, meta: bool) -> bytes:
    """A tools/call with the arguments as raw JSON text."""
    tail = b',"_meta":' + _META if meta else b""
    return (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%b","arguments":%b%b}}'
    ) % (name.encode(), arguments, tail)


async def modern(
    pair: Pair, tool: str, arguments: bytes, authorization: dict[str, str] | None = None
) -> Answer:
    """A tool call as clients of the newer era send it."""
    headers = {**MODERN, "Mcp-Name": tool, **ACCEPT, **JSON, **(authorization or {})}
    return await ask(pair.mcp_url, "POST", "/mcp", headers, call(tool, arguments, meta=True))


_sessions: dict[tuple[int, str], str] = {}


async def legacy_session(pair: Pair, authorization: dict[str, str]) -> str:
    """The Mcp-Session-Id of a new legacy session."""
    opening = {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "attacker", "version": "0"},
        },
    }
    headers = {**ACCEPT, **JSON, **authorization}
    answer = await ask(pair.mcp_url, "POST", "/mcp", headers, json.dumps(opening).encode())
    assert answer.status == 200, answer
    session = answer.headers["mcp-session-id"]
    ready = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
    headers |= {**LEGACY, "Mcp-Session-Id": session}
    assert (await ask(pair.mcp_url, "POST", "/mcp", headers, ready)).status == 202
    return session


async def kept_session(pair: Pair, bearer: dict[str, str]) -> str:
    """The Mcp-Session-Id that is kept for this bearer."""
    key = (pair.mcp_port, bearer.get("Authorization", ""))
    if key not in _sessions:
        _sessions[key] = await legacy_session(pair, bearer)
    return _sessions[key]


async def legacy(
    pair: Pair,
    tool: str,
    arguments: bytes,
    authorization: dict[str, str] | None = None,
    session: str | None = None,
) -> Answer:
    """A tool call in a legacy session (one that is kept for this bearer, if none is given)."""
    bearer = authorization or {}
    session = session or await kept_session(pair, bearer)
    headers = {**LEGACY, **ACCEPT, **JSON, **bearer, "Mcp-Session-Id": session}
    return await ask(pair.mcp_url, "POST", "/mcp", headers, call(tool, arguments, meta=False))


Tool = Callable[[Pair, str, bytes, dict[str, str] | None], Awaitable[Answer]]
TOOLS: Final[dict[str, Tool]] = {"modern": modern, "legacy": legacy}


async def say(
    path: str,
    pair: Pair,
    room: str,
    members: bytes,
    authorization: dict[str, str] | None = None,
) -> Answer:
    """add_message over a path, its body's members as raw JSON text."""
    if path == "rest":
        headers = {**JSON, **(authorization or {})}
        url = f"/api/sessions/{room}/messages"
        return await ask(pair.mcp_url, "POST", url, headers, b"{%b}" % members)
    arguments = b'{"session_id":"%b",%b}' % (room.encode(), members)
    return await TOOLS[path](pair, "add_message", arguments, authorization)


async def broadcast(
    pair: Pair, room: str, content: Any, headers: dict[str, str] | None = None
) -> Answer:
    """A post to /broadcast, as JSON unless the headers say otherwise."""
    return await ask(
        pair.ws_url, "POST", f"/broadcast/{room}", {**JSON, **(headers or {})}, content
    )


async def post(pair: Pair, room: str, content: Any, headers: dict[str, str]) -> Answer:
    """A post to /broadcast as mcp_node's: over ws_node's Unix socket."""
    return await ask(pair.ws_socket, "POST", f"/broadcast/{room}", {**JSON, **headers}, content)
