"""Migrations: each feature declares the steps that bring its tables to a schema version.

Versions are numbered for the whole database (SQLite's ``user_version``). Released steps are never
edited, because databases in use have already run them; a change is a step of the next version.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

Step = str | Callable[[sqlite3.Connection], None]
"""A statement, or a function for what needs more than one. Runs in the migration's transaction."""

Migrations = Mapping[int, Sequence[Step]]
"""A feature's steps by schema version; versions begin at 1."""


class Schema(NamedTuple):
    """What a database needs before it can be opened.

    Attributes:
        versions: the steps of each schema version, from version 1.
        add_functions: registers the SQL functions that triggers call on a writable connection.
    """

    versions: Sequence[Sequence[Step]]
    add_functions: Callable[[sqlite3.Connection], None]


def merge_versions(features: Sequence[Migrations]) -> Sequence[Sequence[Step]]:
    """The steps of every version. Within a version, features keep the given order.

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
