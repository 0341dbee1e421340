"""Hourly and daily aggregates of readings, kept for years when the readings themselves are gone.

A bucket is computed from the readings themselves, never added to, so nothing counts twice. Which ones have to be
computed is known exactly:

- The *horizon* is an hour. Readings dated before it are late: the transaction that stores one puts its hour into
  `rollup_dirty`. Readings dated later cost nothing; when the horizon passes them (`advance`), their hours become dirty.
- `roll` computes dirty hours, a few in each transaction, and makes their days dirty; then those days, once they are
  over.
- `thin` deletes readings older than wanted, never one whose hour and day were not computed. Such an hour is then
  *closed*: a reading that comes for it all the same cannot be told from one that is in it already, so it is counted
  (`State.too_late`) and not added.

Whoever reads (`kit.store.rollup_rows`) takes dirty buckets and those behind the horizon from the readings, so the answer
is right at any moment, however far behind the rolling up is. Only usable values are in minimum, mean and maximum; the
count is of all, and the flags of the others are counted by kind.
"""  # noqa: E501

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from kit.model.local_days import LocalDays
from kit.model.readings import UNFIT
from kit.store.packed_value import DECIMAL_BITS, QUALITY_SQL, VALUE_SQL

HOUR_MS = 3_600_000
NEVER_MS = -(2**53)
"""Before every reading; the horizon of a store that has never been rolled up."""

HOURS_AT_ONCE = 6
"""By which the horizon moves in one transaction: a few seeks for every series."""

BUCKETS_AT_ONCE = 40
"""Computed in one transaction: a few milliseconds, less than ingest would notice."""

ROWS_AT_ONCE = 2_000
"""Deleted in one transaction."""


class State(NamedTuple):
    """How far the rolling up is.

    Attributes:
        horizon_ms: readings dated before it are late; a full hour.
        raw_from_ms: readings before it are gone; a full hour.
        hourly_from_ms: hours before it are gone.
        too_late: readings that came for a closed hour.
    """

    horizon_ms: int
    raw_from_ms: int
    hourly_from_ms: int
    too_late: int


class Totals(NamedTuple):
    """What a bucket holds; minimum, mean and maximum are of the usable readings, None without any."""

    total: int
    usable: int
    low: float | None
    mean: float | None
    high: float | None
    flags: str


def rollup_state(connection: sqlite3.Connection) -> State:
    """How far the rolling up is."""
    row = connection.execute("SELECT horizon_ms, raw_from_ms, hourly_from_ms, too_late FROM rollup_state").fetchone()
    return State(*row) if row is not None else State(NEVER_MS, NEVER_MS, NEVER_MS, 0)


def horizon_ms(connection: sqlite3.Connection) -> int:
    """Readings dated before it are late."""
    row = connection.execute("SELECT horizon_ms FROM rollup_state").fetchone()
    return NEVER_MS if row is None else int(row[0])


def mark_late(connection: sqlite3.Connection, series: int, time_ms: int) -> None:
    """A reading of a past hour was added, moved there or taken away, in the caller's transaction."""
    connection.execute("INSERT OR IGNORE INTO rollup_dirty VALUES (?, ?)", (series, time_ms // HOUR_MS))


def totals(connection: sqlite3.Connection, series: int, start_ms: int, end_ms: int) -> Totals:
    """The bucket of a series' readings in [start, end), as they are now."""
    span = (series, start_ms, end_ms)
    count, usable, low, high, total = connection.execute(_TOTALS, span).fetchone()
    flags = dict(connection.execute(_FLAGS, span).fetchall())
    told = json.dumps(flags, separators=(",", ":")) if flags else ""
    return Totals(count, usable or 0, low, total / usable if usable else None, high, told)


def advance(connection: sqlite3.Connection, *, to_ms: int) -> bool:
    """Move the horizon towards `to_ms` (a full hour), in the caller's transaction; True when it is there."""
    state = rollup_state(connection)
    if to_ms == state.horizon_ms:
        return True  # nothing is written while an hour lasts: a card wears out by its pages
    if to_ms < state.horizon_ms:  # the kit's clock was set back; what lies between is read from the readings again
        _set_state(connection, horizon_ms=to_ms)
        return True
    first_ms = _first_reading_ms(connection, state.horizon_ms)
    if first_ms is None or first_ms >= to_ms:
        _set_state(connection, horizon_ms=to_ms)
        return True
    start_ms = max(state.horizon_ms, first_ms // HOUR_MS * HOUR_MS)
    end_ms = min(to_ms, start_ms + HOURS_AT_ONCE * HOUR_MS)
    for (series,) in connection.execute("SELECT id FROM series").fetchall():
        for hour in hours_with_readings(connection, series, start_ms, end_ms):
            connection.execute("INSERT OR IGNORE INTO rollup_dirty VALUES (?, ?)", (series, hour))
    _set_state(connection, horizon_ms=end_ms)
    return end_ms == to_ms


def roll(connection: sqlite3.Connection, days: LocalDays) -> bool:
    """Compute some dirty buckets, in the caller's transaction; True when there was nothing left to do."""
    state = rollup_state(connection)
    dirty = connection.execute("SELECT series, hour FROM rollup_dirty LIMIT ?", (BUCKETS_AT_ONCE,)).fetchall()
    for series, hour in dirty:
        start_ms = hour * HOUR_MS
        _compute(connection, "hourly", series, hour, start_ms, start_ms + HOUR_MS, state)
        for day in {days.day(start_ms), days.day(start_ms + HOUR_MS - 1)}:
            connection.execute("INSERT OR IGNORE INTO rollup_dirty_days VALUES (?, ?)", (series, day))
        connection.execute("DELETE FROM rollup_dirty WHERE series = ? AND hour = ?", (series, hour))
    if dirty:
        return False
    dirty = connection.execute(
        "SELECT series, day FROM rollup_dirty_days WHERE day < ? LIMIT ?",
        (days.day(state.horizon_ms), BUCKETS_AT_ONCE // 4),
    ).fetchall()
    for series, day in dirty:
        _compute(connection, "daily", series, day, days.start_ms(day), days.start_ms(day + 1), state)
        connection.execute("DELETE FROM rollup_dirty_days WHERE series = ? AND day = ?", (series, day))
    return not dirty


def may_thin(connection: sqlite3.Connection, before_ms: int, days: LocalDays) -> bool:
    """Whether every hour and day that begins before `before_ms` (Unix ms) has been computed."""
    dirty = connection.execute("SELECT 1 FROM rollup_dirty WHERE hour < ? LIMIT 1", (-(-before_ms // HOUR_MS),))
    dirty_days = connection.execute("SELECT 1 FROM rollup_dirty_days WHERE day <= ? LIMIT 1", (days.day(before_ms),))
    computed = dirty.fetchone() is None and dirty_days.fetchone() is None
    return computed and days.start_ms(days.day(before_ms) + 1) <= horizon_ms(connection)


def thin(connection: sqlite3.Connection, *, before_ms: int, days: LocalDays) -> int:
    """Delete some readings older than `before_ms`, in the caller's transaction; returns how many, 0 when all are gone.

    Nothing is deleted whose hour or day has not been computed.
    """
    before_ms = before_ms // HOUR_MS * HOUR_MS
    if not may_thin(connection, before_ms, days):
        return 0
    gone = 0
    for (series,) in connection.execute("SELECT id FROM series").fetchall():
        end = connection.execute(
            "SELECT time_ms FROM readings WHERE series = ? AND time_ms < ? ORDER BY time_ms LIMIT 1 OFFSET ?",
            (series, before_ms, ROWS_AT_ONCE - gone),
        ).fetchone()
        span = (series, before_ms if end is None else end[0])
        gone += connection.execute("DELETE FROM readings WHERE series = ? AND time_ms < ?", span).rowcount
        connection.execute("DELETE FROM raw_readings WHERE series = ? AND time_ms < ?", span)
        if gone >= ROWS_AT_ONCE:
            break
    if gone and before_ms > rollup_state(connection).raw_from_ms:
        _set_state(connection, raw_from_ms=before_ms)
    return gone


def thin_hourly(connection: sqlite3.Connection, *, before_ms: int) -> int:
    """Delete some hours older than `before_ms`, in the caller's transaction; their days stay. Returns how many."""
    before_ms = min(before_ms, rollup_state(connection).raw_from_ms) // HOUR_MS * HOUR_MS
    gone = connection.execute(
        "DELETE FROM hourly WHERE (series, hour) IN "
        "(SELECT h.series, h.hour FROM series s JOIN hourly h ON h.series = s.id AND h.hour < ? LIMIT ?)",
        (before_ms // HOUR_MS, ROWS_AT_ONCE),
    ).rowcount
    if gone and before_ms > rollup_state(connection).hourly_from_ms:
        _set_state(connection, hourly_from_ms=before_ms)
    return gone


def hours_with_readings(connection: sqlite3.Connection, series: int, start_ms: int, end_ms: int) -> Iterator[int]:
    """The hours of [start, end) in which the series has readings; one seek for each."""
    while True:
        row = connection.execute(
            "SELECT time_ms FROM readings WHERE series = ? AND time_ms >= ? AND time_ms < ? ORDER BY time_ms LIMIT 1",
            (series, start_ms, end_ms),
        ).fetchone()
        if row is None:
            return
        hour = row[0] // HOUR_MS
        yield hour
        start_ms = (hour + 1) * HOUR_MS


_UNFIT = int(UNFIT) << DECIMAL_BITS
_IN_SPAN = "FROM readings WHERE series = ? AND time_ms >= ? AND time_ms < ?"
_TOTALS = (
    "SELECT count(*), count(fit), min(fit), max(fit), sum(fit) FROM "  # noqa: S608 - names of the two tables above, no input
    f"(SELECT CASE WHEN code & {_UNFIT} = 0 THEN {VALUE_SQL} END AS fit {_IN_SPAN})"
)
_FLAGS = f"SELECT {QUALITY_SQL}, count(*) {_IN_SPAN} AND code >= {1 << DECIMAL_BITS} GROUP BY {QUALITY_SQL}"


def _compute(
    connection: sqlite3.Connection, table: str, series: int, number: int, start_ms: int, end_ms: int, state: State
) -> None:
    column = {"hourly": "hour", "daily": "day"}[table]
    if start_ms < state.raw_from_ms:
        closed = connection.execute(f"SELECT 1 FROM {table} WHERE series = ? AND {column} = ?", (series, number))  # noqa: S608 - names of the two tables above, no input
        if closed.fetchone() is not None:
            if table == "hourly":
                late = totals(connection, series, start_ms, end_ms).total
                connection.execute("UPDATE rollup_state SET too_late = too_late + ?", (late,))
            return
    found = totals(connection, series, start_ms, end_ms)
    if found.total:
        connection.execute(f"REPLACE INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (series, number, *found))  # noqa: S608 - names of the two tables above, no input
    else:
        connection.execute(f"DELETE FROM {table} WHERE series = ? AND {column} = ?", (series, number))  # noqa: S608 - names of the two tables above, no input


def _first_reading_ms(connection: sqlite3.Connection, since_ms: int) -> int | None:
    row = connection.execute(
        "SELECT min(first) FROM (SELECT (SELECT min(time_ms) FROM readings WHERE series = s.id AND time_ms >= ?) "
        "AS first FROM series s)",
        (since_ms,),
    ).fetchone()
    return None if row[0] is None else int(row[0])


def _set_state(connection: sqlite3.Connection, **changed: int) -> None:
    state = rollup_state(connection)._replace(**changed)
    connection.execute("REPLACE INTO rollup_state VALUES (1, ?, ?, ?, ?)", state)
