"""Readings and their summaries in the core's tables, and which of the two it has of each day.

Invariant: a reading is counted once, whichever record it came in and whatever its hour's summary said. Readings and
summaries never mix: `core_hours` holds, per series and hour, how many readings are here (counted anew whenever one
comes) beside what the kit's summary told of the same hour.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from kit.model.batch import decode_batch
from kit.model.readings import UNFIT, Quality, Reading
from kit.model.summary import HOUR_MS, HourSummary, decode_summary
from sync.core.bodies import BodyError, text_of, time_of
from sync.core.row_values import values_of
from sync.core.store import DayRow, Fidelity, HourRow
from sync.protocol.records import Record

DAY_MS = 86_400_000

DAYS_SHOWN = 8
"""Today and the week before."""

MOST_COUNTED = 2**31

COUNT_EARLIER = f"""
INSERT INTO core_hours (series, hour_ms, readings, usable)
SELECT series, (time_ms - ((time_ms % {HOUR_MS}) + {HOUR_MS}) % {HOUR_MS}), count(*), sum((quality & {int(UNFIT)}) = 0)
FROM core_readings GROUP BY 1, 2
"""  # noqa: S608 - our constants
"""For a core that held readings before it counted hours."""


def apply_readings(connection: sqlite3.Connection, record: Record) -> None:
    """A batch of readings."""
    by_series: dict[tuple[str, str, str], list[Reading]] = {}
    for reading in decode_batch(record.body):
        by_series.setdefault((reading.device, reading.quantity, reading.unit), []).append(reading)
    for key, readings in by_series.items():
        _add_to_series(connection, _series(connection, record.id.origin, key), readings)


def apply_summary(connection: sqlite3.Connection, record: Record) -> None:
    """A summary of hours. Of two that tell of the same hour the one that knew more readings counts, then the later."""
    for each in decode_summary(record.body):
        _check(each)
        series = _series(connection, record.id.origin, (each.device, each.quantity, each.unit))
        connection.execute(
            "INSERT INTO core_hours (series, hour_ms, told, mean, low, high, epoch, seq) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (series, hour_ms) DO UPDATE SET told = excluded.told, mean = excluded.mean, "
            "low = excluded.low, high = excluded.high, epoch = excluded.epoch, seq = excluded.seq "
            "WHERE told IS NULL OR (excluded.told, excluded.epoch, excluded.seq) > (told, epoch, seq)",
            (series, each.hour_ms, each.count, each.mean, each.low, each.high, record.id.epoch, record.id.seq),
        )


def _check(hour: HourSummary) -> None:
    time_of(hour.hour_ms, "an hour of the summary")
    if hour.count > MOST_COUNTED:
        raise BodyError("an hour of more readings than there can be")


def _series(connection: sqlite3.Connection, unit: str, key: tuple[str, str, str]) -> int:
    for word in key:
        text_of(word, "a name in the body")
    row = (unit, *key)
    connection.execute(
        "INSERT INTO core_series (unit, device, quantity, unit_symbol) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", row
    )
    (series,) = connection.execute(
        "SELECT id FROM core_series WHERE unit = ? AND device = ? AND quantity = ? AND unit_symbol = ?", row
    ).fetchone()
    return int(series)


def _add_to_series(connection: sqlite3.Connection, series: int, readings: list[Reading]) -> None:
    before = connection.total_changes
    connection.executemany(
        "INSERT INTO core_readings VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(series, each.time_ms, each.value, int(each.quality)) for each in readings],
    )
    connection.execute(
        "UPDATE core_series SET count = count + ? WHERE id = ?", (connection.total_changes - before, series)
    )
    _count_hours(connection, series, {each.time_ms // HOUR_MS * HOUR_MS for each in readings})
    newest = _newest(readings)
    if newest is not None:
        connection.execute(
            "UPDATE core_series SET latest_ms = ?, latest_value = ?, latest_quality = ? "
            "WHERE id = ? AND (latest_ms IS NULL OR latest_ms < ?)",
            (newest.time_ms, newest.value, int(newest.quality), series, newest.time_ms),
        )


def _count_hours(connection: sqlite3.Connection, series: int, hours: Iterable[int]) -> None:
    connection.executemany(
        "INSERT INTO core_hours (series, hour_ms, readings, usable) "
        "SELECT ?1, ?2, count(*), coalesce(sum((quality & ?3) = 0), 0) FROM core_readings "
        "WHERE series = ?1 AND time_ms >= ?2 AND time_ms < ?2 + ?4 "
        "ON CONFLICT (series, hour_ms) DO UPDATE SET readings = excluded.readings, usable = excluded.usable",
        [(series, hour_ms, int(UNFIT), HOUR_MS) for hour_ms in sorted(hours)],
    )


def _newest(readings: Iterable[Reading]) -> Reading | None:
    # a device whose clock runs years ahead would otherwise show the same "latest" value for ever
    dated = (each for each in readings if not each.quality & Quality.TIME_DOUBTFUL)
    return max(dated, key=lambda each: each.time_ms, default=None)


def days(connection: sqlite3.Connection, unit: str, *, now_ms: int) -> list[DayRow]:
    """See `CoreStore.days`."""
    rows = connection.execute(
        "SELECT s.device, s.quantity, s.unit_symbol, h.hour_ms / ?4 AS day, sum(h.readings) AS readings, "
        "coalesce(sum(h.told), 0) AS told, count(h.told) AS hours, "
        "coalesce(sum(h.told IS NOT NULL AND h.usable >= h.told), 0) AS filled "
        "FROM core_series s JOIN core_hours h ON h.series = s.id "
        "WHERE s.unit = ?1 AND h.hour_ms >= ?2 AND h.hour_ms < ?3 "
        "GROUP BY s.id, day ORDER BY s.device, s.quantity, s.unit_symbol, day DESC",
        (unit, (now_ms // DAY_MS - DAYS_SHOWN + 1) * DAY_MS, now_ms + DAY_MS, DAY_MS),
    )
    return [
        DayRow(
            device=row["device"],
            quantity=row["quantity"],
            unit_symbol=row["unit_symbol"],
            day_ms=row["day"] * DAY_MS,
            readings=row["readings"],
            told=row["told"],
            fidelity=_fidelity(row["readings"], row["hours"], row["filled"]),
        )
        for row in rows
    ]


def _fidelity(readings: int, hours: int, filled: int) -> Fidelity:
    if filled == hours:
        return Fidelity.RAW
    return Fidelity.PARTLY if readings else Fidelity.SUMMARY


def hours(connection: sqlite3.Connection, unit: str) -> list[HourRow]:
    """See `CoreStore.hours`."""
    rows = connection.execute(
        "SELECT s.device, s.quantity, s.unit_symbol, h.hour_ms, h.told AS count, h.mean, h.low, h.high "
        "FROM core_series s JOIN core_hours h ON h.series = s.id AND "
        "h.hour_ms = (SELECT max(hour_ms) FROM core_hours WHERE series = s.id AND told IS NOT NULL) "
        "WHERE s.unit = ? AND (s.latest_ms IS NULL OR s.latest_ms < h.hour_ms) "
        "ORDER BY s.device, s.quantity, s.unit_symbol",
        (unit,),
    )
    return values_of(HourRow, rows)
