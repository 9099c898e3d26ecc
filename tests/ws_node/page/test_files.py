"""The page's files as a browser gets them: what is there, what is not, and under which headers."""

import asyncio
import re
import shlex
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proto.settings import Settings
from proto.tokens import PrincipalVerifier, sign_guest, sign_human, sign_principal
from serving.http.identity import Identity
from tests.clients import plain_client
from tests.ws_node.making import served
from ws_node.page.files import SECURITY_HEADERS, TYPES, Pages

STATIC = Path(__file__).resolve().parents[3] / "ws_node" / "static"
PACKAGED = sorted(f for f in STATIC.rglob("*") if f.is_file())


KEY = Ed25519PrivateKey.generate()


DEPLOYMENT = "/static/deployment.json"


def make_pages(directory: Path, **settings: Any) -> Pages:
    identity = Identity(PrincipalVerifier(KEY.public_key()), auth_off=True)
    identity.revocations.complete = True
    return Pages(Settings(data_dir=directory, **settings), identity)


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        served(make_pages(tmp_path)) as port,
        plain_client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client


def hardened(answer: httpx.Response) -> bool:
    return all(answer.headers[name.decode()] == value.decode() for name, value in SECURITY_HEADERS)


def test_every_packaged_file_has_an_address_and_nothing_else(tmp_path: Path) -> None:
    at = {f"/static/{f.relative_to(STATIC)}" for f in PACKAGED} - {"/static/index.html"}
    addresses = make_pages(tmp_path).addresses
    assert set(addresses) == at | {"/", "/static/deployment.json"}


async def test_files_come_as_they_are_with_their_type(browser: httpx.AsyncClient) -> None:
    for file in PACKAGED:
        path = "/" if file.name == "index.html" else f"/static/{file.relative_to(STATIC)}"
        answer = await browser.get(path)
        assert answer.status_code == 200
        assert answer.content == file.read_bytes()
        assert answer.headers["content-type"] == TYPES[file.suffix].decode()
        assert hardened(answer)


async def test_head_is_get_without_the_body(browser: httpx.AsyncClient) -> None:
    whole, head = await browser.get("/"), await browser.head("/")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    assert hardened(head)


async def test_other_methods_are_refused(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/", content=b"x")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert hardened(answer)


@pytest.mark.parametrize(
    "path",
    [
        *("/static/", "/static/index.html", "/static/none.js", "/static/app", "/static//app.js"),
        *("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/\\app.py"),
        "/static/partyline.js/",
    ],
)
async def test_what_is_not_in_the_table_is_not_there(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(path)
    assert answer.status_code == 404
    assert hardened(answer)


async def test_the_page_learns_where_agents_connect(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/static/deployment.json")
    assert answer.json() == {"mcp_url": "http://127.0.0.1:23456/mcp", "auth": "token"}


def bearer(kind: str) -> dict[str, str]:
    """The header of an operator, a guest, an agent with every right, and of nobody."""
    times = (int(time.time()), int(time.time()) + 60)
    tokens = {
        "operator": lambda: sign_human(KEY, times=times, token_id="t1"),
        "guest": lambda: sign_guest(
            KEY, link_id="l1", session_id="s", may_write=True, times=times, token_id="t2"
        ),
        "agent": lambda: sign_principal(
            KEY,
            agent_id="alice",
            agent_type="claude",
            scopes=["read", "write", "admin"],
            sessions=None,
            lifetime_seconds=60,
        ),
        "forged": lambda: "no.such.token",
    }
    return {"Authorization": f"Bearer {tokens[kind]()}"}


async def test_only_the_operator_learns_the_command_that_makes_tokens(tmp_path: Path) -> None:
    (tmp_path / "signing.key").touch()
    async with (
        served(make_pages(tmp_path)) as port,
        plain_client(base_url=f"http://127.0.0.1:{port}") as page,
    ):
        command = (await page.get(DEPLOYMENT, headers=bearer("operator"))).json()["command"]
        words = shlex.split(command)
        assert words[:2] == ["env", f"PARTYLINE_DATA_DIR={tmp_path}"]
        done = await asyncio.create_subprocess_exec(*words, "--version", cwd="/")
        assert await done.wait() == 0
        for kind in ("guest", "agent", "forged"):
            answer = await page.get(DEPLOYMENT, headers=bearer(kind))
            assert set(answer.json()) == {"mcp_url", "auth"}, kind
        (tmp_path / "signing.key").unlink()  # another machine's mcp_node makes the tokens
        answer = await page.get(DEPLOYMENT, headers=bearer("operator"))
        assert set(answer.json()) == {"mcp_url", "auth"}


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    policy = dict(SECURITY_HEADERS)[b"content-security-policy"].decode()
    assert "default-src 'none'" in policy
    assert not re.search(r"unsafe|https?:|\*|data:|blob:", policy)


NEVER = {
    "markup from text": r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc",
    "code from text": r"\beval\(|new Function|setTimeout\(\s*[\"'`]|javascript:",
    "inline style or handler": r"setAttribute\(\s*[\"'](style|on)|<[^>]+\s(style|on\w+)=",
    "another server": r"(?:src|href|from|import|url)\s*[=(]?\s*[\"']?(?:https?:)?//",
    "cookies": r"document\.cookie",
}


@pytest.mark.parametrize("what", sorted(NEVER))
def test_no_file_of_the_page_has(what: str) -> None:
    pattern = re.compile(NEVER[what])
    found = [
        f"{file.relative_to(STATIC)}: {line.strip()}"
        for file in PACKAGED
        if file.suffix in (".js", ".html", ".css")
        for line in file.read_text("utf-8").splitlines()
        if pattern.search(line)
    ]
    assert found == []


def test_files_of_the_page_are_small() -> None:
    lengths = {str(f.relative_to(STATIC)): len(f.read_text("utf-8").splitlines()) for f in PACKAGED}
    assert {name: n for name, n in lengths.items() if n > 300} == {}
