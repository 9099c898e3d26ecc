"""Settings of access: who may connect, with which token, from which host and origin."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from proto.origins import is_host, parse_origin

Names = Annotated[tuple[str, ...], NoDecode]


class AccessSettings(BaseModel):
    """Access: tokens, hosts, origins."""

    auth: Literal["token", "off"] = Field(
        "token",
        description="token: every door requires a token. off: none does; on loopback only, for"
        " trying out.",
    )
    broadcast_token: SecretStr | None = Field(
        None,
        description="Bearer token that /broadcast requires. Unset: /broadcast accepts loopback"
        " callers only.",
    )
    allowed_hosts: Names = Field(
        (), description="Host names besides loopback that the nodes accept in the Host header."
    )
    allowed_origins: Names = Field(
        (),
        description="Foreign origins (scheme://host:port) whose pages may connect.",
    )
    metrics_loopback: bool = Field(
        False, description="Whether /metrics answers loopback callers without a token."
    )
    failed_token_seconds: float = Field(
        1.0,
        ge=0,
        le=60,
        description="Delay before answering a bad token from an address that fails repeatedly.",
    )

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
            raise ValueError("each must be scheme://host or scheme://host:port, and never null")
        return value
