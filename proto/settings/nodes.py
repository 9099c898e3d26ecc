"""Settings of the nodes as processes: where they keep their data, where they listen, their logs."""

import re
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import BaseModel, Field, field_validator

from proto.origins import parse_origin

Port = Annotated[int, Field(ge=0, le=65535)]


class NodeSettings(BaseModel):
    """The nodes: data, addresses, logs."""

    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("partyline", appauthor=False)),
        description="Directory of the database and the keys. It must belong to the user who runs"
        " the nodes, and must not be a symlink; its mode is set to 0700.",
    )
    key_dir: Path | None = Field(
        None,
        description="Directory of the keys that all nodes of a deployment share: signing.pub,"
        " signing.key (only where tokens are signed), bridge.key and digests.key. It may be"
        " read-only. Empty: PARTYLINE_DATA_DIR.",
    )
    mcp_host: str = Field("127.0.0.1", description="Address on which mcp_node listens.")
    mcp_port: Port = Field(
        23456,
        description="Port of mcp_node; agents connect to /mcp. 0: any free port, which is written"
        " to mcp.address in the data directory and reported at /readyz.",
    )
    ws_host: str = Field("127.0.0.1", description="Address on which ws_node listens.")
    ws_port: Port = Field(
        8081,
        description="Port of ws_node. 0: any free port, which is written to ws.address in the data"
        " directory.",
    )
    ws_workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Number of processes of ws_node, all on one port. Set it for both nodes. The"
        " limits of a ws_node are divided evenly among its processes.",
    )
    page_url: str = Field(
        "",
        description="Address of the page in links, as people open it: scheme://host[:port] and an"
        " optional path. Empty: PARTYLINE_WS_HOST and PARTYLINE_WS_PORT. Add its host to"
        " PARTYLINE_ALLOWED_HOSTS, and its origin to PARTYLINE_ALLOWED_ORIGINS if a proxy changes"
        " scheme or port.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest level of log lines that are written."
    )
    log_format: Literal["text", "json"] = Field("text", description="Format of log lines.")

    @field_validator("data_dir", "key_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        try:
            return value and value.expanduser().absolute()
        except RuntimeError:
            raise ValueError("there is no such user's home directory") from None

    @field_validator("page_url")
    @classmethod
    def _page(cls, value: str) -> str:
        found = re.fullmatch(r"([a-z]+://[^/?#]+)(/[A-Za-z0-9._~/-]*)?", value)
        if value and (found is None or parse_origin(found[1]) is None):
            raise ValueError("must be http(s)://host[:port] with an optional path")
        return value

    @property
    def mcp_address(self) -> str:
        """URL of mcp_node, as seen from this machine; it contains port 0 if that is configured."""
        return node_url(self.mcp_host, self.mcp_port)

    @property
    def ws_address(self) -> str:
        """URL of ws_node, as seen from this machine; it contains port 0 if that is configured."""
        return node_url(self.ws_host, self.ws_port)

    @property
    def page(self) -> str:
        """URL of the page, as people open it; it ends with a slash."""
        address = self.page_url or self.ws_address
        return address if address.endswith("/") else f"{address}/"


def node_url(host: str, port: int) -> str:
    """URL of a node that listens on ``host``, as seen from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
