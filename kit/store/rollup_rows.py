"""Reading hourly and daily aggregates, and whatever stands for readings that are gone.

Buckets that are dirty or not yet rolled up are computed from the readings while they are read (see
`kit.store.rollups`), so an answer never lags. Rows come in the order of time, one after the other, without memory.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterator
from operator import attrgetter
from typing import Any, NamedTuple

from kit.model.local_days import DAY_MS, LocalDays
from kit.model.readings import quality_word
from kit.store.readings import StoredReading, series_readings
from kit.store.rollups import HOUR_MS, State, Totals, hours_with_readings, rollup_state, totals

FAR_MS = 2**53
RESOLUTIONS = ("raw", "hour", "day")


class SeriesRow(NamedTuple):
    """A series: what one device says about one quantity."""

    id: int
    device: str
    quantity: str
    unit: str


class Bucket(NamedTuple):
    """What a series' readings were in an hour or a day.

    Attributes:
        start_ms, end_ms: the span, Unix ms.
        resolution: "hour" or "day".
        total: of all readings, of which `usable` make up minimum, mean and maximum.
        flags: how many readings had which flags (`kit.model.readings.Quality` as a number); the good ones are not in it.
    """  # noqa: E501

    start_ms: int
    end_ms: int
    resolution: str
    device: str
    quantity: str
    unit: str
    total: int
    usable: int
    low: float | None
    mean: float | None
    high: float | None
    flags: dict[int, int]

    @property
    def time_ms(self) -> int:
        """Its beginning, like the time of a reading."""
        return self.start_ms

    @property
    def flagged(self) -> int:
        """How many readings had any flag."""
        return sum(self.flags.values())

    @property
    def flag_words(self) -> dict[str, int]:
        """The flags in words."""
        return {quality_word(quality): count for quality, count in sorted(self.flags.items())}


Row = StoredReading | Bucket


def list_series(
    connection: sqlite3.Connection, *, device: str | None = None, quantity: str | None = None, number: int | None = None
) -> list[SeriesRow]:
    """The series that match, by device and quantity."""
    rows = connection.execute(
        "SELECT id, device, quantity, unit FROM series WHERE (?1 IS NULL OR device = ?1) AND "
        "(?2 IS NULL OR quantity = ?2) AND (?3 IS NULL OR id = ?3) ORDER BY device, quantity, unit",
        (device, quantity, number),
    )
    return [SeriesRow(*row) for row in rows]


def find_rows(
    connection: sqlite3.Connection,
    resolution: str,
    *,
    days: LocalDays,
    device: str | None = None,
    quantity: str | None = None,
    series: SeriesRow | None = None,
    since_ms: int | None = None,
    until_ms: int | None = None,
) -> Iterator[Row]:
    """Rows of that resolution in the order of time; where they are gone, the next coarser ones that are left.

    Args:
        connection: the kit's store; must stay open, and unused by writers, while the result is read.
        resolution: "raw", "hour" or "day".
        days: of the village.
        device: its name; None = all.
        quantity: its name, label included; None = all.
        series: only this one.
        since_ms: the first instant wanted, Unix ms; an hour or day that it falls into is not left out.
        until_ms: the first instant no longer wanted.
    """
    state = rollup_state(connection)
    found = [series] if series is not None else list_series(connection, device=device, quantity=quantity)
    since = -FAR_MS if since_ms is None else since_ms
    until = FAR_MS if until_ms is None else until_ms
    parts: list[Iterator[Row]] = []
    if resolution != "day" and since < state.hourly_from_ms:
        parts.append(_buckets(connection, "day", found, days, state, (since, min(until, state.hourly_from_ms))))
    if resolution == "raw" and since < state.raw_from_ms:
        span = (max(since, state.hourly_from_ms), min(until, state.raw_from_ms))
        parts.append(_buckets(connection, "hour", found, days, state, span))
    if resolution == "raw":
        start = max(since, state.raw_from_ms)
        readings = (series_readings(connection, row, start, until) for row in found)
        parts.append(heapq.merge(*readings, key=attrgetter("time_ms")))
    else:
        start = since if resolution == "day" else max(since, state.hourly_from_ms)
        parts.append(_buckets(connection, resolution, found, days, state, (start, until)))
    return (row for part in parts for row in part)


def stand_ins(
    connection: sqlite3.Connection,
    resolution: str,
    *,
    device: str | None = None,
    quantity: str | None = None,
    series: SeriesRow | None = None,
    since_ms: int | None = None,
) -> dict[str, int]:
    """The coarser resolutions with which the answer of `find_rows` begins, each with the Unix ms where it ends."""
    state = rollup_state(connection)
    since = -FAR_MS if since_ms is None else since_ms
    found = [series] if series is not None else list_series(connection, device=device, quantity=quantity)
    coarser = {"hour": (state.raw_from_ms, "hourly", "hour", HOUR_MS)} if resolution == "raw" else {}
    if resolution != "day":
        coarser["day"] = (state.hourly_from_ms, "daily", "day", DAY_MS)
    return {
        word: until
        for word, (until, table, column, unit_ms) in coarser.items()
        if since < until
        and any(
            connection.execute(
                f"SELECT 1 FROM {table} WHERE series = ? AND {column} >= ? AND {column} < ? LIMIT 1",  # noqa: S608 - names of the two tables above, no input
                (row.id, since // unit_ms, until // unit_ms),
            ).fetchone()
            for row in found
        )
    }


def _buckets(
    connection: sqlite3.Connection,
    resolution: str,
    found: list[SeriesRow],
    days: LocalDays,
    state: State,
    span: tuple[int, int],
) -> Iterator[Bucket]:
    calendar = _Hours() if resolution == "hour" else _Days(days)
    return heapq.merge(
        *(_series_buckets(connection, calendar, row, state, span) for row in found), key=attrgetter("start_ms")
    )


class _Hours:
    """Hours as buckets."""

    resolution, table, column = "hour", "hourly", "hour"

    def number(self, at_ms: int) -> int:
        return at_ms // HOUR_MS

    def start_ms(self, number: int) -> int:
        return number * HOUR_MS

    def dirty(self, connection: sqlite3.Connection, series: int) -> set[int]:
        return {row[0] for row in connection.execute("SELECT hour FROM rollup_dirty WHERE series = ?", (series,))}


class _Days:
    """The village's days as buckets."""

    resolution, table, column = "day", "daily", "day"

    def __init__(self, days: LocalDays) -> None:
        self._days = days
        self.number, self.start_ms = days.day, days.start_ms

    def dirty(self, connection: sqlite3.Connection, series: int) -> set[int]:
        found = {row[0] for row in connection.execute("SELECT day FROM rollup_dirty_days WHERE series = ?", (series,))}
        for (hour,) in connection.execute("SELECT hour FROM rollup_dirty WHERE series = ?", (series,)):
            found |= {self.number(hour * HOUR_MS), self.number((hour + 1) * HOUR_MS - 1)}
        return found


def _series_buckets(
    connection: sqlite3.Connection, calendar: _Hours | _Days, series: SeriesRow, state: State, span: tuple[int, int]
) -> Iterator[Bucket]:
    since_ms, until_ms = span
    if since_ms >= until_ms:
        return
    horizon = calendar.number(state.horizon_ms)
    first, end = calendar.number(since_ms), calendar.number(until_ms - 1) + 1
    dirty = {number for number in calendar.dirty(connection, series.id) if first <= number < min(end, horizon)}
    kept = connection.execute(
        f"SELECT {calendar.column}, count, usable, low, mean, high, flags FROM {calendar.table} "  # noqa: S608 - names of the two tables above, no input
        f"WHERE series = ? AND {calendar.column} >= ? AND {calendar.column} < ? ORDER BY {calendar.column}",
        (series.id, first, min(end, horizon)),
    )
    merged: Iterator[tuple[int, Any]] = heapq.merge(
        ((row[0], row) for row in kept),
        ((number, None) for number in sorted(dirty)),
        ((number, None) for number in _unrolled(connection, calendar, series.id, max(first, horizon), until_ms)),
        key=_number,
    )
    told = None
    for number, row in merged:
        start_ms, end_ms = calendar.start_ms(number), calendar.start_ms(number + 1)
        closed = row is not None and start_ms < state.raw_from_ms
        if number == told or (row is not None and number in dirty and not closed):
            continue
        found = Totals(*row[1:]) if row is not None else totals(connection, series.id, start_ms, end_ms)
        if found.total:
            told = number
            flags = {int(quality): count for quality, count in json.loads(found.flags).items()} if found.flags else {}
            yield Bucket(
                start_ms,
                end_ms,
                calendar.resolution,
                series.device,
                series.quantity,
                series.unit,
                found.total,
                found.usable,
                found.low,
                found.mean,
                found.high,
                flags,
            )


def _unrolled(
    connection: sqlite3.Connection, calendar: _Hours | _Days, series: int, first: int, until_ms: int
) -> Iterator[int]:
    """The buckets behind the horizon that have readings."""
    last = None
    for hour in hours_with_readings(connection, series, calendar.start_ms(first), until_ms):
        for number in (calendar.number(hour * HOUR_MS), calendar.number((hour + 1) * HOUR_MS - 1)):
            if number >= first and (last is None or number > last) and calendar.start_ms(number) < until_ms:
                last = number
                yield number


def _number(pair: tuple[int, Any]) -> int:
    return pair[0]
