"""The proof that a backup is good, and the way back.

Restoring puts the whole store back as it was and begins a new epoch, so that what this unit writes from now on cannot
be taken for what it wrote between the backup and now: the core keeps both, each once. The store that was there is set
aside, untouched. Keys and settings that the home has already are newer and stay; those that are missing come back.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kit.backup.archive import BackupError, Head, read_head, unpack
from kit.backup.checking import check_store, table_rows
from kit.backup.report import TASK
from kit.home import Home, write_new, write_private
from kit.store.database import exclusive_store
from kit.store.ledger import flush_folder
from kit.store.records import set_origin, start_epoch

STORE_FILES = ("kit.db", "kit.db-wal", "kit.db-shm", "kit.tables")


@dataclass(frozen=True)
class Restored:
    """What came back.

    Attributes:
        epoch: the new one.
        set_aside: where the store that was there went; None where there was none.
        files: keys and settings that were missing and came back.
    """

    head: Head
    manifest: Mapping[str, Any]
    epoch: int
    set_aside: Path | None
    files: tuple[str, ...]


@contextmanager
def unpacked(file: Path, secret: bytes, work: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The backup unpacked below `work` and proven: every byte, every page, every table's rows.

    Raises:
        BackupError: it is not restorable.
    """
    folder = work / "restore-in-work"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        manifest = unpack(file, secret, folder)
        store = folder / "kit.db"
        check_store(store)
        connection = sqlite3.connect(f"file:{store}?mode=ro&immutable=1", uri=True)
        try:
            rows = table_rows(connection)
        finally:
            connection.close()
        if rows != manifest["tables"]:
            told = manifest["tables"]
            differ = sorted(name for name in rows.keys() | told.keys() if rows.get(name) != told.get(name))
            raise BackupError(f"{file} is damaged (rows of {', '.join(differ)} do not match its manifest)")
        yield folder, manifest
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def restore(home: Home, file: Path, secret: bytes, *, now_ms: int) -> Restored:
    """Put a backup in the place of the unit's store. The unit must not run.

    Raises:
        BackupError: it is not restorable, or of another unit; nothing was changed.
    """
    head = read_head(file)
    home.prepare()
    _check_unit(home, head, file)
    with unpacked(file, secret, home.spool) as (folder, manifest), exclusive_store(home.database):
        epoch = renew(folder / "kit.db", above=epoch_of(home.database))
        # first what may meet a full disk: until the store is replaced, nothing of the unit has changed
        came_back = _bring_back_missing(home, folder)
        for task in home.set_aside.glob(f"*/{TASK}"):
            task.unlink()  # what was being brought back belongs to the store that goes
        aside = set_aside(home, now_ms=now_ms)
        (folder / "kit.db").rename(home.database)
        flush_folder(home.path)
    return Restored(head, manifest, epoch, aside, came_back)


def renew(store: Path, *, unit: str | None = None, above: int = 0) -> int:
    """Begin a new epoch in a store that is about to be used again; returns it.

    Args:
        store: the file.
        unit: whose it is, where it does not say so itself.
        above: the epoch must be later than this one, too.
    """
    connection = sqlite3.connect(store, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")
        if unit is not None and connection.execute("SELECT 1 FROM unit_epoch").fetchone() is None:
            set_origin(connection, unit)
        epoch = start_epoch(connection, above=above)
        # packet ids of back then: a new message under one of them must not be taken for a repetition
        for (table,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE name IN ('mqtt_received', 'ingest_undated', 'ingest_taken')"
        ).fetchall():
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - one of the constants above
        # files that the city has published are no part of a backup, but their records are: they are written again
        if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'facts'").fetchone() is not None:
            connection.execute("DELETE FROM facts WHERE name LIKE 'received/%'")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # closing it then leaves one file, to be renamed
    finally:
        connection.close()
    return epoch


def epoch_of(store: Path) -> int:
    """The epoch of a store that may be missing or damaged; 0 if it cannot be told."""
    try:
        connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=5.0)
        try:
            row = connection.execute("SELECT epoch FROM unit_epoch").fetchone()
        finally:
            connection.close()
    except sqlite3.Error:
        return 0
    return 0 if row is None else int(row[0])


def set_aside(home: Home, *, now_ms: int) -> Path | None:
    """Move the store, with its log, out of the way, untouched; returns the folder, or None where there was none."""
    present = [home.path / name for name in STORE_FILES if (home.path / name).exists()]
    if not home.database.exists():
        return None
    stamp = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    folders = (home.set_aside / f"{stamp}{'-' + str(number) if number else ''}" for number in range(1000))
    folder = next(each for each in folders if not each.exists())
    folder.mkdir(mode=0o700, parents=True)
    for file in present:
        file.rename(folder / file.name)
    flush_folder(folder)
    return folder


def _check_unit(home: Home, head: Head, file: Path) -> None:
    try:
        own = str(json.loads((home.keys / "unit.json").read_text())["unit"])
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{home.keys / 'unit.json'} cannot be read ({error}); move it away, then restore") from error
    if own != head.unit:
        raise BackupError(
            f"{file} is a backup of {head.unit}, but {home.path} holds {own}; restore it into an empty home: --home DIR"
        )


def _bring_back_missing(home: Home, folder: Path) -> tuple[str, ...]:
    came_back = []
    for source in sorted([*folder.glob("kit.toml"), *folder.glob("keys/*.json")]):
        target = home.path / source.relative_to(folder)
        if not target.exists():
            # whole or not at all: half a key would be taken for a damaged one
            (write_private if target.parent == home.keys else write_new)(target, source.read_bytes())
            came_back.append(str(source.relative_to(folder)))
    return tuple(came_back)
