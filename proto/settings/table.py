"""The one table of settings: all themes together, and the rules between settings of several."""

import re
from typing import Final, Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from proto.hosts import is_loopback, tcp_host
from proto.origins import parse_origin
from proto.settings.access import AccessSettings
from proto.settings.agents import AgentSettings
from proto.settings.bridge import BridgeSettings
from proto.settings.nodes import NodeSettings
from proto.settings.viewers import ViewerSettings
from proto.settings.writes import WriteSettings

PREFIX: Final = "PARTYLINE_"

_FRAME_BYTES: Final = 2_048
"""Upper bound of a message's frame without content and metadata."""

_BYTES_PER_CHAR: Final = 6
"""Most bytes that JSON takes for one character (``\\u0001``)."""


class Settings(
    NodeSettings,
    AccessSettings,
    BridgeSettings,
    WriteSettings,
    AgentSettings,
    ViewerSettings,
    BaseSettings,
):
    """The settings of a node, from the environment; immutable once read."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

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
        largest = _BYTES_PER_CHAR * self.max_content_chars + self.max_metadata_bytes + _FRAME_BYTES
        if largest > min(self.max_body_bytes, self.max_bridge_bytes):
            raise ValueError(
                f"a message of {PREFIX}MAX_CONTENT_CHARS and {PREFIX}MAX_METADATA_BYTES may take"
                f" {largest} bytes: raise {PREFIX}MAX_BODY_BYTES and {PREFIX}MAX_BRIDGE_BYTES,"
                " or lower those"
            )
        return self
