"""Settings of what may be written: sizes, rates, and the queue of the database."""

from pydantic import BaseModel, Field


class WriteSettings(BaseModel):
    """What may be written: sizes and rates."""

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
        16, ge=1, le=32, description="Nesting depth of a metadata object, itself included."
    )
    max_body_bytes: int = Field(
        2_097_152, ge=1_024, le=16_777_216, description="Bytes of any HTTP request body."
    )
    max_broadcast_bytes: int = Field(
        1_048_576,
        ge=1_024,
        le=16_777_216,
        description="Bytes of an event posted to /broadcast; PARTYLINE_MAX_BODY_BYTES applies too.",
    )
    writes_per_second: float = Field(
        500.0,
        ge=0,
        le=1_000_000,
        description="Writes of one principal per second; twice as many in a burst. 0, or"
        " PARTYLINE_AUTH=off: no limit.",
    )
    messages_per_minute: int = Field(
        6_000,
        ge=0,
        le=1_000_000,
        description="Messages of one principal in one session per minute; as many in a burst. A"
        " session can have its own limit. 0: no limit.",
    )
    agent_messages_without_human: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Messages of agents in a session after a person last wrote there, before"
        " further ones are refused. A session can have its own limit. 0: no limit.",
    )
    broadcasts_per_second: float = Field(
        500.0,
        ge=0,
        le=1_000_000,
        description="Events per second that one address may post to /broadcast; twice as many in a"
        " burst. Each 16 KiB of an event count as one more. All addresses together may post four"
        " times as many to each process of ws_node. 0: no limit.",
    )
    max_sessions_per_principal: int = Field(
        10_000,
        ge=1,
        description="Sessions that one principal, an admin too, may create. No limit with"
        " PARTYLINE_AUTH=off.",
    )
    max_pending_writes: int = Field(
        10_000,
        ge=1,
        description="Writes that wait for the database; more are refused with OVERLOADED.",
    )
    max_pending_write_bytes: int = Field(
        67_108_864,
        ge=1_048_576,
        description="Bytes of those writes; more are refused with OVERLOADED.",
    )
