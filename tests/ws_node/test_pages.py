"""The page's files as a browser gets them: what is there, what is not, and under which headers."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.pair import plain_client
from tests.ws_node.making import make_settings, served
from ws_node.pages import SECURITY_HEADERS, TYPES, Pages

STATIC = Path(__file__).resolve().parents[2] / "ws_node" / "static"
PACKAGED = sorted(f for f in STATIC.rglob("*") if f.is_file())


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        served(Pages(make_settings(tmp_path))) as port,
        plain_client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client


def hardened(answer: httpx.Response) -> bool:
    return all(answer.headers[name.decode()] == value.decode() for name, value in SECURITY_HEADERS)


def test_every_packaged_file_has_an_address_and_nothing_else(tmp_path: Path) -> None:
    at = {f"/static/{f.relative_to(STATIC)}" for f in PACKAGED} - {"/static/index.html"}
    addresses = Pages(make_settings(tmp_path)).addresses
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
    assert answer.json() == {"mcp_url": "http://127.0.0.1:23456/mcp", "auth": "off"}


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
