"""A store without its large tables: what a unit needs at once when its own is damaged.

It stands first in a backup, so that a unit is up with it within seconds, however long the rest takes to unpack. It is a
whole store of the same schema: only the rows of the large tables are missing.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from kit.store.disk_room import HeldRoom
from kit.store.pouring import LARGE

SMALL = "small.db"
"""Its name in a backup."""


def write_small(source: Path, target: Path) -> None:
    """Copy everything but the rows of the large tables.

    Args:
        source: a sound store, which nobody writes to.
        target: is made.

    Raises:
        sqlite3.Error: it cannot be read or written.
    """
    connection = sqlite3.connect(target, isolation_level=None)
    try:
        connection.execute("ATTACH DATABASE ? AS whole", (f"file:{source}?mode=ro&immutable=1",))
        (page_bytes,) = connection.execute("PRAGMA whole.page_size").fetchone()
        connection.execute(f"PRAGMA main.page_size={int(page_bytes)}")
        connection.execute("PRAGMA synchronous=OFF")  # thrown away after a crash
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("BEGIN")
        entries = connection.execute("SELECT type, name, sql FROM whole.sqlite_schema ORDER BY rowid").fetchall()
        tables = [(name, sql) for kind, name, sql in entries if kind == "table" and not name.startswith("sqlite_")]
        for name, sql in tables:
            # a virtual table has made some of its own already
            if connection.execute("SELECT 1 FROM main.sqlite_schema WHERE name = ?", (name,)).fetchone() is None:
                connection.execute(sql)
        for name, sql in tables:
            if name not in (*LARGE, HeldRoom.TABLE) and not sql.upper().startswith("CREATE VIRTUAL"):
                _copy(connection, name)
        if any(name == "sqlite_sequence" for _, name, _ in entries):
            _copy(connection, "sqlite_sequence")
        for kind, _, sql in entries:
            if kind != "table" and sql:
                connection.execute(sql)
        connection.execute("COMMIT")
    finally:
        connection.close()


def _copy(connection: sqlite3.Connection, table: str) -> None:
    connection.execute(f'DELETE FROM main."{table}"')  # noqa: S608 - names from the schema
    connection.execute(f'INSERT INTO main."{table}" SELECT * FROM whole."{table}"')  # noqa: S608 - the same
