"""Migrations of the database: each feature has its own, by the schema version they make.

The versions are numbered for the whole database (SQLite's ``user_version``). Statements that were
released are never edited: a change is a step of the next version.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mcp_node.log.sql import Connection

Step = str | Callable[[Connection], None]
"""A statement, or what takes more than one: it runs in the migration's transaction."""

Migrations = Mapping[int, Sequence[Step]]
"""A feature's steps by schema version, from 1."""


class Schema(NamedTuple):
    """What a database needs before it can be opened.

    Attributes:
        versions: the steps of each schema version, from version 1.
        equip: gives a writable connection the SQL functions that triggers call.
    """

    versions: Sequence[Sequence[Step]]
    equip: Callable[[Connection], None]


def in_order(features: Sequence[Migrations]) -> Sequence[Sequence[Step]]:
    """The steps of every version: within one, the features' in the order given.

    Raises:
        ValueError: a version below the latest has no steps.
    """
    latest = max(max(migrations) for migrations in features)
    versions = [
        tuple(step for migrations in features for step in migrations.get(version, ()))
        for version in range(1, latest + 1)
    ]
    if not all(versions):
        raise ValueError("a schema version has no steps")
    return versions
