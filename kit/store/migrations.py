"""Schema changes as small recorded functions.

sqlite-utils runs and records them (table `_sqlite_migrations`); it is imported only when something is pending,
because it costs 0.2 s that `kit status` does not have.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlite_utils


@dataclass(frozen=True)
class Migration:
    """One step of the schema.

    Attributes:
        part: whose tables these are: "readings", "records", an app's name…
        name: recorded once applied; never rename one, never change one that has shipped: add the next.
        apply: gets a `sqlite_utils.Database` inside a transaction.
    """

    part: str
    name: str
    apply: Callable[[sqlite_utils.Database], None]


def sql(part: str, name: str, script: str) -> Migration:
    """A migration that is plain SQL statements, separated by semicolons."""
    statements = [statement.strip() for statement in script.split(";") if statement.strip()]

    def apply(db: sqlite_utils.Database) -> None:
        # not executescript(): that would commit the transaction which also records the migration
        for statement in statements:
            db.execute(statement)

    return Migration(part, name, apply)


FLASH_PAGE_BYTES = 1024
"""SQLite's default is 4096, and every page that a commit touches is written whole. A reading that is a commit of its
own touches eight: 12 kB instead of 31 reach the card (`benchmarks/bench_wear.py`)."""


def migrate(file: Path, migrations: Sequence[Migration], *, page_bytes: int = FLASH_PAGE_BYTES) -> None:
    """Apply what is pending, in order, each in its own transaction. Safe to call from several processes at once.

    Args:
        file: the SQLite file; made if it is missing.
        migrations: all of them.
        page_bytes: of a file that is made; one that is there keeps its own.
    """
    if not _pending(file, migrations):
        return
    with _one_at_a_time(file):
        pending = _pending(file, migrations)
        if not pending:
            return
        _apply(file, pending, page_bytes)


def applied(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """(part, name) of what a store has; empty where it does not say.

    Raises:
        sqlite3.DatabaseError: it cannot be read.
    """
    there = connection.execute("SELECT 1 FROM main.sqlite_schema WHERE name = '_sqlite_migrations'").fetchone()
    rows = connection.execute("SELECT migration_set, name FROM main._sqlite_migrations") if there else ()
    return {(str(part), str(name)) for part, name in rows}


def _apply(file: Path, pending: Sequence[Migration], page_bytes: int) -> None:
    import sqlite_utils

    connection = sqlite3.connect(file, isolation_level=None, timeout=30.0)
    try:
        connection.execute(f"PRAGMA page_size={page_bytes}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        db = sqlite_utils.Database(connection)
        for migration in pending:
            migration_set = sqlite_utils.Migrations(migration.part)
            migration_set(name=migration.name)(migration.apply)
            migration_set.apply(db)
    finally:
        connection.close()


def _pending(file: Path, migrations: Sequence[Migration]) -> list[Migration]:
    if not file.exists():
        return list(migrations)
    connection = sqlite3.connect(file, timeout=30.0)
    try:
        rows = connection.execute("SELECT migration_set, name FROM _sqlite_migrations").fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise  # a full or failing disk says nothing of the schema
        return list(migrations)
    finally:
        connection.close()
    applied = set(rows)
    return [migration for migration in migrations if (migration.part, migration.name) not in applied]


@contextmanager
def _one_at_a_time(file: Path) -> Iterator[None]:
    with file.with_suffix(".migrating").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
