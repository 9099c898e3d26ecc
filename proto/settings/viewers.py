"""Settings of ws_node's work for viewers: connections, subscriptions, buffers, rooms."""

from typing import Literal

from pydantic import BaseModel, Field


class ViewerSettings(BaseModel):
    """Viewers: connections, buffers, rooms."""

    ws_compression: Literal["off", "deflate"] = Field(
        "off",
        description="deflate: messages are compressed for viewers that offer permessage-deflate.",
    )
    max_viewers: int = Field(
        20_000, ge=1, description="Connections of viewers to one ws_node; more get 503."
    )
    max_viewers_per_principal: int = Field(
        5_000, ge=1, description="Connections of one principal to one ws_node; more get 503."
    )
    max_subscriptions: int = Field(
        100, ge=1, le=10_000, description="Sessions that one connection may watch."
    )
    max_replays_per_principal: int = Field(
        16,
        ge=1,
        le=10_000,
        description="Viewers of one principal that read the log at once; others wait.",
    )
    max_command_bytes: int = Field(
        65_536, ge=1_024, le=1_048_576, description="Bytes of a WebSocket frame from a viewer."
    )
    max_unsent_bytes: int = Field(
        1_048_576,
        ge=65_536,
        description="Unsent bytes of one viewer; beyond, it is closed as too slow (4000).",
    )
    max_unsent_node_bytes: int = Field(
        536_870_912,
        ge=1_048_576,
        description="Unsent bytes of all viewers of a ws_node; beyond, the slowest are closed.",
    )
    max_queued_events: int = Field(
        10_000,
        ge=16,
        description="Events in the queue of ws_node; a quarter of it is reserved for messages.",
    )
    room_ring_messages: int = Field(
        1_024, ge=1, le=100_000, description="Recent messages that a room keeps for new viewers."
    )
    room_ring_bytes: int = Field(1_048_576, ge=4_096, description="Bytes of those recent messages.")
    room_linger_seconds: float = Field(
        30.0, ge=0, le=3600, description="How long a room is kept after its last viewer left."
    )
    log_poll_seconds: float = Field(
        2.0,
        ge=0.05,
        le=60,
        description="Interval at which ws_node compares its rooms with the log.",
    )
