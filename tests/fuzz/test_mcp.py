"""MCP bodies of both eras, and the headers that go with them."""

import json
from typing import Any, Final

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.fuzzing import VALUES, altered, attack, bounded, client, damaged, watched
from tests.pair import Pair
from tests.security.asking import _META, ACCEPT, JSON, LEGACY, MODERN, legacy_session
from tests.security.unharmed import MARK

UNKNOWN: Final = f'"message":"Method not found","data":"{MARK}"'
"""The one thing the library repeats: a method's name, if it looks like one (`check_envelope`)."""

METHODS: Final = st.sampled_from(
    [
        *("tools/call", "tools/list", "initialize", "ping", "resources/read", "resources/list"),
        *("prompts/get", "completion/complete", "logging/setLevel", "resources/subscribe"),
        *("server/discover", "notifications/initialized", "notifications/cancelled", MARK),
        *("resources/templates/list", "tasks/get", "subscriptions/listen"),
        *("resources/unsubscribe", "prompts/list"),
    ]
)
ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "add_message": {"content": MARK, "metadata": {"a": 1}, "speaking_as": "x", "if_last_seen": 3},
    "add_messages": {"messages": [{"content": MARK}, {"content": MARK, "metadata": {"a": 1}}]},
    "get_messages": {"limit": 3, "thread": 1, "metadata": {"a": 1}},
    "list_sessions": {"limit": 3},
    "create_session": {"purpose": MARK},
    "get_session": {},
    "get_receipts": {"message_id": 1},
    "list_agents": {},
    "claim": {"names": [MARK, "src/**"], "minutes": 5, "note": MARK},
    "release": {"names": [MARK]},
    "set_status": {"text": MARK, "minutes": 3},
    "leave_session": {},
    "set_note": {"key": MARK, "text": MARK, "if_version": 0},
    "get_notes": {"key": MARK},
    "search_messages": {"query": MARK, "since": "2026-01-01", "metadata": {"a": 1}},
    "set_memory": {"key": MARK, "value": {"a": MARK}, "expires_in": "1h"},
    "get_memory": {"key": MARK},
    "list_memory": {"prefix": "", "limit": 3},
    "delete_memory": {"key": MARK},
    "delete_message": {"message_id": 2**40},
    "update_session": {"messages_per_minute": 5},
    "get_live_link": {"expires_in": "1h"},
    MARK: {},
}
"""Tools, and arguments that are right; those that wait or close the room are not among them."""
TOOLS: Final = st.sampled_from(list(ARGUMENTS))
PROMPTED: Final = st.sampled_from(["join_session", "summarize_session", "hand_over", MARK])


@st.composite
def messages(draw: st.DrawFn, room: str, *, modern: bool) -> tuple[bytes, str, str]:
    """A JSON-RPC message that is not quite right; its method and tool for the headers."""
    method = draw(METHODS)
    tool = draw(PROMPTED if method == "prompts/get" else TOOLS)
    arguments: dict[str, Any] = {"session_id": room, **ARGUMENTS.get(tool, {})}
    uri = st.sampled_from(
        [f"session://{room}", f"session://{MARK}", f"session://{MARK} /messages", "file:///etc", ""]
    )
    if method == "prompts/get":
        arguments = {
            "session_id": draw(st.sampled_from([room, f"{MARK} "])),
            "to": f"{MARK} {MARK}",
        }
    params: dict[str, Any] = {"name": tool, "arguments": draw(altered(arguments))}
    if draw(st.booleans()):
        params |= {"uri": draw(uri)}
    if method == "subscriptions/listen":
        wanted: dict[str, Any] = {"resourceSubscriptions": [draw(uri), f"{MARK}://"], MARK: MARK}
        params = {"notifications": draw(altered(wanted))}
    elif method == "completion/complete":
        argument = {"name": "session_id", "value": MARK}
        ref = draw(altered({"type": "ref/prompt", "name": "join_session"}))
        params = {"ref": ref, "argument": argument}
    if modern:
        params["_meta"] = json.loads(_META)
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    kind = draw(st.integers(0, 3))
    if kind == 1:
        message = draw(altered(message))
    elif kind == 2:
        message["params"] = draw(altered(params))
    elif kind == 3:
        return draw(damaged(json.dumps(message).encode())), method, tool
    return json.dumps(message).encode(), method, tool


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_generated_mcp_messages_do_no_harm(pair: Pair, era: str) -> None:
    # Read-only: what passes every check is still refused, so nothing at all may be written.
    token = pair.headers("reader", scopes="read")
    headers = {**ACCEPT, **JSON, **token}
    if era == "legacy":
        headers |= {**LEGACY, "Mcp-Session-Id": await legacy_session(pair, token)}

    async with watched(pair) as watch:
        with client(pair.mcp_url) as mcp:

            @bounded(70)
            @given(messages(watch.room, modern=era == "modern"), st.booleans())
            def work(said: tuple[bytes, str, str], lying: bool) -> None:
                body, method, tool = said
                own = dict(headers)
                if era == "modern":
                    own |= MODERN | {"Mcp-Method": "ping" if lying else method, "Mcp-Name": tool}
                with mcp.stream("POST", "/mcp", content=body, headers=own) as answer:
                    first_of(answer)

            await attack(work)


def first_of(answer: httpx.Response) -> None:
    """Judge an answer, or what a stream says first."""
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        text = ""
        for piece in answer.iter_text():
            text += piece
            if "data: {" in text and text.endswith("\n"):
                break
    else:
        answer.read()
        text = answer.text
    assert answer.status_code < 500, text
    assert "Traceback" not in text and "site-packages" not in text and "sqlite" not in text.lower()
    if not answer.is_success or '"error"' in text or '"isError":true' in text:
        repeated = text.replace(UNKNOWN, "").replace(f'"id":"{MARK}"', "")  # JSON-RPC wants the id
        assert MARK not in repeated, text
        assert "pydantic" not in text and "input_value" not in text, text


async def test_generated_mcp_headers_do_no_harm(pair: Pair) -> None:
    names = st.sampled_from(
        [
            *("MCP-Protocol-Version", "Mcp-Session-Id", "Mcp-Method", "Mcp-Name", "Accept"),
            *("Last-Event-ID", "Content-Type"),
        ]
    )
    texts = st.one_of(
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12),
        st.sampled_from([MARK, "2026-07-28", "2025-06-18", "*/*", "x" * 500]),
    )
    token = pair.headers("reader", scopes="read")

    async with watched(pair):
        with client(pair.mcp_url) as mcp:

            @bounded(40)
            @given(
                st.dictionaries(names, texts, max_size=5),
                st.sampled_from(["POST", "DELETE", "PUT"]),
                VALUES,
            )
            def work(own: dict[str, str], method: str, params: Any) -> None:
                body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params}
                sent = {**ACCEPT, **JSON, **token, **own}
                with mcp.stream(
                    method, "/mcp", content=json.dumps(body).encode(), headers=sent
                ) as answer:
                    first_of(answer)

            await attack(work)
