"""The tables of `kit.store.readings`, and how they came to be what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.store.migrations import Migration, sql
from kit.store.packed_value import DECIMAL_BITS, pack_keys, pack_value

if TYPE_CHECKING:
    import sqlite_utils


def _pack_values(db: sqlite_utils.Database) -> None:
    """Whole numbers instead of eight bytes each; the queue in one row for each transaction."""
    connection = db.conn
    connection.execute("ALTER TABLE readings RENAME TO readings_0001")
    connection.execute(
        "CREATE TABLE readings (series INTEGER NOT NULL, time_ms INTEGER NOT NULL, value NOT NULL, "
        "code INTEGER NOT NULL, PRIMARY KEY (series, time_ms)) WITHOUT ROWID"
    )
    old = connection.execute("SELECT series, time_ms, value, quality FROM readings_0001 ORDER BY series, time_ms")
    connection.executemany("INSERT INTO readings VALUES (?, ?, ?, ?)", map(_as_packed, old))
    connection.execute("DROP TABLE readings_0001")
    connection.execute("ALTER TABLE unsynced RENAME TO unsynced_0001")
    connection.execute(
        "CREATE TABLE unsynced (id INTEGER PRIMARY KEY, arrived_ms INTEGER NOT NULL, keys BLOB NOT NULL)"
    )
    waiting = connection.execute("SELECT arrived_ms, series, time_ms FROM unsynced_0001 ORDER BY id")
    connection.executemany(
        "INSERT INTO unsynced (arrived_ms, keys) VALUES (?, ?)",
        ((row[0], pack_keys([row[1], row[2]])) for row in waiting),
    )
    connection.execute("DROP TABLE unsynced_0001")


def _as_packed(row: tuple[int, int, float, int]) -> tuple[int, int, float, int]:
    stored, decimals = pack_value(row[2])
    return row[0], row[1], stored, row[3] << DECIMAL_BITS | decimals


MIGRATIONS = (
    sql(
        "readings",
        "0001_readings",
        """
        CREATE TABLE series (
            id INTEGER PRIMARY KEY,
            device TEXT NOT NULL, quantity TEXT NOT NULL, unit TEXT NOT NULL,
            UNIQUE (device, quantity, unit)
        );
        CREATE TABLE readings (
            series INTEGER NOT NULL, time_ms INTEGER NOT NULL, value REAL NOT NULL, quality INTEGER NOT NULL,
            PRIMARY KEY (series, time_ms)
        ) WITHOUT ROWID;
        CREATE TABLE raw_readings (
            series INTEGER NOT NULL, time_ms INTEGER NOT NULL, value REAL NOT NULL, unit TEXT NOT NULL,
            PRIMARY KEY (series, time_ms)
        ) WITHOUT ROWID;
        CREATE TABLE latest_readings (
            series INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, value REAL NOT NULL, quality INTEGER NOT NULL,
            same_since_ms INTEGER NOT NULL, good_ms INTEGER, good_value REAL
        );
        CREATE TABLE heard_devices (device TEXT PRIMARY KEY, last_seen_ms INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE unsynced (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            series INTEGER NOT NULL, time_ms INTEGER NOT NULL, arrived_ms INTEGER NOT NULL
        )
        """,
    ),
    Migration("readings", "0002_whole_numbers", _pack_values),
    sql(
        "readings",
        "0003_rollups",
        """
        CREATE TABLE hourly (
            series INTEGER NOT NULL, hour INTEGER NOT NULL, count INTEGER NOT NULL, usable INTEGER NOT NULL,
            low REAL, mean REAL, high REAL, flags TEXT NOT NULL, PRIMARY KEY (series, hour)
        ) WITHOUT ROWID;
        CREATE TABLE daily (
            series INTEGER NOT NULL, day INTEGER NOT NULL, count INTEGER NOT NULL, usable INTEGER NOT NULL,
            low REAL, mean REAL, high REAL, flags TEXT NOT NULL, PRIMARY KEY (series, day)
        ) WITHOUT ROWID;
        CREATE TABLE rollup_dirty (series INTEGER, hour INTEGER, PRIMARY KEY (series, hour)) WITHOUT ROWID;
        CREATE TABLE rollup_dirty_days (series INTEGER, day INTEGER, PRIMARY KEY (series, day)) WITHOUT ROWID;
        CREATE TABLE rollup_state (
            one INTEGER PRIMARY KEY CHECK (one = 1), horizon_ms INTEGER NOT NULL, raw_from_ms INTEGER NOT NULL,
            hourly_from_ms INTEGER NOT NULL, too_late INTEGER NOT NULL)
        """,
    ),
)
