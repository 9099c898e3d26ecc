"""Memory: bad requests are refused without an echo, and logs hold neither keys nor values."""

import json
import secrets

import pytest

from tests.pair import Pair
from tests.security.asking import ACCEPT, JSON, LEGACY, MODERN, TOOLS, Answer, ask, legacy_session
from tests.security.unharmed import MARK, clean, unharmed

ERAS = ["modern", "legacy"]
URI = "agent://me/memory"
DEEP = b"[" * 17 + b"]" * 17


def owner() -> str:
    return f"owner-{secrets.token_hex(6)}"


async def read(pair: Pair, era: str, headers: dict[str, str]) -> Answer:
    """The resource, as raw JSON-RPC."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params: dict[str, object] = {"uri": URI, **({"_meta": meta} if era == "modern" else {})}
    body = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": params}
    if era == "modern":
        own = {**MODERN, "Mcp-Method": "resources/read", "Mcp-Name": URI}
    else:
        own = {**LEGACY, "Mcp-Session-Id": await legacy_session(pair, headers)}
    whole = {**ACCEPT, **JSON, **own, **headers}
    return await ask(pair.mcp_url, "POST", "/mcp", whole, json.dumps(body).encode())


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "members",
    [
        b'"key":"\\u0000"',
        b'"key":"%b\\u202e"' % MARK.encode(),
        b'"key":"%b\\ud800"' % MARK.encode(),
        b'"key":"%b"' % (MARK.encode() * 20),
        b'"key":["%b"]' % MARK.encode(),
        b'"key":"k","value":NaN',
        b'"key":"k","value":1e999',
        b'"key":"k","value":99999999999999999',
        b'"key":"k","value":"%b\\u0000"' % MARK.encode(),
        b'"key":"k","value":{"%b":1,"%b":2}' % (MARK.encode(), MARK.encode()),
        b'"key":"k","value":%b' % DEEP,
        b'"key":"k","value":"%b"' % (b"x" * 65_536),
        b'"key":"k","expires_in":"%b"' % MARK.encode(),
        b'"key":"k","expires_in":1.5',
        b'"key":"k","overwrite":"%b"' % MARK.encode(),
        b'"key":"k","overwrite":1',
        b'"key":"k","principal":"%b"' % MARK.encode(),
        b'"key":"k","session_id":"../%b"' % MARK.encode(),
        b'"key":"k","session_id":"no-such-room"',
    ],
    ids=lambda members: members[:30].decode(),
)
async def test_refused_memory_is_not_repeated_and_leaves_nothing(
    pair: Pair, members: bytes, era: str
) -> None:
    headers = pair.headers(owner())
    async with unharmed(pair):
        if b'"value"' not in members:
            members += b',"value":1'
        answer = clean(await TOOLS[era](pair, "set_memory", b"{%b}" % members, headers))
        assert answer.code in {"INVALID_INPUT", "TOO_LARGE", "SESSION_NOT_FOUND"}, answer
        assert (await TOOLS[era](pair, "list_memory", b"{}", headers)).result["memories"] == []


@pytest.mark.parametrize("era", ERAS)
async def test_nobody_else_finds_it_and_no_log_holds_it(pair: Pair, era: str) -> None:
    name = owner()
    own, others = pair.headers(name), pair.headers(f"{name}-2", scopes="read,write,admin")
    key = b'{"key":"%b"}' % MARK.encode()
    async with unharmed(pair):  # no viewer and no log hears of it either
        stored = b'{"key":"%b","value":{"%b":1}}' % (MARK.encode(), MARK.encode())
        clean(await TOOLS[era](pair, "set_memory", stored, own))
        assert MARK in (await TOOLS[era](pair, "get_memory", key, own)).text
        assert MARK in (await TOOLS[era](pair, "list_memory", b"{}", own)).text
        assert MARK in (await read(pair, era, own)).text
        found = clean(await TOOLS[era](pair, "get_memory", key, others))
        assert found.code == "MEMORY_NOT_FOUND"
        for answer in (
            await TOOLS[era](pair, "list_memory", b"{}", others),
            await TOOLS[era](pair, "delete_memory", key, others),
            await read(pair, era, others),
        ):
            assert clean(answer).code is None
        again = b'{"key":"%b","value":1,"overwrite":false}' % MARK.encode()
        assert clean(await TOOLS[era](pair, "set_memory", again, own)).code == "MEMORY_EXISTS"
        assert MARK in (await TOOLS[era](pair, "get_memory", key, own)).text


@pytest.mark.parametrize("era", ERAS)
async def test_memory_needs_the_scopes(pair: Pair, era: str) -> None:
    name = owner()
    reads, writes = pair.headers(name, scopes="read"), pair.headers(name, scopes="write")
    for tool, arguments, headers in (
        ("set_memory", b'{"key":"k","value":1}', reads),
        ("delete_memory", b'{"key":"k"}', reads),
        ("get_memory", b'{"key":"k"}', writes),
        ("list_memory", b"{}", writes),
    ):
        assert clean(await TOOLS[era](pair, tool, arguments, headers)).code == "FORBIDDEN"
    assert clean(await read(pair, era, writes)).code == "FORBIDDEN"
    assert (await read(pair, era, reads)).code is None
