"""Settings of what agents use: tools, MCP sessions, waits, searches, memory, links."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode

from proto.toolsets import Toolset


class AgentSettings(BaseModel):
    """Agents: tools, waiting, MCP sessions, subscriptions, searches, memory, links."""

    toolsets: Annotated[tuple[Toolset, ...], NoDecode] = Field(
        ("core",),
        min_length=1,
        description="Sets of tools that an agent is shown if neither its address"
        " (`/mcp?tools=core,memory`) nor its token names any: of core, memory, coordination,"
        " moderation.",
    )
    max_waits_per_principal: int = Field(
        200,
        ge=1,
        le=100_000,
        description="Open calls of wait_for_messages of one principal. No limit with"
        " PARTYLINE_AUTH=off.",
    )
    max_mcp_sessions: int = Field(
        5_000,
        ge=1,
        le=10_000,
        description="Open MCP sessions of clients older than protocol 2026-07-28, of all"
        " principals together.",
    )
    max_mcp_sessions_per_principal: int = Field(
        200,
        ge=1,
        le=10_000,
        description="Open MCP sessions of such clients of one principal; more get 429. No limit"
        " with PARTYLINE_AUTH=off.",
    )
    mcp_session_idle_seconds: float = Field(
        1_800.0,
        ge=1,
        le=86_400,
        description="Time after which such an MCP session ends if no request of it is open.",
    )
    max_resource_subscriptions: int = Field(
        10_000, ge=1, description="MCP resource subscriptions of all principals together."
    )
    max_resource_subscriptions_per_principal: int = Field(
        1_000, ge=1, description="MCP resource subscriptions of one principal."
    )
    max_searches_per_principal: int = Field(
        4,
        ge=1,
        le=1_000,
        description="Searches of one principal at once; more are refused with RATE_LIMITED. No"
        " limit with PARTYLINE_AUTH=off.",
    )
    max_memory_value_bytes: int = Field(
        65_536, ge=2, le=1_048_576, description="Bytes of one value in an agent's memory, as JSON."
    )
    max_memory_entries_per_principal: int = Field(
        1_000,
        ge=1,
        le=10_000,
        description="Keys in one principal's memory; expired ones do not count.",
    )
    max_memory_bytes_per_principal: int = Field(
        1_048_576,
        ge=2,
        le=67_108_864,
        description="Bytes of all values in one principal's memory, as JSON.",
    )
    max_links_per_principal: int = Field(
        20, ge=1, le=10_000, description="Valid live links of one principal at a time."
    )

    @field_validator("toolsets", mode="before")
    @classmethod
    def _split_toolsets(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
