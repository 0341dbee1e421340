"""Is this file a whole store of a kit?"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from kit.backup.archive import BackupError


def check_store(file: Path) -> None:
    """Look at every page and every index.

    Raises:
        BackupError: it is damaged, or no store of a kit.
    """
    try:
        # immutable: a copy on a read-only stick has no journal, and must get none
        connection = sqlite3.connect(f"file:{file.absolute()}?mode=ro&immutable=1", uri=True)
        try:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
            if found != ["ok"]:
                raise BackupError(f"{file} is damaged ({'; '.join(found)[:200]}); take an older one")
            row = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = '_sqlite_migrations'").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise BackupError(f"{file} is damaged or no backup at all ({error}); take an older one") from error
    if row is None:
        raise BackupError(f"{file} is sound, but it is not the store of a kit; choose a file from backups/")


def table_rows(connection: sqlite3.Connection) -> dict[str, int]:
    """How many rows each table of the kit and its apps has."""
    names = [
        str(row[0])
        for row in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
        )
    ]
    return {
        name: int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])  # noqa: S608 - names from the schema itself
        for name in names
        if not name.startswith(("sqlite_", "_"))
    }
