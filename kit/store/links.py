"""What a technician is told about each link, as the sync service last saw it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from kit.store.migrations import sql

MIGRATIONS = (
    sql(
        "links",
        "0001_link_state",
        """
        CREATE TABLE link_state (
            name TEXT PRIMARY KEY, state TEXT NOT NULL, explain TEXT NOT NULL,
            last_heard_ms INTEGER, last_sent_ms INTEGER, at_ms INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
    ),
)


@dataclass(frozen=True, kw_only=True)
class LinkRow:
    """One link.

    Attributes:
        name: `lora`, `cellular`…
        state: `down`, `connecting`, `up` or `busy`.
        explain: why, in a sentence.
        last_heard_ms: when an authentic frame of the core last came in by it, Unix ms.
        last_sent_ms: when a frame was last handed to it.
        at_ms: when the sync service saw this.
    """

    name: str
    state: str
    explain: str
    last_heard_ms: int | None
    last_sent_ms: int | None
    at_ms: int


def put_link(connection: sqlite3.Connection, row: LinkRow) -> None:
    """Replace what is told about that link, inside the caller's transaction."""
    connection.execute(
        "INSERT INTO link_state VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET state = excluded.state, "
        "explain = excluded.explain, last_heard_ms = coalesce(excluded.last_heard_ms, last_heard_ms), "
        "last_sent_ms = coalesce(excluded.last_sent_ms, last_sent_ms), at_ms = excluded.at_ms",
        (row.name, row.state, row.explain, row.last_heard_ms, row.last_sent_ms, row.at_ms),
    )


def list_links(connection: sqlite3.Connection) -> list[LinkRow]:
    """All links ever used by this unit, by name."""
    rows = connection.execute(
        "SELECT name, state, explain, last_heard_ms, last_sent_ms, at_ms FROM link_state ORDER BY name"
    )
    return [
        LinkRow(name=row[0], state=row[1], explain=row[2], last_heard_ms=row[3], last_sent_ms=row[4], at_ms=row[5])
        for row in rows
    ]


def drop_links_except(connection: sqlite3.Connection, names: tuple[str, ...]) -> None:
    """Forget links that are no longer set up."""
    for row in list_links(connection):
        if row.name not in names:
            connection.execute("DELETE FROM link_state WHERE name = ?", (row.name,))
