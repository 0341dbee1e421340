"""A unit as an earlier version left it: its store of that version's schema, and its backups of that version's form."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from kit.backup.archive import MANIFEST, Head, write_archive
from kit.backup.checking import table_rows
from kit.backup.making import backup_secret
from kit.backup.sealing import SALT_BYTES, key_mark
from kit.home import Home
from kit.identity import load_or_create_identity
from kit.run.schema import unit_migrations
from kit.store.migrations import Migration, migrate
from kit.store.records import set_origin

THEN = {
    "readings": "0001_readings",
    "ingest": "0001_ingest_state",
    "boots": "0001_boots_and_what_is_undated",
    "devices": "0002_topics_and_places",
    "records": "0002_reader",
    "mqtt": "0001_sessions_queue_retained_clients",
}
"""The last migration of each part that it had: before whole numbers, hours and days, and MQTT 5."""


def earlier_migrations() -> tuple[Migration, ...]:
    """Those of that version."""
    return tuple(each for each in unit_migrations() if each.name <= THEN.get(each.part, "9"))


def earlier_store(home: Home, *, series: int, rows: int, begin_ms: int, step_ms: int = 1000) -> None:
    """A store of that version with readings (tenths of a degree), all of which wait for the core.

    The head of each series' name is `field-`, its first reading at `begin_ms`.
    """
    home.prepare()
    migrate(home.database, earlier_migrations())
    connection = sqlite3.connect(home.database)
    try:
        with connection:
            set_origin(connection, load_or_create_identity(home).unit)
            for number in range(1, series + 1):
                connection.execute(
                    "INSERT INTO series VALUES (?, ?, 'temperature', 'Cel')", (number, f"field-{number}")
                )
                times = [(number, begin_ms + place * step_ms, place) for place in range(rows)]
                connection.executemany(
                    "INSERT INTO readings VALUES (?, ?, ? / 10.0, 1)", [(n, ms, place) for n, ms, place in times]
                )
                connection.executemany(
                    "INSERT INTO unsynced (series, time_ms, arrived_ms) VALUES (?, ?, 0)",
                    [(n, ms) for n, ms, _ in times],
                )
                connection.execute("INSERT INTO ingest_undated VALUES (?, 1, ?, 5)", (f"field-{number}", bytes(32)))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def earlier_backup(home: Home, *, now_ms: int) -> Path:
    """A backup of the form of versions that did not put the small tables first: the store, and the keys."""
    home.backups.mkdir(exist_ok=True)
    copy = home.spool / "copy.db"
    connection = sqlite3.connect(home.database)
    try:
        connection.execute("VACUUM INTO ?", (str(copy),))
        (unit,) = connection.execute("SELECT origin FROM unit_epoch").fetchone()
    finally:
        connection.close()
    connection = sqlite3.connect(copy)
    try:
        tables = table_rows(connection)
    finally:
        connection.close()
    members: dict[str, Path | bytes] = {"kit.db": copy, "keys/unit.json": (home.keys / "unit.json").read_bytes()}
    contents = {name: each if isinstance(each, bytes) else each.read_bytes() for name, each in members.items()}
    told = {name: {"bytes": len(each), "sha256": hashlib.sha256(each).hexdigest()} for name, each in contents.items()}
    manifest = {"unit": unit, "tables": tables, "files": told}
    secret = backup_secret(home)
    head = Head(str(unit), "x", now_ms, os.urandom(SALT_BYTES), key_mark(secret))
    stamp = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    file = home.backups / f"{unit}-{stamp}.kitbackup"
    with file.open("wb") as stream:
        write_archive(stream, head, secret, {MANIFEST: json.dumps(manifest).encode()} | members)
    copy.unlink()
    return file
