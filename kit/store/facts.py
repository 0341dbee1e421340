"""Facts: the latest thing a part of the kit has to say, under a name, as JSON; and versions of what pages show.

Apps never import each other; one *puts* a fact (`forecast/frost`), another *gets* it. `changes` counts how often each
subject was changed, so that a page read by many is rendered once per change instead of once per request.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from kit.store.migrations import sql

MIGRATIONS = (
    sql(
        "facts",
        "0001_facts_and_changes",
        """
        CREATE TABLE facts (name TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE changes (subject TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID
        """,
    ),
)


def put_fact(connection: sqlite3.Connection, name: str, value: dict[str, Any], *, at_ms: int) -> None:
    """Replace the fact and count the change, inside the caller's transaction."""
    connection.execute(
        "INSERT INTO facts VALUES (?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET at_ms = excluded.at_ms, value = excluded.value",
        (name, at_ms, json.dumps(value)),
    )
    count_change(connection, name)


def get_fact(connection: sqlite3.Connection, name: str) -> tuple[int, dict[str, Any]] | None:
    """The fact with the time (Unix ms) it was put at, or None."""
    row = connection.execute("SELECT at_ms, value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if row is None else (int(row[0]), json.loads(row[1]))


def count_change(connection: sqlite3.Connection, subject: str) -> None:
    """Say, inside the caller's transaction, that what pages show about `subject` has changed."""
    connection.execute(
        "INSERT INTO changes VALUES (?, 1) ON CONFLICT (subject) DO UPDATE SET version = version + 1", (subject,)
    )


def change_versions(connection: sqlite3.Connection, subjects: Iterable[str]) -> tuple[int, ...]:
    """The versions of these subjects, in order; 0 for one that never changed."""
    versions = dict(connection.execute("SELECT subject, version FROM changes").fetchall())
    return tuple(int(versions.get(subject, 0)) for subject in subjects)
