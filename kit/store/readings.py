"""The readings' tables, and how they are read.

A reading is one row of (series, time) in a table without row ids, its value as a whole number where that loses nothing
(`kit.store.packed_value`): about 20 bytes instead of the 148 of text columns. A last-value table answers "what is it
now" without touching the ten million others. `unsynced` queues what has not yet gone into a batch for the core (see
`kit.collect.batching`): one row for each transaction, with the keys of its readings. Writing is
`kit.store.reading_writer`; what happens to readings in later years is `kit.store.rollups`.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator
from operator import attrgetter
from typing import Any, NamedTuple

from kit.model.readings import UNFIT, Quality, Reading, quality_word
from kit.store.packed_value import DECIMAL_BITS, KEY_BYTES, unpack_keys, unpack_value
from kit.store.readings_tables import MIGRATIONS as MIGRATIONS  # noqa: PLC0414 - whoever needs the tables looks here

KEYS_PER_ROW = 1 << 20
"""More than any row of `unsynced` holds: a place in the queue is (its row) × this + (how many of the row are taken)."""


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
    quantity: str


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
        *(series_readings(connection, row, since, until, unfit=unfit) for row in wanted),
        key=attrgetter("time_ms"),
    )


def series_readings(
    connection: sqlite3.Connection, series: Any, since: int, until: int, *, unfit: int = 0
) -> Iterator[StoredReading]:
    """The readings of one series (number, device, quantity, unit) from `since` to before `until`, Unix ms."""
    number, device, quantity, unit = series
    rows = connection.execute(
        "SELECT time_ms, value, code FROM readings "
        "WHERE series = ? AND time_ms >= ? AND time_ms < ? AND code & ? = 0 ORDER BY time_ms",
        (number, since, until, unfit << DECIMAL_BITS),
    )
    for time_ms, value, code in rows:
        yield StoredReading(time_ms, device, quantity, unit, unpack_value(value, code), code >> DECIMAL_BITS)


def count_readings(
    connection: sqlite3.Connection, *, device: str, quantity: str, since_ms: int, until_ms: int, without: Quality
) -> int:
    """How many readings there are from `since_ms` to before `until_ms`; SQLite counts, a year of minutes in no time.

    Args:
        connection: the kit's store.
        device: its name.
        quantity: its name, label included.
        since_ms: the first instant wanted, Unix ms.
        until_ms: the first instant no longer wanted.
        without: readings with any of these flags are left out.
    """
    row = connection.execute(
        "SELECT count(*) FROM series s JOIN readings r ON r.series = s.id "
        "WHERE s.device = ? AND s.quantity = ? AND r.time_ms >= ? AND r.time_ms < ? AND r.code & ? = 0",
        (device, quantity, since_ms, until_ms, int(without) << DECIMAL_BITS),
    ).fetchone()
    return int(row[0])


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


def spans(connection: sqlite3.Connection, quantity: str, *, labelled: bool = False) -> list[Span]:
    """Which devices have readings of a quantity, from when to when; the longest record first.

    With `labelled`, also those of one probe among several (`temperature:probe2`).
    """
    rows = connection.execute(
        # two seeks a series; min() and max() together would read all of it
        "SELECT device, (SELECT min(time_ms) FROM readings WHERE series = s.id) AS first_ms, "
        "(SELECT max(time_ms) FROM readings WHERE series = s.id) AS last_ms, quantity "
        "FROM series s WHERE (quantity = ?1 OR (?2 AND quantity > ?1 || ':' AND quantity < ?1 || ';')) "
        "AND first_ms IS NOT NULL ORDER BY last_ms - first_ms DESC, device, quantity",
        (quantity, labelled),
    )
    return [Span(*row) for row in rows]


def count_unsynced(connection: sqlite3.Connection, *, at_most: int) -> tuple[int, int | None]:
    """How many readings wait for a batch (counted up to `at_most`), and when the oldest of them came in."""
    count, oldest_ms = 0, None
    for arrived_ms, size in connection.execute("SELECT arrived_ms, length(keys) FROM unsynced ORDER BY id"):
        oldest_ms = arrived_ms if oldest_ms is None else oldest_ms
        count += size // KEY_BYTES
        if count >= at_most:
            break
    return min(count, at_most), oldest_ms


def unsynced(connection: sqlite3.Connection, *, limit: int) -> Unsynced:
    """The readings that came in first and are in no batch yet, in the order they came."""
    readings: list[Reading] = []
    names: dict[int, tuple[str, str, str]] = {}
    taken = last_id = oldest_ms = 0
    for row, arrived_ms, packed in connection.execute("SELECT id, arrived_ms, keys FROM unsynced ORDER BY id"):
        oldest_ms = oldest_ms or arrived_ms
        keys = unpack_keys(packed)[: limit - taken]
        taken += len(keys)
        last_id = row * KEYS_PER_ROW + len(keys)
        readings += _read_keys(connection, keys, names)
        if taken >= limit:
            break
    return Unsynced(readings, last_id, oldest_ms)


def is_crowded(connection: sqlite3.Connection, reading: Reading) -> bool:
    """Whether another reading of the same series lies in the same second of the clock."""
    second_ms = reading.time_ms // 1000 * 1000
    found = connection.execute(
        "SELECT 1 FROM readings WHERE series = (SELECT id FROM series WHERE device = ? AND quantity = ? AND unit = ?) "
        "AND time_ms BETWEEN ? AND ? AND time_ms <> ? LIMIT 1",
        (reading.device, reading.quantity, reading.unit, second_ms, second_ms + 999, reading.time_ms),
    )
    return found.fetchone() is not None


def forget_unsynced(connection: sqlite3.Connection, last_id: int) -> None:
    """Take everything up to `last_id` out of the queue, in the transaction that wrote its batch."""
    row, taken = divmod(last_id, KEYS_PER_ROW)
    connection.execute("DELETE FROM unsynced WHERE id < ?", (row,))
    connection.execute("UPDATE unsynced SET keys = substr(keys, ?) WHERE id = ?", (taken * KEY_BYTES + 1, row))
    connection.execute("DELETE FROM unsynced WHERE id = ? AND length(keys) = 0", (row,))


def _read_keys(
    connection: sqlite3.Connection, keys: list[tuple[int, int]], names: dict[int, tuple[str, str, str]]
) -> Iterator[Reading]:
    for series, time_ms in keys:
        row = connection.execute(
            "SELECT value, code FROM readings WHERE series = ? AND time_ms = ?", (series, time_ms)
        ).fetchone()
        if row is None:
            continue  # thinned out by a later clean-up: nothing left to send, but the place is given back
        if series not in names:
            found = connection.execute("SELECT device, quantity, unit FROM series WHERE id = ?", (series,)).fetchone()
            names[series] = tuple(found)
        device, quantity, unit = names[series]
        value, quality = unpack_value(row[0], row[1]), Quality(row[1] >> DECIMAL_BITS)
        yield Reading(device=device, quantity=quantity, unit=unit, time_ms=time_ms, value=value, quality=quality)
