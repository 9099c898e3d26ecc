"""What stands at mcp_node's address may answer anything: a page gets a problem, or a cut answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proto.keyfile import public_pem
from proto.tokens import PrincipalVerifier, sign_principal
from serving.http.identity import Identity
from tests.clients import plain_client
from tests.waiting import until
from tests.ws_node.log import test_client as test_history
from tests.ws_node.log.test_client import Answer, answering, drip, hang_up, silence
from tests.ws_node.making import served
from ws_node.page import api_proxy as forward_module
from ws_node.page.api_proxy import ApiProxy, allowed

KEY = Ed25519PrivateKey.generate()
CODE = {"code": "A" * 43}


def token(agent: str) -> dict[str, str]:
    signed = sign_principal(
        KEY,
        agent_id=agent,
        agent_type="claude",
        scopes=["read"],
        sessions=None,
        lifetime_seconds=600,
    )
    return {"Authorization": f"Bearer {signed}"}


@contextlib.asynccontextmanager
async def forwarding(directory: Path, answer: Answer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a ApiProxy to a server that gives ``answer``."""
    identity = Identity(PrincipalVerifier(public_pem(KEY)), auth_off=False)
    async with answering(directory, answer) as settings:
        forward = ApiProxy(settings, identity)
        try:
            async with (
                served(forward) as port,
                plain_client(
                    base_url=f"http://127.0.0.1:{port}", headers=token("alice"), timeout=20
                ) as client,
            ):
                yield client
        finally:
            await forward.close()


@pytest.mark.parametrize("answer", [silence, hang_up, drip], ids=["silence", "hang up", "drip"])
async def test_a_missing_answer_becomes_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setattr(forward_module, "ANSWER_SECONDS", 0.5)
    async with forwarding(tmp_path, answer) as client:
        for asking in (
            client.get("/api/sessions"),
            client.post("/api/sessions", json={"purpose": "p"}),
            client.post("/api/redeem", json=CODE),
        ):
            away = await asking
            assert (away.status_code, away.json()["error"]["code"]) == (503, "UNAVAILABLE")
        assert "check before you try again" in away.json()["error"]["next_step"]


async def test_headers_of_the_answer_go_no_further(tmp_path: Path) -> None:
    more = ["Set-Cookie: a=b", "Access-Control-Allow-Origin: *", "Location: http://evil.example/"]
    more += ["Content-Type: text/x", "X-Powered-By: x", "Content-Encoding: identity"]
    async with forwarding(tmp_path, test_history.http("302 Found", b"{}", *more)) as client:
        answer = await client.get("/api/sessions")
        assert (answer.status_code, answer.content) == (302, b"{}")
        ours = {"date", "server", "connection"}
        assert set(answer.headers) - ours == {"content-type", "content-length", "cache-control"}
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("seconds", "most"), [(0.5, 10**9), (20.0, 300_000)], ids=["too slow", "too large"]
)
async def test_an_answer_without_end_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, most: int
) -> None:
    monkeypatch.setattr(forward_module, "PASSING_SECONDS", seconds)
    monkeypatch.setattr(forward_module, "MAX_ANSWER_BYTES", most)

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"a" * 1_000)
            await writer.drain()
            await asyncio.sleep(0)

    async with forwarding(tmp_path, endless) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/api/sessions")


async def test_requests_of_a_principal_are_limited_apart_from_others(tmp_path: Path) -> None:
    waiting = 0
    release = asyncio.Event()

    async def held(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal waiting
        while await reader.readline() != b"\r\n":
            pass
        waiting += 1
        await release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()

    async with forwarding(tmp_path, held) as client:
        eager = [asyncio.create_task(client.get("/api/sessions")) for _ in range(20)]
        await until(lambda: waiting == forward_module.AT_ONCE_EACH)
        other = asyncio.create_task(client.get("/api/sessions", headers=token("bob")))
        await until(lambda: waiting == forward_module.AT_ONCE_EACH + 1)
        redeeming = asyncio.create_task(client.post("/api/redeem", json=CODE))
        await until(lambda: waiting == forward_module.AT_ONCE_EACH + 2)
        release.set()
        answers = await asyncio.gather(*eager, other, redeeming)
        assert {answer.status_code for answer in answers} == {200}
        assert waiting == 22


async def test_a_viewers_own_token_is_all_that_arrives(tmp_path: Path) -> None:
    arrived: list[bytes] = []

    async def noting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()

    sent = {"Cookie": "a=b", "X-Forwarded-For": "1.2.3.4", "X-Partyline-Agent": "x", "Via": "y"}
    async with forwarding(tmp_path, noting) as client:
        await client.get("/api/sessions?limit=3", headers=sent)
        await client.post("/api/redeem", json=CODE, headers=sent)
        own = client.headers["authorization"]
    names = [
        {line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:] if line}
        for head in arrived
    ]
    usual = {b"host", b"accept", b"accept-encoding", b"connection", b"user-agent"}
    assert names[0] - usual == {b"authorization"}
    assert names[1] - usual == {b"content-type", b"content-length"}, "a code needs no token"
    assert arrived[0].startswith(b"GET /api/sessions?limit=3 HTTP/1.1\r\n")
    assert own.encode() in arrived[0] and own.encode() not in arrived[1]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/sessions"),
        ("POST", "/api/sessions"),
        ("GET", "/api/sessions/a"),
        ("PATCH", "/api/sessions/a"),
        ("GET", "/api/sessions/a..b/messages"),
        ("POST", "/api/sessions/a/messages"),
        ("DELETE", "/api/sessions/a/messages/12"),
        ("POST", "/api/sessions/a/close"),
        ("POST", "/api/sessions/a/read"),
        ("GET", "/api/sessions/a/agents"),
        ("GET", "/api/search"),
        ("POST", "/api/redeem"),
    ],
)
def test_only_listed_routes_are_passed_on(method: str, path: str) -> None:
    assert allowed({"method": method, "raw_path": path.encode()})
    for other in (f"{path}/", f"/{path}", f"{path}\n", f"{path}%20", f"{path}?a", path.upper()):
        assert not allowed({"method": method, "raw_path": other.encode()}), other
    assert not allowed({"method": "PUT", "raw_path": path.encode()})
    assert not allowed({"method": "HEAD", "raw_path": path.encode()})
