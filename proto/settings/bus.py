"""Settings of the bus: NATS between the nodes of several machines."""

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr, field_validator

from proto.nats_servers import parse_nats_servers
from proto.subjects import is_deployment


class BusSettings(BaseModel):
    """The bus (NATS)."""

    nats_url: SecretStr | None = Field(
        None,
        description="For PARTYLINE_BRIDGE=nats: addresses of nats-server, separated by commas,"
        " nats://HOST[:PORT], or with USER:PASSWORD@ or TOKEN@ before the host; tls:// instead of"
        " nats:// refuses servers without TLS.",
    )
    nats_deployment: str = Field(
        "default",
        description="Name of this deployment in the subjects of NATS, the same for all its nodes:"
        " letters, digits, _ and -.",
    )
    nats_nkey_file: Path | None = Field(
        None,
        description="Seed of the nkey with which this node proves itself to nats-server. Unset:"
        " nats-mcp.key or nats-ws.key in the data directory, unless PARTYLINE_NATS_URL has a"
        " password or token, or one of the next two is set.",
    )
    nats_credentials: Path | None = Field(
        None,
        description="Credentials file (.creds: a JWT and its seed) of a NATS user, instead of an"
        " nkey alone.",
    )
    nats_cert_file: Path | None = Field(
        None, description="Client certificate (PEM) for nats-server; it requires TLS."
    )
    nats_key_file: Path | None = Field(
        None, description="Key (PEM) of that certificate. Unset: in the same file."
    )

    @field_validator("nats_url")
    @classmethod
    def _servers(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_nats_servers(value.get_secret_value())
        return value

    @field_validator("nats_deployment")
    @classmethod
    def _deployment(cls, value: str) -> str:
        if not is_deployment(value):
            raise ValueError("must be 1 to 64 letters, digits, underscores or hyphens")
        return value
