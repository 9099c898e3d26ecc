"""Addresses of nats-server: credentials are taken out, and nothing is repeated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ConfigurationError
from proto.nats_servers import NatsServers, parse_nats_servers
from proto.settings import load_settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nats://10.0.0.1", NatsServers(("nats://10.0.0.1:4222",), ("10.0.0.1",), False)),
        (
            "tls://a.example:1, tls://me:p%40ss%2F@b.example/",
            NatsServers(
                ("nats://a.example:1", "nats://b.example:4222"),
                ("a.example", "b.example"),
                True,
                "me",
                "p@ss/",
            ),
        ),
        (
            "nats://t%3Aoken@[::1]:5",
            NatsServers(("nats://[::1]:5",), ("::1",), False, token="t:oken"),
        ),
    ],
)
def test_servers_are_read(text: str, expected: NatsServers) -> None:
    assert parse_nats_servers(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "secret", "http://secret", "nats://", "nats://secret@", "nats://a:b:c", "nats://a/b"),
        *("nats://a,tls://secret", "nats://u:secret@a,nats://u:other@b", "nats://a?x=secret"),
    ],
)
def test_other_forms_are_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError) as refusal:
        parse_nats_servers(text)
    assert "secret" not in str(refusal.value)


@given(st.text(max_size=80))
def test_any_text_is_servers_or_a_value_error(text: str) -> None:
    try:
        servers = parse_nats_servers(text)
    except ValueError:
        return
    assert len(servers.urls) == len(servers.hosts) > 0


def test_credentials_are_in_no_representation() -> None:
    settings = load_settings(bridge="nats", nats_url="nats://me:secret@localhost")
    servers = parse_nats_servers("nats://me:secret@localhost,nats://localhost:2")
    for text in (repr(settings), str(settings), repr(servers), " ".join(servers.urls)):
        assert "secret" not in text


def test_settings_that_cannot_work_or_would_open_a_door_are_refused() -> None:
    for problem, settings in {
        "PARTYLINE_BRIDGE=nats needs PARTYLINE_NATS_URL": {"bridge": "nats"},
        "PARTYLINE_AUTH=off works on loopback": {"auth": "off", "nats_url": "nats://u:s@10.0.0.1"},
        "PARTYLINE_NATS_URL: Value error, must be": {"nats_url": "http://u:hush@10.0.0.1"},
        "PARTYLINE_NATS_DEPLOYMENT": {"nats_deployment": "a.b"},
    }.items():
        with pytest.raises(ConfigurationError, match=problem) as refusal:
            load_settings(**settings)
        assert "hush" not in str(refusal.value)
