"""Bounds on sessions of MCP's older era, around an app that answers as the library does."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mcp_node.doors.mcp.legacy_sessions import (
    MAX_INITIALIZE_BYTES,
    MAX_INITIALIZE_VALUES,
    LegacySessions,
)
from proto.keyfile import public_pem
from proto.settings import Settings
from proto.tokens import PrincipalVerifier
from serving.http.asgi import Receive, Scope, Send
from serving.http.identity import Identity
from tests.proto.forged import eddsa, principal_claims
from tests.serving.making import Sent, receiving, scope

KEY = Ed25519PrivateKey.generate()
INITIALIZE = b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":%b}'
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
IDLE = 60.0


class Library:
    """Opens a session for `INITIALIZE`, ends it for DELETE, and knows no others."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.crash = False
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name: value.decode() for name, value in scope["headers"]}
        session = headers.get(b"mcp-session-id")
        body = (await receive()).get("body", b"") if scope["method"] == "POST" else b""
        self.bodies.append(body)
        status = 200
        if session is None and b'"initialize"' in body:
            session = f"s{len(self.bodies)}"
            self.known.add(session)
        elif session is None:
            status = 400
        elif session not in self.known:
            status = 404
        elif scope["method"] == "DELETE":
            self.known.discard(session)
        answer = [(b"mcp-session-id", (session or "none").encode())]
        await send({"type": "http.response.start", "status": status, "headers": answer})
        if self.crash:
            raise RuntimeError("crash")
        await send({"type": "http.response.body", "body": b""})


class Case:
    """The middleware around `Library`, and a clock that a test moves."""

    def __init__(self, directory: Path, *, auth_off: bool = False, **limits: Any) -> None:
        self.library = Library()
        self.now = 1_000.0
        settings = Settings(
            data_dir=directory,
            mcp_session_idle_seconds=IDLE,
            **{"max_mcp_sessions": 5, "max_mcp_sessions_per_principal": 3, **limits},
        )
        identity = Identity(PrincipalVerifier(public_pem(KEY)), auth_off=auth_off)
        self.app = LegacySessions(self.library, settings, identity, lambda: self.now)
        self._tokens: dict[str, str] = {}

    async def ask(
        self,
        agent: str,
        body: bytes = INITIALIZE % b"{}",
        session: str | None = None,
        *more: tuple[str, str],
        method: str = "POST",
    ) -> tuple[int, str]:
        """Status, and the session's id or the error's text."""
        token = self._tokens.setdefault(agent, eddsa(KEY, principal_claims(sub=agent)))
        pairs = [("Authorization", f"Bearer {token}"), *more]
        if session is not None:
            pairs.append(("Mcp-Session-Id", session))
        sent = Sent()
        request = {"type": "http.request", "body": body, "more_body": False}
        await self.app(scope(*pairs, method=method, path="/mcp"), receiving([request]), sent)
        headers = dict(sent[0]["headers"])
        return sent.status, headers.get(b"mcp-session-id", sent.body).decode()

    async def open(self, agent: str) -> str:
        status, session = await self.ask(agent)
        assert status == 200
        return session


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    made = Case(tmp_path)
    yield made
    assert len(made.app) <= 5


async def test_a_principal_has_its_own_bound_and_everybody_one_together(case: Case) -> None:
    for _ in range(3):
        await case.open("alice")
    status, text = await case.ask("alice")
    assert status == 429 and "RATE_LIMITED" in text and '"code": -32603' in text
    for _ in range(2):
        await case.open("bob")
    status, text = await case.ask("carol")
    assert status == 503 and "OVERLOADED" in text
    assert len(case.library.known) == 5


async def test_a_session_that_ended_is_not_counted(case: Case) -> None:
    sessions = [await case.open("alice") for _ in range(3)]
    assert (await case.ask("alice", session=sessions[0], method="DELETE"))[0] == 200
    await case.open("alice")
    case.library.known.discard(sessions[1])  # the library ended it by itself
    assert (await case.ask("alice"))[0] == 429
    assert (await case.ask("alice", CALL, sessions[1]))[0] == 404
    await case.open("alice")


async def test_an_idle_session_is_not_counted(case: Case) -> None:
    used, *_ = [await case.open("alice") for _ in range(3)]
    case.now += 0.9 * IDLE
    assert (await case.ask("alice", CALL, used))[0] == 200
    assert (await case.ask("alice"))[0] == 429
    case.now += 0.2 * IDLE
    await case.open("alice")
    await case.open("alice")
    assert (await case.ask("alice"))[0] == 429


async def test_somebody_elses_request_changes_nothing(case: Case) -> None:
    session = await case.open("alice")
    case.library.known.discard(session)
    assert (await case.ask("mallory", CALL, session))[0] == 404
    assert len(case.app) == 1


@pytest.mark.parametrize("body", [CALL, b"{}", b"[", b"\xff"])
async def test_a_request_that_opens_nothing_is_not_counted(case: Case, body: bytes) -> None:
    for _ in range(10):
        assert (await case.ask("alice", body))[0] == 400
    assert len(case.app) == 0
    assert case.library.bodies == [body] * 10


async def test_a_request_that_crashes_is_not_counted(case: Case) -> None:
    case.library.crash = True
    for _ in range(10):
        with contextlib.suppress(RuntimeError):
            await case.ask("alice")
    assert len(case.app) == 0


async def test_the_newer_era_has_no_sessions(case: Case) -> None:
    version = ("MCP-Protocol-Version", "2026-07-28")
    for _ in range(10):
        await case.ask("alice", INITIALIZE % b"{}", None, version)
    assert len(case.app) == 0


async def test_names_that_anybody_can_take_have_no_bound_of_their_own(tmp_path: Path) -> None:
    case = Case(tmp_path, auth_off=True)
    for _ in range(5):
        await case.open("alice")
    assert (await case.ask("alice"))[0] == 503


LARGE = {
    "name": INITIALIZE % b'{"clientInfo":{"name":"%b"}}' % (b"x" * MAX_INITIALIZE_BYTES),
    "blanks": INITIALIZE % b"{}" + b" " * MAX_INITIALIZE_BYTES,
}
MANY = INITIALIZE % b'{"a":[%b[]]}' % (b"[]," * (MAX_INITIALIZE_VALUES // 2))


@pytest.mark.parametrize("within", [False, True], ids=["opening", "within a session"])
async def test_a_large_initialize_is_refused_before_the_library_has_it(
    case: Case, within: bool
) -> None:
    session = await case.open("alice") if within else None
    before = len(case.library.bodies)
    for large in LARGE.values():
        status, text = await case.ask("alice", large, session)
        assert status == 413 and "TOO_LARGE" in text
    assert (await case.ask("alice", MANY, session))[0] == 400
    header = ("X-A", "x" * MAX_INITIALIZE_BYTES)
    assert (await case.ask("alice", INITIALIZE % b"{}", session, header))[0] == 413
    assert len(case.library.bodies) == before
    assert len(case.app) == int(within)
    other = CALL + b" " * MAX_INITIALIZE_BYTES
    assert (await case.ask("alice", other, session))[0] == (200 if within else 400)
