"""Settings of where the log is stored."""

from pydantic import BaseModel, Field, SecretStr, field_validator


class StoreSettings(BaseModel):
    """Where the log is stored."""

    store: SecretStr | None = Field(
        None,
        description="A PostgreSQL database, as libpq's URL (`postgresql://user@host/database`),"
        " that several mcp_nodes may share; needs `partyline[cluster]`. Unset: SQLite in"
        " PARTYLINE_DATA_DIR.",
    )
    store_schema: str = Field(
        "partyline",
        pattern=r"^[a-z_][a-z0-9_]{0,62}$",
        description="The schema of PARTYLINE_STORE that holds the tables.",
    )

    @field_validator("store")
    @classmethod
    def _names_postgresql(cls, store: SecretStr | None) -> SecretStr | None:
        schemes = ("postgresql://", "postgres://")
        if store is not None and not store.get_secret_value().startswith(schemes):
            raise ValueError("must begin with postgresql://")
        return store
