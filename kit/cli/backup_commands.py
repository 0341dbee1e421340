"""`kit backup` and `kit restore --verify`: a copy of the store while the unit runs, and the proof that it is good.

A backup is made with SQLite's own backup API, so it is one consistent moment however busy the unit is. It becomes
visible under its name only when it is whole, checked and on the disk. Keys are not in it: they stay on this unit.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kit.cli.output import print_json
from kit.cli.unit import reading_store, unit_of
from kit.errors import KitError, UsageError
from kit.home import explain_home_error

PAGES_AT_ONCE = 2_000
"""8 MB: the writers of a running unit get the store between two bites."""


def add_backup(parser: argparse.ArgumentParser) -> None:
    """`kit backup`."""
    parser.set_defaults(run=backup)


def add_restore(parser: argparse.ArgumentParser) -> None:
    """`kit restore --verify FILE`."""
    parser.add_argument("--verify", metavar="FILE", type=Path, help="prove that this backup can be restored")
    parser.set_defaults(run=restore)


def backup(arguments: argparse.Namespace) -> int:
    """Copy the store to `backups/`, checked and on the disk."""
    unit = unit_of(arguments)
    stamp = datetime.fromtimestamp(unit.clock.now(), UTC).strftime("%Y%m%dT%H%M%SZ")
    file = unit.home.backups / f"kit-{stamp}.db"
    try:
        with reading_store(unit) as database:
            unit.home.backups.mkdir(exist_ok=True)
            copy_store(database.connection, file)
    except OSError as error:
        raise KitError(explain_home_error(unit.home.backups, error)) from error
    found = verify(file)
    if arguments.json:
        print_json(found)
    else:
        print(f"Backed up to {file} ({found['bytes'] / 1e6:.1f} MB, {found['rows']} rows, checked).")
        print("Copy it to another disk or a USB stick: a backup beside what it backs up dies with it.")
    return 0


def restore(arguments: argparse.Namespace) -> int:
    """Prove that a backup is whole; nothing of the unit is touched."""
    if arguments.verify is None:
        raise UsageError("restore: say kit restore --verify FILE; it proves a backup without touching the unit")
    found = verify(arguments.verify)
    if arguments.json:
        print_json(found)
    else:
        print(f"{arguments.verify} can be restored: sound, {found['bytes'] / 1e6:.1f} MB, {found['rows']} rows.")
        for table, rows in found["tables"].items():
            print(f"  {table:<24} {rows:>10}")
    return 0


def copy_store(source: sqlite3.Connection, file: Path) -> None:
    """Copy the whole store to `file`, which appears only when it is complete and on the disk."""
    temporary = file.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    try:
        target = sqlite3.connect(temporary)
        try:
            # its own name says what it is, and nothing is to be left beside the one file on a USB stick
            source.backup(target, pages=PAGES_AT_ONCE)
            target.execute("PRAGMA journal_mode=DELETE")
        finally:
            target.close()
        _flush(temporary)
        temporary.rename(file)
        _flush(file.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def verify(file: Path) -> dict[str, Any]:
    """`{file, ok, bytes, migrations, rows, tables}` of a backup that can be restored.

    Raises:
        KitError: it cannot; the sentence says why.
    """
    if not file.is_file():
        raise KitError(f"there is no file {file}; the backups of a unit are in backups/ below its home")
    try:
        # immutable: a backup on a read-only stick has no journal, and must get none
        connection = sqlite3.connect(f"file:{file.absolute()}?mode=ro&immutable=1", uri=True)
        try:
            return _verify(connection, file)
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise KitError(f"{file} is damaged or no backup at all ({error}); take an older one") from error


def _verify(connection: sqlite3.Connection, file: Path) -> dict[str, Any]:
    found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
    if found != ["ok"]:
        raise KitError(f"{file} is damaged ({'; '.join(found)[:200]}); take an older one")
    names = [
        str(row[0]) for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")
    ]
    if "_sqlite_migrations" not in names:
        raise KitError(f"{file} is sound, but it is not the store of a kit; choose a file from backups/")
    migrations = int(connection.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()[0])
    tables = {
        name: int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])  # noqa: S608 - names from the schema itself
        for name in names
        if not name.startswith(("sqlite_", "_"))
    }
    return {
        "file": str(file),
        "ok": True,
        "bytes": file.stat().st_size,
        "migrations": migrations,
        "rows": sum(tables.values()),
        "tables": tables,
    }


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
