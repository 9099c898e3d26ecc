"""Every setting of both nodes, once: name, default, meaning. Environment prefix ``PARTYLINE_``.

``docs/settings.md`` is checked against this table. honcho sets ``PORT`` for each process it
starts; it is not read.
"""

import ipaddress
import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from proto.errors import ConfigurationError
from proto.origins import is_host, parse_authority, parse_origin

PREFIX = "PARTYLINE_"

TOKEN_VARIABLE = "PARTYLINE_TOKEN"
"""Where clients keep their token; the only variable with the prefix that is no setting."""

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

Port = Annotated[int, Field(ge=0, le=65535)]
Names = Annotated[tuple[str, ...], NoDecode]

_FRAME_BYTES = 2_048
"""What a message's frame holds besides its content (6 bytes a character at worst) and metadata."""


def is_loopback(host: str) -> bool:
    """Whether a bind host or a peer's address is this machine alone."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # A socket bound to :: names its IPv4 peers ::ffff:127.0.0.1, which Python 3.11 takes as is.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def tcp_host(endpoint: str) -> str | None:
    """The host of ``tcp://HOST:PORT``, without brackets; None if it is anything else.

    Wildcards are no hosts: who means every address writes ``0.0.0.0`` or ``[::]``.
    """
    scheme, _, rest = endpoint.partition("://")
    authority = parse_authority(rest) if scheme == "tcp" else None
    if authority is None or authority[1] is None:
        return None
    host = authority[0]
    if ":" in host or not host.strip("0123456789."):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return None
    return host


class Settings(BaseSettings):
    """The settings of a node, from the environment; immutable once read."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("partyline", appauthor=False)),
        description="Directory of the database and the keys; mode 0700, own user, no symlink.",
    )
    mcp_host: str = Field("127.0.0.1", description="Address the MCP node listens on.")
    mcp_port: Port = Field(
        23456,
        description="Port of the MCP node; agents connect to /mcp. 0: any free port, told in"
        " mcp.address in the data directory and in /readyz.",
    )
    ws_host: str = Field("127.0.0.1", description="Address the WebSocket node listens on.")
    ws_port: Port = Field(
        8081, description="Port of the WebSocket node. 0: any free port, told in ws.address."
    )
    ws_workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes of the WebSocket node, on one port; both nodes must know it. They"
        " share out the limits of a ws_node evenly.",
    )
    ws_compression: Literal["off", "deflate"] = Field(
        "off",
        description="deflate: viewers that offer permessage-deflate get compressed messages.",
    )
    bridge: Literal["zmq", "http"] = Field(
        "zmq", description="How messages cross to ws_node: ZeroMQ, or plain HTTP posts."
    )
    bridge_endpoint: str = Field(
        "",
        description="ZeroMQ endpoint: ipc:// and an absolute path, or tcp://HOST:PORT (always"
        " encrypted, for listed keys only); empty: bridge.sock in the data directory."
        " Worker N of ws_node: bridge-N.sock, or the port N above.",
    )
    mcp_url: str = Field(
        "",
        description="For ws_node: where the mcp_node of another machine answers,"
        " https://HOST[:PORT], or http://HOST[:PORT] (signed, but readable on the way). Empty:"
        " mcp.sock in the data directory.",
    )
    ws_url: str = Field(
        "",
        description="For mcp_node with PARTYLINE_BRIDGE=http: where the ws_node of another machine"
        " answers, written as PARTYLINE_MCP_URL. Empty: ws.sock in the data directory.",
    )
    ca_file: Path | None = Field(
        None,
        description="Certificates (PEM) to trust for an https:// address of the other node; unset:"
        " the system's.",
    )
    signed_requests: bool = Field(
        False,
        description="Whether this node's port answers the node of another machine, each request"
        " signed with bridge.key.",
    )
    auth: Literal["token", "off"] = Field(
        "token", description="token: every door wants one; off: loopback only, for trying out."
    )
    broadcast_token: SecretStr | None = Field(
        None,
        description="Bearer token /broadcast wants; unset: it takes loopback callers only.",
    )
    allowed_hosts: Names = Field(
        (), description="Comma-separated host names besides loopback that the nodes answer to."
    )
    allowed_origins: Names = Field(
        (), description="Comma-separated foreign origins (scheme://host:port) that may connect."
    )
    page_url: str = Field(
        "",
        description="Address under which people open the page, in links: scheme://host[:port] and"
        " perhaps a path; empty: PARTYLINE_WS_HOST and PARTYLINE_WS_PORT. Its host belongs in"
        " PARTYLINE_ALLOWED_HOSTS, and its origin in PARTYLINE_ALLOWED_ORIGINS if a proxy changes"
        " scheme or port.",
    )
    metrics_loopback: bool = Field(
        False, description="Whether /metrics takes loopback callers without a token."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="The least level of log lines."
    )
    log_format: Literal["text", "json"] = Field("text", description="Form of log lines.")

    max_content_chars: int = Field(
        100_000, ge=1, le=1_000_000, description="Characters in a message."
    )
    max_purpose_chars: int = Field(
        2_000, ge=1, le=100_000, description="Characters in a session's purpose."
    )
    max_metadata_bytes: int = Field(
        16_384, ge=2, le=1_048_576, description="Bytes of a metadata object as JSON."
    )
    max_metadata_depth: int = Field(
        16, ge=1, le=32, description="Nesting of a metadata object, itself included."
    )
    max_body_bytes: int = Field(
        2_097_152, ge=1_024, le=16_777_216, description="Bytes of any HTTP request body."
    )
    max_broadcast_bytes: int = Field(
        1_048_576,
        ge=1_024,
        le=16_777_216,
        description="Bytes of an event posted to /broadcast, within PARTYLINE_MAX_BODY_BYTES.",
    )
    max_bridge_bytes: int = Field(
        2_097_152, ge=1_024, le=16_777_216, description="Bytes of one bridge message."
    )
    max_command_bytes: int = Field(
        65_536, ge=1_024, le=1_048_576, description="Bytes of a WebSocket frame from a viewer."
    )
    max_unsent_bytes: int = Field(
        1_048_576,
        ge=65_536,
        description="Bytes waiting for one viewer before it is closed as too slow (4000).",
    )
    max_viewers: int = Field(
        20_000, ge=1, description="WebSocket connections of one ws_node; more get 503."
    )
    max_viewers_per_principal: int = Field(
        5_000, ge=1, description="Connections of one principal to one ws_node; more get 503."
    )
    max_replays_per_principal: int = Field(
        16,
        ge=1,
        le=10_000,
        description="Viewers of one principal that read the log at once; more wait their turn.",
    )
    max_waits_per_principal: int = Field(
        200,
        ge=1,
        le=100_000,
        description="Calls of wait_for_messages that one principal has open; no limit with"
        " PARTYLINE_AUTH=off.",
    )
    max_mcp_sessions: int = Field(
        5_000,
        ge=1,
        le=10_000,
        description="Open MCP sessions of clients before 2026-07-28, of everybody together.",
    )
    max_mcp_sessions_per_principal: int = Field(
        200,
        ge=1,
        le=10_000,
        description="Such sessions of one principal; more get 429. No limit with"
        " PARTYLINE_AUTH=off.",
    )
    mcp_session_idle_seconds: float = Field(
        1_800.0,
        ge=1,
        le=86_400,
        description="How long such a session may have no request under way before it ends.",
    )
    max_subscriptions: int = Field(
        100, ge=1, le=10_000, description="Sessions one viewer may watch over one connection."
    )
    max_resource_subscriptions: int = Field(
        10_000, ge=1, description="Resources subscribed to over MCP by everybody together."
    )
    max_resource_subscriptions_per_principal: int = Field(
        1_000, ge=1, description="Resources one principal may be subscribed to over MCP at once."
    )
    max_unsent_node_bytes: int = Field(
        536_870_912,
        ge=1_048_576,
        description="Bytes waiting for all viewers of a ws_node; beyond, the slowest are closed.",
    )
    failed_token_seconds: float = Field(
        1.0,
        ge=0,
        le=60,
        description="Delay before answering a bad token from an address that fails repeatedly.",
    )
    writes_per_second: float = Field(
        500.0,
        ge=0,
        le=1_000_000,
        description="Writes of one principal a second, twice that at once; no limit if 0, or with"
        " PARTYLINE_AUTH=off.",
    )
    broadcasts_per_second: float = Field(
        500.0,
        ge=0,
        le=1_000_000,
        description="Events that one address may post to /broadcast a second, twice that at once;"
        " 16 KiB of an event count as one more. From all together a process of ws_node takes four"
        " times as many. 0: no limit.",
    )
    messages_per_minute: int = Field(
        6_000,
        ge=0,
        le=1_000_000,
        description="Messages of one principal in one session a minute, as many at once; a session"
        " can have a limit of its own. 0: no limit.",
    )
    agent_messages_without_human: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Messages in a session since a person last spoke there, before agents are"
        " stopped; a session can have a limit of its own. 0: no limit.",
    )
    max_sessions_per_principal: int = Field(
        10_000,
        ge=1,
        description="Sessions one principal may have made, admins too; no limit with"
        " PARTYLINE_AUTH=off.",
    )
    max_memory_value_bytes: int = Field(
        65_536, ge=2, le=1_048_576, description="Bytes of one value in an agent's memory, as JSON."
    )
    max_memory_entries_per_principal: int = Field(
        1_000, ge=1, le=10_000, description="Keys in one principal's memory; expired ones are free."
    )
    max_memory_bytes_per_principal: int = Field(
        1_048_576,
        ge=2,
        le=67_108_864,
        description="Bytes of the values in one principal's memory, as JSON.",
    )
    max_links_per_principal: int = Field(
        20, ge=1, le=10_000, description="Live links of one principal that work at a time."
    )
    max_searches_per_principal: int = Field(
        4,
        ge=1,
        le=1_000,
        description="Searches of one principal at once; more get RATE_LIMITED. No limit with"
        " PARTYLINE_AUTH=off.",
    )
    max_pending_writes: int = Field(
        10_000, ge=1, description="Writes waiting for the database before OVERLOADED."
    )
    max_pending_write_bytes: int = Field(
        67_108_864, ge=1_048_576, description="Bytes of those writes before OVERLOADED."
    )
    bridge_hwm: int = Field(
        1_000, ge=1, le=100_000, description="Messages ZeroMQ holds on each side (HWM)."
    )
    bridge_backlog_bytes: int = Field(
        16_777_216,
        ge=1_048_576,
        description="Bytes the publisher holds when the bridge is slow; more is dropped.",
    )
    max_queued_events: int = Field(
        10_000, ge=16, description="Events in ws_node's queue; a quarter is kept for messages."
    )
    room_ring_messages: int = Field(
        1_024, ge=1, le=100_000, description="Recent messages a room keeps for joining viewers."
    )
    room_ring_bytes: int = Field(1_048_576, ge=4_096, description="Bytes of those recent messages.")
    room_linger_seconds: float = Field(
        30.0, ge=0, le=3600, description="How long a room is followed after its last viewer."
    )
    log_poll_seconds: float = Field(
        2.0,
        ge=0.05,
        le=60,
        description="How often ws_node compares its rooms with the log.",
    )

    @field_validator("page_url")
    @classmethod
    def _page(cls, value: str) -> str:
        found = re.fullmatch(r"([a-z]+://[^/?#]+)(/[A-Za-z0-9._~/-]*)?", value)
        if value and (found is None or parse_origin(found[1]) is None):
            raise ValueError("must be http(s)://host[:port] and perhaps a path")
        return value

    @field_validator("mcp_url", "ws_url")
    @classmethod
    def _other_node(cls, value: str) -> str:
        value = value.removesuffix("/")
        if value and parse_origin(value) is None:
            raise ValueError("must be https://HOST[:PORT] or http://HOST[:PORT]")
        return value.lower()

    @field_validator("allowed_hosts", "allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(is_host, value)):
            raise ValueError("each must be a host name or address, without scheme or port")
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(parse_origin, value)):
            raise ValueError("each must be scheme://host or scheme://host:port; null never is one")
        return value

    @field_validator("bridge_endpoint")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        if value and not value.startswith("ipc:///") and not tcp_host(value):
            raise ValueError("must be ipc:// and an absolute path, or tcp://HOST:PORT")
        # ZeroMQ binds addresses and interfaces only.
        return value.replace("tcp://localhost:", "tcp://127.0.0.1:")

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        try:
            return value.expanduser().absolute()
        except RuntimeError:
            raise ValueError("there is no such user's home directory") from None

    @model_validator(mode="after")
    def _refuse_open_doors(self) -> Self:
        hosts = [self.mcp_host, self.ws_host, tcp_host(self.bridge_endpoint) or "127.0.0.1"]
        hosts += [other[1] for url in (self.mcp_url, self.ws_url) if (other := parse_origin(url))]
        exposed = [host for host in hosts if not is_loopback(host)]
        if self.auth == "off" and (exposed or self.allowed_hosts):
            raise ValueError("PARTYLINE_AUTH=off works on loopback addresses and names only")
        if self.auth == "off" and self.allowed_origins:
            raise ValueError(
                "PARTYLINE_AUTH=off would open every room to the pages of PARTYLINE_ALLOWED_ORIGINS"
            )
        if not self.broadcast_token and (not is_loopback(self.ws_host) or self.allowed_hosts):
            raise ValueError(
                "a PARTYLINE_WS_HOST beyond loopback and PARTYLINE_ALLOWED_HOSTS need"
                " PARTYLINE_BROADCAST_TOKEN, a secret of your choice (16 characters or more)"
            )
        token = self.broadcast_token and self.broadcast_token.get_secret_value()
        if token and not re.fullmatch(r"[\x21-\x7e][\x20-\x7e]{14,}[\x21-\x7e]", token):
            raise ValueError(
                "PARTYLINE_BROADCAST_TOKEN must have at least 16 characters, all of them ASCII,"
                " and no blank at either end"
            )
        return self

    @model_validator(mode="after")
    def _messages_fit(self) -> Self:
        largest = 6 * self.max_content_chars + self.max_metadata_bytes + _FRAME_BYTES
        if largest > min(self.max_body_bytes, self.max_bridge_bytes):
            raise ValueError(
                f"a message of {PREFIX}MAX_CONTENT_CHARS and {PREFIX}MAX_METADATA_BYTES may take"
                f" {largest} bytes: raise {PREFIX}MAX_BODY_BYTES and {PREFIX}MAX_BRIDGE_BYTES,"
                " or lower those"
            )
        return self

    @property
    def mcp_address(self) -> str:
        """Where mcp_node answers, as seen from this machine; port 0 is not known here."""
        return node_url(self.mcp_host, self.mcp_port)

    @property
    def ws_address(self) -> str:
        """Where ws_node answers HTTP, as seen from this machine; port 0 is not known here."""
        return node_url(self.ws_host, self.ws_port)

    @property
    def page(self) -> str:
        """The page's address, as people open it."""
        address = self.page_url or self.ws_address
        return address if address.endswith("/") else f"{address}/"


def load_settings(**overrides: Any) -> Settings:
    """The settings from the environment, with ``overrides`` on top.

    Raises:
        ConfigurationError: a variable with the prefix is no setting, a value is out of its bounds,
            or the combination would open a door.
    """
    if unknown := unknown_variables(os.environ):
        raise ConfigurationError(f"settings: {'; '.join(unknown)}")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = "; ".join(
            (f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" if e["loc"] else e["msg"])
            for e in error.errors(include_url=False, include_input=False)
        )
        raise ConfigurationError(f"settings: {problems}") from None


def unknown_variables(names: Iterable[str]) -> list[str]:
    """One sentence for each name that has the prefix but is no setting.

    A misspelled setting would otherwise be ignored without a word.

    Args:
        names: of environment variables; upper and lower case are the same, as for settings.
    """
    known = {name.upper() for name in Settings.model_fields}
    known.add(TOKEN_VARIABLE.removeprefix(PREFIX))
    ours = (name for name in sorted(names) if name.upper().startswith(PREFIX))
    return [_unknown(name, known) for name in ours if name.upper()[len(PREFIX) :] not in known]


def _unknown(name: str, known: Iterable[str]) -> str:
    # Without the prefix, which would make every two names alike.
    nearest = get_close_matches(name.upper()[len(PREFIX) :], known, n=1)
    hint = f"did you mean {PREFIX}{nearest[0]}?" if nearest else "docs/settings.md lists them"
    return f"{ascii(name)[1:-1]} is not a setting; {hint}"


def node_url(host: str, port: int) -> str:
    """The address of a node that listens on ``host``, as seen from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
