"""The readings' tables, and how they are read.

A reading is one row of (series, time) in a table without row ids: 22 bytes instead of the 148 of text columns. A
last-value table answers "what is it now" without touching the ten million others. `unsynced` queues what has not yet
gone into a batch for the core (see `kit.collect.batching`). Writing is `kit.store.reading_writer`.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator
from operator import attrgetter
from typing import Any, NamedTuple

from kit.model.readings import UNFIT, Quality, Reading, quality_word
from kit.store.migrations import sql

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
)


class StoredReading(NamedTuple):
    """A row of `kit readings`. `quality` holds the flags of `kit.model.readings.Quality` as a number."""

    time_ms: int
    device: str
    quantity: str
    unit: str
    value: float
    quality: int

    @property
    def quality_word(self) -> str:
        """The flags in words: "good", or their names joined by "+"."""
        return quality_word(self.quality)


class SensorAge(NamedTuple):
    """When a device was last heard, by the kit's clock; `age_s` is None when the clock has been set back since."""

    device: str
    last_seen_ms: int
    age_s: float | None


class Span(NamedTuple):
    """From when to when a device has readings of a quantity, Unix ms."""

    device: str
    first_ms: int
    last_ms: int


class Unsynced(NamedTuple):
    """The oldest readings that no batch holds yet.

    Attributes:
        last_id: take them out of the queue with `forget_unsynced` up to here.
        oldest_arrived_ms: when the first of them came in.
    """

    readings: list[Reading]
    last_id: int
    oldest_arrived_ms: int


def find_readings(
    connection: sqlite3.Connection,
    *,
    device: str | None = None,
    quantity: str | None = None,
    since_ms: int | None = None,
    until_ms: int | None = None,
    usable_only: bool = False,
) -> Iterator[StoredReading]:
    """Readings in the order of time, one after the other: a year of them needs no memory.

    Args:
        connection: the kit's store; must stay open, and unused by writers, while the result is read.
        device: its name; None = all.
        quantity: its name, label included; None = all.
        since_ms: the first instant wanted, Unix ms.
        until_ms: the first instant no longer wanted.
        usable_only: leave out what is impossible, stuck or has a doubtful time.
    """
    wanted = connection.execute(
        "SELECT id, device, quantity, unit FROM series "
        "WHERE (?1 IS NULL OR device = ?1) AND (?2 IS NULL OR quantity = ?2) ORDER BY device, quantity, unit",
        (device, quantity),
    ).fetchall()
    since, until = since_ms if since_ms is not None else -(2**62), until_ms if until_ms is not None else 2**62
    unfit = int(UNFIT) if usable_only else 0
    # every series is already in order on disk; merging keeps the order without sorting the whole answer
    return heapq.merge(
        *(_one_series(connection, row, since, until, unfit) for row in wanted),
        key=attrgetter("time_ms"),
    )


def _one_series(
    connection: sqlite3.Connection, series: Any, since: int, until: int, unfit: int
) -> Iterator[StoredReading]:
    number, device, quantity, unit = series
    rows = connection.execute(
        "SELECT time_ms, value, quality FROM readings "
        "WHERE series = ? AND time_ms >= ? AND time_ms < ? AND quality & ? = 0 ORDER BY time_ms",
        (number, since, until, unfit),
    )
    for time_ms, value, quality in rows:
        yield StoredReading(time_ms, device, quantity, unit, value, quality)


def latest_readings(connection: sqlite3.Connection, *, device: str | None = None) -> list[StoredReading]:
    """The newest reading of every series, by device and quantity."""
    rows = connection.execute(
        "SELECT l.time_ms, s.device, s.quantity, s.unit, l.value, l.quality "
        "FROM latest_readings l JOIN series s ON s.id = l.series "
        "WHERE (?1 IS NULL OR s.device = ?1) ORDER BY s.device, s.quantity, s.unit",
        (device,),
    )
    return [StoredReading(*row) for row in rows]


def known_names(connection: sqlite3.Connection) -> tuple[list[str], list[str]]:
    """Every device and every quantity that a reading was ever stored of, whatever its quality."""
    rows = connection.execute("SELECT DISTINCT device, quantity FROM series").fetchall()
    return sorted({row[0] for row in rows}), sorted({row[1] for row in rows})


def raw_reading(connection: sqlite3.Connection, reading: StoredReading) -> tuple[float, str] | None:
    """What the device really said (value, unit), where the kit converted it."""
    row = connection.execute(
        "SELECT r.value, r.unit FROM raw_readings r JOIN series s ON s.id = r.series "
        "WHERE s.device = ? AND s.quantity = ? AND s.unit = ? AND r.time_ms = ?",
        (reading.device, reading.quantity, reading.unit, reading.time_ms),
    ).fetchone()
    return None if row is None else (float(row[0]), str(row[1]))


def sensors(connection: sqlite3.Connection, now_ms: int) -> list[SensorAge]:
    """Every device that was ever heard, with its age, by name."""
    rows = connection.execute("SELECT device, last_seen_ms FROM heard_devices ORDER BY device")
    return [
        SensorAge(device, seen_ms, (now_ms - seen_ms) / 1000 if seen_ms <= now_ms else None) for device, seen_ms in rows
    ]


def spans(connection: sqlite3.Connection, quantity: str) -> list[Span]:
    """Which devices have readings of a quantity, from when to when; the longest record first."""
    rows = connection.execute(
        # two seeks a series; min() and max() together would read all of it
        "SELECT device, (SELECT min(time_ms) FROM readings WHERE series = s.id) AS first_ms, "
        "(SELECT max(time_ms) FROM readings WHERE series = s.id) AS last_ms "
        "FROM series s WHERE quantity = ? AND first_ms IS NOT NULL ORDER BY last_ms - first_ms DESC, device",
        (quantity,),
    )
    return [Span(*row) for row in rows]


def count_unsynced(connection: sqlite3.Connection, *, at_most: int) -> tuple[int, int | None]:
    """How many readings wait for a batch (counted up to `at_most`), and when the oldest of them came in."""
    count = connection.execute("SELECT count(*) FROM (SELECT 1 FROM unsynced LIMIT ?)", (at_most,)).fetchone()[0]
    oldest = connection.execute("SELECT arrived_ms FROM unsynced ORDER BY id LIMIT 1").fetchone()
    return int(count), None if oldest is None else int(oldest[0])


def unsynced(connection: sqlite3.Connection, *, limit: int) -> Unsynced:
    """The readings that came in first and are in no batch yet, in the order they came."""
    rows = connection.execute(
        "SELECT u.id, u.arrived_ms, s.device, s.quantity, s.unit, r.time_ms, r.value, r.quality FROM unsynced u "
        "LEFT JOIN series s ON s.id = u.series LEFT JOIN readings r ON r.series = u.series AND r.time_ms = u.time_ms "
        "ORDER BY u.id LIMIT ?",
        (limit,),
    ).fetchall()
    readings = [
        Reading(device=row[2], quantity=row[3], unit=row[4], time_ms=row[5], value=row[6], quality=Quality(row[7]))
        for row in rows
        if row[6] is not None  # thinned out by a later clean-up: nothing left to send, but the place is given back
    ]
    return Unsynced(readings, rows[-1][0] if rows else 0, rows[0][1] if rows else 0)


def forget_unsynced(connection: sqlite3.Connection, last_id: int) -> None:
    """Take everything up to `last_id` out of the queue, in the transaction that wrote its batch."""
    connection.execute("DELETE FROM unsynced WHERE id <= ?", (last_id,))
