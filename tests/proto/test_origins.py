"""Origins and Host headers: exact, and nothing malformed is repaired."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.origins import is_host, parse_authority, parse_origin

ORIGINS = {
    "http://127.0.0.1:8081": ("http", "127.0.0.1", 8081),
    "http://localhost": ("http", "localhost", 80),
    "https://localhost": ("https", "localhost", 443),
    "HTTPS://A.Example:8443": ("https", "a.example", 8443),
    "http://[::1]:8081": ("http", "::1", 8081),
    "http://node_1:00080": ("http", "node_1", 80),
    "http://localhost.:80": ("http", "localhost.", 80),
}


@pytest.mark.parametrize(("text", "origin"), ORIGINS.items())
def test_an_origin_is_scheme_host_and_port(text: str, origin: tuple[str, str, int]) -> None:
    assert parse_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "NULL", "http:", "http://", "//a", "a", "ws://a", "file:///", "ftp://a"),
        *("http://a/", "http://a?", "http://a#", "http://a/b", "http://a\\b", "http://a;b"),
        *("http://u@a", "http://u:p@a", "http://@a", "http://a:", "http://a:0", "http://a:65536"),
        *("http://a:-1", "http://a:+1", "http://a:8e1", "http://a:²", "http://a:80:80"),
        *("http://::1", "http://[::1", "http://[::1%25lo]", "http://[]", "http://[localhost]"),
        *(
            " http://a",
            "http://a ",
            "http://a\n",
            "\thttp://a",
            "http://a\x00",
            "http://a,http://b",
        ),
        *("http://a http://b", "http://*", "http://ä", "http://%61", "javascript://a"),
    ],
)
def test_what_no_browser_writes_is_no_origin(text: str) -> None:
    assert parse_origin(text) is None


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("localhost", ("localhost", None)),
        ("LOCALHOST:80", ("localhost", 80)),
        ("[::1]", ("::1", None)),
        ("[FD00::1]:8081", ("fd00::1", 8081)),
    ],
)
def test_an_authority_is_a_host_and_perhaps_a_port(
    text: str, authority: tuple[str, int | None]
) -> None:
    assert parse_authority(text) == authority


@given(st.text())
def test_any_text_is_an_authority_or_not_but_never_an_error(text: str) -> None:
    for parse in (parse_authority, parse_origin, is_host):
        parse(text)


@given(
    st.sampled_from(["http", "https"]),
    st.from_regex(r"[a-z0-9][a-z0-9.-]{0,30}", fullmatch=True),
    st.integers(1, 65535),
)
def test_a_written_origin_is_read_back(scheme: str, host: str, port: int) -> None:
    assert parse_origin(f"{scheme}://{host}:{port}") == (scheme, host, port)
    assert parse_origin(f"{scheme}://{host}:{port}/") is None
