"""Settings of what goes between the nodes: messages over the bridge, and requests."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from proto.hosts import tcp_host
from proto.origins import parse_origin


class BridgeSettings(BaseModel):
    """Between the nodes."""

    bridge: Literal["zmq", "http"] = Field(
        "zmq",
        description="How mcp_node sends messages to ws_node: over ZeroMQ, or as HTTP requests.",
    )
    bridge_endpoint: str = Field(
        "",
        description="ZeroMQ endpoint: ipc:// and an absolute path, or tcp://HOST:PORT (always"
        " encrypted, and only for listed keys). Empty: bridge.sock in the data directory. Worker N"
        " of ws_node uses bridge-N.sock, or the port N above.",
    )
    mcp_url: str = Field(
        "",
        description="For ws_node: address of an mcp_node on another machine, https://HOST[:PORT] or"
        " http://HOST[:PORT] (signed, but not encrypted). Empty: mcp.sock in the data directory.",
    )
    ws_url: str = Field(
        "",
        description="For mcp_node with PARTYLINE_BRIDGE=http: address of a ws_node on another"
        " machine, in the form of PARTYLINE_MCP_URL. Empty: ws.sock in the data directory.",
    )
    ca_file: Path | None = Field(
        None,
        description="Certificates (PEM) to trust when the other node's address is https://. Unset:"
        " those of the system.",
    )
    signed_requests: bool = Field(
        False,
        description="Whether this node accepts requests on its port from a node on another"
        " machine, each signed with bridge.key.",
    )
    max_bridge_bytes: int = Field(
        2_097_152, ge=1_024, le=16_777_216, description="Bytes of one bridge message."
    )
    bridge_hwm: int = Field(
        1_000,
        ge=1,
        le=100_000,
        description="Messages that ZeroMQ queues on each side (its high-water mark).",
    )
    bridge_backlog_bytes: int = Field(
        16_777_216,
        ge=1_048_576,
        description="Bytes that the publisher queues while the bridge is slow; messages beyond"
        " that are dropped, and ws_node reads them from the log.",
    )

    @field_validator("mcp_url", "ws_url")
    @classmethod
    def _other_node(cls, value: str) -> str:
        value = value.removesuffix("/")
        if value and parse_origin(value) is None:
            raise ValueError("must be https://HOST[:PORT] or http://HOST[:PORT]")
        return value.lower()

    @field_validator("bridge_endpoint")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        if value and not value.startswith("ipc:///") and not tcp_host(value):
            raise ValueError("must be ipc:// and an absolute path, or tcp://HOST:PORT")
        # ZeroMQ binds addresses and interfaces only.
        return value.replace("tcp://localhost:", "tcp://127.0.0.1:")
