"""Settings: documented defaults, how the environment is read, and what refuses to start."""

import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from proto.errors import ConfigurationError
from proto.settings import Settings, load_settings, unknown_variables

TOKEN = "0123456789abcdef"
SECRET = "hunter2"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("PARTYLINE_"):
            monkeypatch.delenv(name)


def from_env(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(f"PARTYLINE_{name}", value)
    return load_settings()


def test_the_defaults_are_those_of_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/nowhere/share")
    settings = load_settings()
    assert settings.data_dir == Path("/nowhere/share/partyline")
    assert (settings.mcp_host, settings.mcp_port) == ("127.0.0.1", 23456)
    assert (settings.ws_host, settings.ws_port) == ("127.0.0.1", 8081)
    assert (settings.bridge, settings.bridge_endpoint) == ("zmq", "")
    assert (settings.auth, settings.broadcast_token) == ("token", None)
    assert (settings.allowed_hosts, settings.allowed_origins) == ((), ())
    assert (settings.log_level, settings.log_format) == ("INFO", "text")
    assert settings.max_content_chars == 100_000
    assert (settings.max_metadata_bytes, settings.max_metadata_depth) == (16_384, 16)
    assert settings.max_command_bytes == 65_536
    assert settings.max_unsent_bytes == 1_048_576
    assert settings.max_bridge_bytes == 2_097_152


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_is(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description and description.endswith(".")


def test_the_environment_is_read_under_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = from_env(monkeypatch, MCP_PORT="1234", BRIDGE="http", ROOM_LINGER_SECONDS="0.5")
    assert (settings.mcp_port, settings.bridge, settings.room_linger_seconds) == (1234, "http", 0.5)


def test_the_port_of_honcho_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "MCP_PORT", "WS_PORT", "AUTH", "DATA_DIR"):
        monkeypatch.setenv(name, "5000")
    settings = load_settings()
    assert (settings.mcp_port, settings.ws_port, settings.auth) == (23456, 8081, "token")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("WS_PROT", "PARTYLINE_WS_PORT"),
        ("DATADIR", "PARTYLINE_DATA_DIR"),
        ("MAX_VIEWER", "PARTYLINE_MAX_VIEWERS"),
        ("BROADCAST_TOKENS", "PARTYLINE_BROADCAST_TOKEN"),
        ("PORT", "PARTYLINE_WS_PORT"),
    ],
)
def test_an_unknown_variable_of_the_prefix_is_refused_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        from_env(monkeypatch, **{name: SECRET})
    assert f"PARTYLINE_{name} is not a setting; did you mean {nearest}?" in str(refusal.value)
    assert SECRET not in str(refusal.value)


def test_every_unknown_variable_is_named_and_cannot_steer_a_terminal() -> None:
    names = ["PARTYLINE_ZZZ\x1b[2J", "PATH", "partyline_auht", "PARTYLINE_AUTH", "PARTYLINE_TOKEN"]
    assert unknown_variables(names) == [
        "PARTYLINE_ZZZ\\x1b[2J is not a setting; docs/settings.md lists them",
        "partyline_auht is not a setting; did you mean PARTYLINE_AUTH?",
    ]


def test_the_token_of_a_client_is_no_setting_and_no_mistake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert from_env(monkeypatch, TOKEN=SECRET) == load_settings()


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = load_settings()
    empty = {name.upper(): "" for name in Settings.model_fields}
    assert from_env(monkeypatch, **empty) == defaults


def test_overrides_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTYLINE_WS_PORT", "9000")
    assert load_settings(ws_port=9001).ws_port == 9001


@pytest.mark.parametrize(
    ("text", "names"),
    [("a.example", ("a.example",)), (" a.example , b.example,", ("a.example", "b.example"))],
)
def test_lists_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, text: str, names: tuple[str, ...]
) -> None:
    settings = from_env(monkeypatch, ALLOWED_HOSTS=text, BROADCAST_TOKEN=TOKEN)
    assert settings.allowed_hosts == names


def test_json_in_a_list_is_only_text(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="ALLOWED_ORIGINS"):
        from_env(monkeypatch, ALLOWED_ORIGINS='["http://a.example"]')


def test_the_data_directory_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert from_env(monkeypatch, DATA_DIR="here").data_dir == tmp_path / "here"
    assert from_env(monkeypatch, DATA_DIR="~/p").data_dir == Path("/home/somebody/p")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load_settings().auth = "off"  # type: ignore[misc]


REFUSED: list[tuple[str, dict[str, str]]] = [
    ("MCP_PORT", {"MCP_PORT": "-1"}),
    ("MCP_PORT", {"MCP_PORT": "65536"}),
    ("WS_PORT", {"WS_PORT": "http"}),
    ("BRIDGE", {"BRIDGE": "redis"}),
    ("AUTH", {"AUTH": "none"}),
    ("AUTH", {"AUTH": "OFF"}),
    ("LOG_LEVEL", {"LOG_LEVEL": "TRACE"}),
    ("MAX_METADATA_DEPTH", {"MAX_METADATA_DEPTH": "33"}),
    ("MAX_CONTENT_CHARS", {"MAX_CONTENT_CHARS": "0"}),
    ("ROOM_LINGER_SECONDS", {"ROOM_LINGER_SECONDS": "nan"}),
    ("LOG_POLL_SECONDS", {"LOG_POLL_SECONDS": "inf"}),
    ("METRICS_LOOPBACK", {"METRICS_LOOPBACK": "perhaps"}),
    ("DATA_DIR", {"DATA_DIR": "~no-such-user-here/p"}),
    ("AUTH=off", {"AUTH": "off", "MCP_HOST": "0.0.0.0"}),
    ("AUTH=off", {"AUTH": "off", "WS_HOST": "::", "BROADCAST_TOKEN": TOKEN}),
    ("AUTH=off", {"AUTH": "off", "ALLOWED_HOSTS": "a.example", "BROADCAST_TOKEN": TOKEN}),
    ("AUTH=off", {"AUTH": "off", "ALLOWED_ORIGINS": "https://a.example"}),
    *(
        ("ALLOWED_ORIGINS", {"ALLOWED_ORIGINS": f"https://a.example,{origin}"})
        for origin in (
            *("null", "*", "a.example", "https://*.a.example", "https://a.example/"),
            *("https://a.example:0", "https://a.example:65536", "https://u@a.example"),
            *("ws://a.example", "file://", "https://", "https://a b"),
        )
    ),
    *(
        ("ALLOWED_HOSTS", {"ALLOWED_HOSTS": host, "BROADCAST_TOKEN": TOKEN})
        for host in ("*", "*.example", "a.example:80", "http://a.example", "a/b", "[::1]:80")
    ),
    ("MAX_BODY_BYTES", {"MAX_BODY_BYTES": "4096"}),
    ("MAX_BRIDGE_BYTES", {"MAX_BRIDGE_BYTES": "4096"}),
    ("MAX_CONTENT_CHARS", {"MAX_CONTENT_CHARS": "400000"}),
    ("BROADCAST_TOKEN", {"WS_HOST": "0.0.0.0"}),
    ("BROADCAST_TOKEN", {"WS_HOST": "192.168.1.5"}),
    ("BROADCAST_TOKEN", {"WS_HOST": "some.example"}),
    ("BROADCAST_TOKEN", {"ALLOWED_HOSTS": "a.example"}),
    ("BROADCAST_TOKEN", {"ALLOWED_HOSTS": "a.example", "BROADCAST_TOKEN": ""}),
    ("BROADCAST_TOKEN", {"BROADCAST_TOKEN": TOKEN[:15]}),
    ("BROADCAST_TOKEN", {"BROADCAST_TOKEN": f"\xa0{TOKEN}"}),
    *(
        ("BRIDGE_ENDPOINT", {"BRIDGE_ENDPOINT": endpoint})
        for endpoint in (
            *("tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1:0"),
            *("tcp://127.0.0.1:65536", "tcp://127.0.0.1:*", "tcp://127.0.0.1:5555/", "tcp://:5555"),
            *("tcp://*:5555", "tcp://eth0;10.0.0.1:5555", "tcp://a b:5555", "tcp://u@a:5555"),
            *("tcp://999.0.0.1:5555", "tcp://::1:5555", "tcp://[::1:5555", "tcp://[1::2::3]:5555"),
            *("TCP://127.0.0.1:5555", "udp://127.0.0.1:5555", "ws://127.0.0.1:5555", "127.0.0.1:1"),
        )
    ),
    ("AUTH=off", {"AUTH": "off", "BRIDGE_ENDPOINT": "tcp://0.0.0.0:5555"}),
    ("AUTH=off", {"AUTH": "off", "BRIDGE_ENDPOINT": "tcp://[::]:5555"}),
    ("AUTH=off", {"AUTH": "off", "BRIDGE_ENDPOINT": "tcp://ws.example:5555"}),
    ("BRIDGE_ENDPOINT", {"BRIDGE_ENDPOINT": "ipc://"}),
    ("BRIDGE_ENDPOINT", {"BRIDGE_ENDPOINT": "ipc://relative.sock"}),
    ("BRIDGE_ENDPOINT", {"BRIDGE_ENDPOINT": "ipc://@abstract"}),  # no file, so no permissions
    ("BRIDGE_ENDPOINT", {"BRIDGE_ENDPOINT": "ipc://*"}),  # a random one the other cannot know
]


@pytest.mark.parametrize(("names", "variables"), REFUSED, ids=lambda v: str(v))
def test_what_would_not_work_or_open_a_door_is_refused(
    monkeypatch: pytest.MonkeyPatch, names: str, variables: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(names)):
        from_env(monkeypatch, **variables)


ACCEPTED: list[dict[str, str]] = [
    {"AUTH": "off"},
    {"AUTH": "off", "MCP_HOST": "::1", "WS_HOST": "localhost"},
    {"MCP_HOST": "0.0.0.0"},
    {"WS_HOST": "0.0.0.0", "BROADCAST_TOKEN": TOKEN},
    {"ALLOWED_HOSTS": "a.example", "BROADCAST_TOKEN": TOKEN},
    {"BRIDGE_ENDPOINT": "ipc:///run/partyline/bridge.sock"},
    {"BRIDGE_ENDPOINT": "tcp://127.0.0.1:5555", "AUTH": "off"},
    {"BRIDGE_ENDPOINT": "tcp://0.0.0.0:5555"},
    {"BRIDGE_ENDPOINT": "tcp://[fd00::1]:65535"},
    {"BRIDGE_ENDPOINT": "tcp://ws-1.example:1"},
    {"ALLOWED_ORIGINS": "https://a.example, http://b.example:8080, HTTP://[fd00::1]:8080"},
    {"ALLOWED_HOSTS": "A.example, node_1, fd00::1, 192.168.1.5", "BROADCAST_TOKEN": TOKEN},
    {"MAX_CONTENT_CHARS": "1000000", "MAX_BODY_BYTES": "6100000", "MAX_BRIDGE_BYTES": "6100000"},
]


def test_a_bridge_on_localhost_is_one_zeromq_can_bind() -> None:
    settings = load_settings(bridge_endpoint="tcp://localhost:5555")
    assert settings.bridge_endpoint == "tcp://127.0.0.1:5555"


@pytest.mark.parametrize("variables", ACCEPTED, ids=str)
def test_safe_settings_are_accepted(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    assert from_env(monkeypatch, **variables)


@pytest.mark.parametrize(
    "name",
    sorted(
        {name.upper() for name, field in Settings.model_fields.items() if field.annotation is int}
        | {"BRIDGE", "AUTH", "LOG_LEVEL", "LOG_FORMAT", "BRIDGE_ENDPOINT", "BROADCAST_TOKEN"}
    ),
)
def test_a_refusal_names_the_setting_and_not_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with pytest.raises(ConfigurationError, match=name) as refusal:
        from_env(monkeypatch, **{name: SECRET})
    assert SECRET not in str(refusal.value) + repr(refusal.value)


def test_a_refused_combination_does_not_repeat_values_either() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load_settings(auth="off", ws_host=f"{SECRET}.example", broadcast_token=SECRET)
    assert SECRET not in str(refusal.value)


def test_the_broadcast_token_is_not_printed() -> None:
    settings = load_settings(broadcast_token=TOKEN)
    assert TOKEN not in repr(settings) + str(settings) + str(settings.model_dump())


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8081"),
        ("0.0.0.0", "http://127.0.0.1:8081"),
        ("::", "http://[::1]:8081"),
        ("::1", "http://[::1]:8081"),
        ("a.example", "http://a.example:8081"),
    ],
)
def test_urls_are_those_of_this_machine(host: str, url: str) -> None:
    settings = load_settings(ws_host=host, mcp_host=host, broadcast_token=TOKEN, mcp_port=8081)
    assert settings.ws_address == settings.mcp_address == url


def test_an_unknown_word_is_named_by_its_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as problem:
        from_env(monkeypatch, AUTH="maybe")
    assert "'token' or 'off'" in str(problem.value)
