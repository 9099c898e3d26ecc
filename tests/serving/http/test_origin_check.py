"""OriginCheck: which Hosts and Origins may enter, decided by exact scheme, host and port."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.settings import load_settings
from serving.http.origin_check import OriginCheck, own_hosts
from tests.serving.making import Sent, headers, receiving, scope

OURS = "127.0.0.1:8081"
HOSTS = ["localhost", "127.0.0.1", "::1", "node.lan"]


async def behind(scope_: Any, receive: Any, send: Any) -> None:
    await send({"type": "reached"})


CHECK = OriginCheck(behind, hosts=HOSTS, origins=["https://app.example", "http://[fd00::1]:8080"])


def refused(*pairs: tuple[str, str], scheme: str = "http", method: str = "POST") -> str | None:
    return CHECK.refusal(scheme, method, headers(*pairs))


@pytest.mark.parametrize(
    "host", [OURS, "localhost", "LOCALHOST:1", "[::1]:8081", "node.lan:65535", "Node.Lan"]
)
def test_own_hosts_enter_on_any_port(host: str) -> None:
    assert refused(("Host", host)) is None


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "localhost.", "localhost:", "localhost:0", "localhost:65536"),
        *("user@localhost", "localhost/", "localhost?", "localhost#", "localhost\\", "localhost "),
        *("::1", "[::1", "[::1]x", "[::1%25lo]", "[0:0:0:0:0:0:0:1]", "127.0.0.1,evil", "127.1"),
        *("xlocalhost", "localhost.evil", "*", "\xe9", "localhost\x00", "localhost\n"),
    ],
)
def test_other_hosts_are_refused(host: str) -> None:
    assert refused(("Host", host)) == "The Host header names another server."


def test_exactly_one_host_is_required() -> None:
    assert refused()
    assert refused(("Host", OURS), ("Host", OURS))
    assert refused(("Host", OURS), ("host", "evil.example"))


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (OURS, "http://127.0.0.1:8081"),
        ("localhost", "http://localhost"),
        ("localhost", "http://localhost:80"),
        ("LocalHost:8081", "HTTP://LOCALHOST:8081"),
        ("[::1]:8081", "http://[::1]:8081"),
        (OURS, "https://app.example"),
        (OURS, "https://app.example:443"),
        (OURS, "http://[fd00::1]:8080"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_own_and_allowed_origins_enter(host: str, origin: str, scheme: str) -> None:
    assert refused(("Host", host), ("Origin", origin), scheme=scheme) is None


@pytest.mark.parametrize(
    "origin",
    [
        *("null", "", "http://127.0.0.1", "http://127.0.0.1:8082", "https://127.0.0.1:8081"),
        *(
            "http://localhost:8081",
            "http://[::1]:8081",
            "http://127.0.0.1:8081/",
            "//127.0.0.1:8081",
        ),
        *("http://127.0.0.1:8081.evil.example", "http://evil.example", "http://127.0.0.1.:8081"),
        *("http://u@127.0.0.1:8081", "http://127.0.0.1:8081@evil.example", "ws://127.0.0.1:8081"),
        *("http://app.example", "https://app.example:444", "https://x.app.example", "*"),
        *("https://app.example.", "https://appxexample", "http://127.0.0.1:8081 http://evil"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_other_origins_are_refused(origin: str, method: str, scheme: str) -> None:
    reason = refused(("Host", OURS), ("Origin", origin), method=method, scheme=scheme)
    assert reason == "The Origin header names another site."


def test_two_origins_are_refused() -> None:
    own = ("Origin", f"http://{OURS}")
    assert refused(("Host", OURS), own, own)
    assert refused(("Host", OURS), own, ("origin", "http://evil.example"))


@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_behind_tls_the_own_origin_is_https(scheme: str) -> None:
    assert refused(("Host", "node.lan"), ("Origin", "https://node.lan"), scheme=scheme) is None
    assert refused(("Host", "node.lan"), ("Origin", "http://node.lan"), scheme=scheme)


@pytest.mark.parametrize(
    ("sites", "method", "enters"),
    [
        (["same-origin"], "POST", True),
        (["none"], "POST", True),
        (["same-site"], "POST", False),
        (["cross-site"], "POST", False),
        (["cross-site"], "DELETE", False),
        (["same-origin", "cross-site"], "POST", False),
        ([""], "POST", False),
        (["cross-site"], "GET", True),
    ],
)
def test_sec_fetch_site_decides_who_enters(sites: list[str], method: str, enters: bool) -> None:
    said = [("Sec-Fetch-Site", site) for site in sites]
    assert (refused(("Host", OURS), *said, method=method) is None) == enters


WORD = st.text("abcz019.-:/@[]?#\\ %*", max_size=12)
AUTHORITY = st.builds(
    lambda host, port: host + port,
    st.sampled_from([*HOSTS, "[::1]", "evil.example", "localhost."]) | WORD,
    st.sampled_from(["", ":80", ":443", ":8081", ":8082"]) | WORD,
)


@given(host=AUTHORITY, scheme=st.sampled_from(["http", "https", "ws", "null", ""]), at=AUTHORITY)
def test_an_origin_enters_only_if_it_is_the_host_to_the_letter(
    host: str, scheme: str, at: str
) -> None:
    origin = f"{scheme}://{at}"
    if refused(("Host", host), ("Origin", origin)) is None:
        assert scheme == "http"
        assert at.removesuffix(":80") == host.removesuffix(":80")
        assert refused(("Host", host)) is None


@given(st.lists(st.tuples(st.sampled_from(["Host", "Origin", "Sec-Fetch-Site"]), WORD)))
def test_any_headers_are_decided_without_an_error(pairs: list[tuple[str, str]]) -> None:
    refused(*pairs)


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_a_refusal_never_reaches_the_app(kind: str) -> None:
    sent = Sent()
    await CHECK(scope(("Host", "evil"), kind=kind), receiving([]), sent)
    prefix = "http" if kind == "http" else "websocket.http"
    assert [message["type"] for message in sent] == [
        f"{prefix}.response.start",
        f"{prefix}.response.body",
    ]
    assert sent.status == 403
    assert b"evil" not in sent.body
    assert not any(key.startswith(b"access-control") for key, _ in sent[0]["headers"])


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_what_may_enter_is_passed_on(kind: str) -> None:
    sent = Sent()
    await CHECK(scope(("Host", OURS), kind=kind), receiving([]), sent)
    assert sent == [{"type": "reached"}]


async def test_a_lifespan_is_passed_on_without_a_host() -> None:
    sent = Sent()
    await CHECK({"type": "lifespan"}, receiving([]), sent)
    assert sent == [{"type": "reached"}]


def test_a_node_answers_to_loopback_its_address_and_what_is_allowed() -> None:
    loopback = {"localhost", "127.0.0.1", "::1"}
    token = "0123456789abcdef"
    settings = load_settings(allowed_hosts="Node.LAN", broadcast_token=token)
    assert own_hosts(settings, "127.0.0.1") == loopback | {"node.lan"}
    assert own_hosts(settings, "Box") == loopback | {"node.lan", "box"}
    assert own_hosts(settings, "0.0.0.0") == own_hosts(settings, "::") == loopback | {"node.lan"}
