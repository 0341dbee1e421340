"""What the sync service last said of each link, for `kit status`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from kit.store.migrations import sql

MIGRATIONS = (
    sql(
        "links",
        "0001_link_state",
        """
        CREATE TABLE link_state (
            name TEXT PRIMARY KEY, state TEXT NOT NULL, explain TEXT NOT NULL, lowest_priority INTEGER NOT NULL,
            last_heard_ms INTEGER, last_sent_ms INTEGER, airtime_left_ms INTEGER, updated_ms INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
    ),
    sql(
        "links",
        "0002_link_fault_and_facts",
        """
        ALTER TABLE link_state ADD COLUMN fault TEXT NOT NULL DEFAULT '';
        ALTER TABLE link_state ADD COLUMN facts TEXT NOT NULL DEFAULT '{}'
        """,
    ),
)


@dataclass(frozen=True, kw_only=True)
class LinkRow:
    """One link.

    Attributes:
        name: for example `lora`.
        state: `down`, `connecting`, `up` or `busy`.
        explain: one sentence for the technician.
        lowest_priority: the largest priority number it carries.
        last_heard_ms: when the core was last heard over it, Unix ms; None = never.
        last_sent_ms: when a frame last left by it.
        airtime_left_ms: what may still be sent in this hour; None = no limit.
        updated_ms: when the sync service said so; old means that it does not run.
        fault: what is wrong and what to do about it, "" where nothing is; a link that is merely down is not at fault.
        facts: what it is set to and what it has left, for `kit status --json`.
    """

    name: str
    state: str
    explain: str
    lowest_priority: int
    last_heard_ms: int | None
    last_sent_ms: int | None
    airtime_left_ms: int | None
    updated_ms: int
    fault: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def put_link(connection: sqlite3.Connection, row: LinkRow) -> None:
    """Replace what is said of that link, inside the caller's transaction. What was heard and sent is not forgotten."""
    values = {each.name: getattr(row, each.name) for each in fields(row)} | {"facts": json.dumps(dict(row.facts))}
    connection.execute(
        "INSERT INTO link_state (name, state, explain, lowest_priority, last_heard_ms, last_sent_ms, airtime_left_ms, "
        "updated_ms, fault, facts) VALUES (:name, :state, :explain, :lowest_priority, :last_heard_ms, :last_sent_ms, "
        ":airtime_left_ms, :updated_ms, :fault, :facts) ON CONFLICT (name) DO UPDATE SET state = excluded.state, "
        "explain = excluded.explain, lowest_priority = excluded.lowest_priority, "
        "last_heard_ms = coalesce(excluded.last_heard_ms, last_heard_ms), "
        "last_sent_ms = coalesce(excluded.last_sent_ms, last_sent_ms), "
        "airtime_left_ms = excluded.airtime_left_ms, updated_ms = excluded.updated_ms, fault = excluded.fault, "
        "facts = excluded.facts",
        values,
    )


def links(connection: sqlite3.Connection) -> list[LinkRow]:
    """Every link, by name."""
    rows = connection.execute("SELECT * FROM link_state ORDER BY name").fetchall()
    return [LinkRow(**{**{each: row[each] for each in row.keys()}, "facts": json.loads(row["facts"])}) for row in rows]  # noqa: SIM118 - a Row iterates over its values


def forget_links_except(connection: sqlite3.Connection, names: set[str]) -> None:
    """Drop what is said of links that are no longer set up."""
    for row in links(connection):
        if row.name not in names:
            connection.execute("DELETE FROM link_state WHERE name = ?", (row.name,))
