"""What a transfer copies is everything that is stored, in both engines."""

import asyncio
from pathlib import Path

import psycopg

from mcp_node.storage import SCHEMA
from mcp_node.transfer.catalogue import catalogue
from tests.mcp_node.transfer.deployment import running, settings_of

OWN = {"meta", "batches", "search", "search_scopes", "search_state", "search_words"}
"""Tables in PostgreSQL that are not copied. A table that holds something of the deployment must not
be added here."""


def test_a_table_comes_after_those_that_it_refers_to() -> None:
    names = [table.name for table in catalogue(SCHEMA)]
    assert names.index("sessions") < names.index("messages") < names.index("idempotency")
    assert len(names) == len(set(names))


def test_keys_are_in_the_order_of_the_primary_key() -> None:
    keys = {table.name: table.key for table in catalogue(SCHEMA)}
    assert keys["messages"] == ("id",)
    assert keys["advances"] == ("session_id", "principal", "out_of_turn", "position")
    assert keys["starts"] == ("at", "head")


def test_what_is_computed_is_not_copied() -> None:
    (messages,) = [table for table in catalogue(SCHEMA) if table.name == "messages"]
    assert messages.generated == ("audience",)
    assert "audience" not in messages.columns


async def test_both_engines_have_the_same_tables_and_columns(tmp_path: Path) -> None:
    """A table that only one engine has would be lost on the way, or cannot be copied."""
    async with running(tmp_path, "postgresql"):
        pass
    found = await asyncio.to_thread(columns_in_postgresql, tmp_path)
    assert found.pop("memory") == {"rowid", *expected().pop("memory")}
    assert {name: found[name] for name in found.keys() - OWN} == {
        name: columns for name, columns in expected().items() if name != "memory"
    }


def expected() -> dict[str, set[str]]:
    return {table.name: {*table.columns, *table.generated} for table in catalogue(SCHEMA)}


def columns_in_postgresql(data_dir: Path) -> dict[str, set[str]]:
    settings = settings_of(data_dir, "postgresql")
    assert settings.store is not None
    found: dict[str, set[str]] = {}
    with psycopg.connect(settings.store.get_secret_value()) as connection:
        for table, column in connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = %s",
            (settings.store_schema,),
        ):
            found.setdefault(table, set()).add(column)
    return found
