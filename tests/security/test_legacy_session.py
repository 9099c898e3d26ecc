"""A legacy MCP session belongs to who opened it, and each request has its own token's rights."""

from tests.pair import Pair
from tests.security.asking import (
    ACCEPT,
    JSON,
    LEGACY,
    ask,
    call,
    legacy,
    legacy_session,
)
from tests.security.unharmed import add, clean, make_room, unharmed


async def test_another_principal_cannot_use_a_legacy_session(pair: Pair) -> None:
    async with unharmed(pair) as room:
        session = await legacy_session(pair, pair.headers("alice"))
        arguments = b'{"session_id":"%b","content":"as alice"}' % room.encode()
        for headers in (pair.headers("mallory"), pair.headers("mallory", scopes="admin,write")):
            stolen = {**LEGACY, **ACCEPT, **JSON, **headers, "Mcp-Session-Id": session}
            body = call("add_message", arguments, meta=False)
            answer = clean(await ask(pair.mcp_url, "POST", "/mcp", stolen, body))
            made_up = {**stolen, "Mcp-Session-Id": "0" * 32}
            unknown = await ask(pair.mcp_url, "POST", "/mcp", made_up, body)
            assert (answer.status, answer.text) == (404, unknown.text)
            for method in ("GET", "DELETE"):
                assert (await ask(pair.mcp_url, method, "/mcp", stolen)).status == 404
    answer = await legacy(pair, "list_sessions", b"{}", pair.headers("alice"), session)
    assert answer.code is None


async def test_a_later_token_of_the_same_principal_has_its_own_rights(pair: Pair) -> None:
    session = await legacy_session(pair, pair.headers("alice", scopes="read,write,admin"))
    async with unharmed(pair) as room:
        arguments = b'{"session_id":"%b","content":"a"}' % room.encode()
        for rights in ({"scopes": "read"}, {"sessions": ["elsewhere"]}):
            headers = pair.headers("alice", **rights)  # type: ignore[arg-type]
            answer = await legacy(pair, "add_message", arguments, headers, session)
            assert clean(answer).code in ("FORBIDDEN", "SESSION_NOT_FOUND")


async def test_another_type_of_the_same_name_sees_only_its_own(pair: Pair) -> None:
    room = await make_room(pair)
    await add(pair, room, content="for claudes", visibility="agent_only", agent="alice")
    session = await legacy_session(pair, pair.headers("alice", kind="claude"))
    arguments = b'{"session_id":"%b"}' % room.encode()
    headers = pair.headers("alice", kind="codex")
    answer = await legacy(pair, "get_messages", arguments, headers, session)
    assert answer.code is None and answer.result["messages"] == []
