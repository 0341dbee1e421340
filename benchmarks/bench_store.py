"""The readings' store: how fast it takes readings, how small they are, and how fast ten million of them answer.

    .venv/bin/python benchmarks/bench_store.py [--rows 10000000] [--only write|read]

- write: the whole `ReadingWriter` path (which series, seen before, flags, readings, queue for the core, newest value,
  when the device was heard) beside a bare `executemany` of the same rows into the same table, both 100 rows to a
  transaction with `synchronous=FULL`, taking turns. Floor: 0.7 of the bare one. The bytes are those of the whole file
  when the queue for the core is empty, with 100 series growing side by side as sensors' do. Floor: 25 a row.
- read: medians over a store of ten million readings of 100 series. Floors: the newest of every series and a day of one
  each within a millisecond; a year of daily minima and maxima 50 times as fast as from the readings.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

from kit.model.local_days import LocalDays
from kit.store import ingest_state, readings
from kit.store.database import Database
from kit.store.packed_value import VALUE_SQL, pack_value
from kit.store.reading_writer import ReadingWriter
from kit.store.readings import find_readings, latest_readings
from kit.store.rollup_rows import find_rows
from kit.store.rollups import HOUR_MS, roll

SERIES = 100
"""Twenty devices of five quantities: ten million readings are a year of one every five minutes."""

AT_ONCE = 100
START_MS = 1_700_000_000_000 // HOUR_MS * HOUR_MS
MIGRATIONS = (*readings.MIGRATIONS, *ingest_state.MIGRATIONS)
DAYS = LocalDays(ZoneInfo("Africa/Nairobi"))
Row = tuple[int, int, float]
"""Series, Unix ms, value."""


def weather(series: int, step: int) -> float:
    """A value as a thermometer of 0.01 °C says it."""
    return round(12 + 8 * math.sin(step / 230 + series) + (step * 7919 + series * 104_729) % 100 / 50, 2)


def as_they_come(count: int, *, first: int) -> list[Row]:
    """Every series in turn, once a minute, a little unpunctual."""
    rounds = range(first, first + count // SERIES)
    return [
        (series, START_MS + step * 60_000 + step * series * 37 % 900, weather(series, step))
        for step in rounds
        for series in range(1, SERIES + 1)
    ]


class Bare:
    """What any program would do."""

    name = "bare executemany"

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, rows: list[Row]) -> None:
        packed = [(series, at_ms, *pack_value(value, 2)) for series, at_ms, value in rows]
        began = time.perf_counter()
        with self._database.atomic() as connection:
            connection.executemany("INSERT INTO readings VALUES (?, ?, ?, ?)", packed)
        self.took_s = time.perf_counter() - began


class Whole:
    """What the kit does with every reading it acknowledges."""

    name = "ReadingWriter"

    def __init__(self, database: Database) -> None:
        self._database, self._writer = database, ReadingWriter()

    def write(self, rows: list[Row]) -> None:
        began = time.perf_counter()
        writer = self._writer
        with self._database.atomic() as connection:
            writer.begin(connection)
            for number, at_ms, value in rows:
                device = f"d{number // 5}"
                series = writer.series(connection, device, f"q{number % 5}", "Cel")
                assert series is not None
                writer.add(
                    connection,
                    series,
                    time_ms=at_ms,
                    value=value,
                    quality=0,
                    raw=None,
                    arrived_ms=at_ms,
                    own_time=True,
                )
                writer.saw(device, at_ms)
            writer.flush(connection)
        self.took_s = time.perf_counter() - began


def measure_writing(folder: Path, count: int) -> bool:
    with (
        Database(folder / "bare.db", migrations=MIGRATIONS) as bare_store,
        Database(folder / "whole.db", migrations=MIGRATIONS) as whole_store,
    ):
        sides: list[Bare | Whole] = [Bare(bare_store), Whole(whole_store)]
        took: dict[str, list[float]] = {side.name: [] for side in sides}
        rows = as_they_come(count, first=0)
        for at in range(0, len(rows), AT_ONCE):
            for side in sides:  # in turns, so that a busy machine disturbs both alike
                side.write(rows[at : at + AT_ONCE])
                took[side.name].append(side.took_s)
        median = {name: statistics.median(each) for name, each in took.items()}
        for name, seconds in median.items():
            print(f"{name:>20}{AT_ONCE / seconds:12.0f} rows/s at {AT_ONCE} rows a transaction")
        ratio = median[Bare.name] / median[Whole.name]
        print(f"{'ratio':>20}{ratio:12.2f}  (floor 0.70)")
        queued = size_of(whole_store)
        whole_store.connection.execute("DELETE FROM unsynced")
        whole_store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        free, page = (whole_store.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in FREE)
        stored = (queued - free * page) / len(rows)
        print(
            f"{'bytes a row':>20}{stored:12.1f}  (floor 25)  and {queued / len(rows) - stored:.1f} while it is queued"
        )
        return ratio >= 0.7 and stored <= 25


FREE = ("freelist_count", "page_size")


def size_of(database: Database) -> int:
    database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return database.file.stat().st_size


def fill(database: Database, count: int) -> int:
    """`count` readings, each series a year or so long; returns Unix ms of the newest."""
    connection = database.connection
    connection.execute("PRAGMA synchronous=OFF")
    each, step_ms = count // SERIES, 300_000

    def rows() -> Iterator[tuple[int, int, float, int]]:
        for series in range(1, SERIES + 1):
            values = [pack_value(weather(series, step), 2) for step in range(2_000)]
            for step in range(each):
                yield series, START_MS + step * step_ms, *values[step % 2_000]

    with database.atomic():
        connection.executemany(
            "INSERT INTO series VALUES (?, ?, ?, 'Cel')",
            [(number, f"d{number // 5}", f"q{number % 5}") for number in range(1, SERIES + 1)],
        )
        connection.executemany("INSERT INTO readings VALUES (?, ?, ?, ?)", rows())
        newest_ms = START_MS + (each - 1) * step_ms
        connection.executemany(
            "INSERT INTO latest_readings VALUES (?, ?, 1.5, 0, ?, ?, 1.5)",
            [(number, newest_ms, newest_ms, newest_ms) for number in range(1, SERIES + 1)],
        )
    # one series is rolled up, as the service would; all of them would only make this program slower
    horizon_ms = newest_ms // HOUR_MS * HOUR_MS
    with database.atomic():
        connection.execute("REPLACE INTO rollup_state VALUES (1, ?, ?, ?, 0)", (horizon_ms, -(2**53), -(2**53)))
        hours = range(START_MS // HOUR_MS, horizon_ms // HOUR_MS)
        connection.executemany("INSERT INTO rollup_dirty VALUES (7, ?)", [(hour,) for hour in hours])
    done = False
    while not done:
        with database.atomic() as inside:
            done = roll(inside, DAYS)
    return newest_ms


def median_ms(ask: Callable[[], object], times: int) -> float:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def measure_reading(folder: Path, count: int) -> bool:
    with Database(folder / "large.db", migrations=MIGRATIONS) as database:
        newest_ms = fill(database, count)
        connection = database.connection
        year_ms = 365 * 24 * HOUR_MS
        since_ms = DAYS.start_ms(DAYS.day(newest_ms - year_ms))
        until_ms = DAYS.start_ms(DAYS.day(newest_ms))

        def latest() -> int:
            return len(latest_readings(connection))

        def a_day() -> int:
            since_ms = newest_ms - 24 * HOUR_MS
            return sum(1 for _ in find_readings(connection, device="d1", quantity="q2", since_ms=since_ms))

        def year_rolled() -> int:
            rows = connection.execute(
                "SELECT day, low, high FROM daily WHERE series = 7 AND day >= ? AND day < ?",
                (DAYS.day(since_ms), DAYS.day(until_ms)),
            )
            return len(rows.fetchall())

        def year_scanned() -> int:
            rows = connection.execute(
                f"SELECT (time_ms + 10800000) / 86400000 AS day, min({VALUE_SQL}), max({VALUE_SQL}) FROM readings "
                "WHERE series = 7 AND time_ms >= ? AND time_ms < ? GROUP BY day",
                (since_ms, until_ms),
            )
            return len(rows.fetchall())

        def year_asked() -> int:
            rows = find_rows(
                connection, "day", days=DAYS, device="d1", quantity="q2", since_ms=since_ms, until_ms=until_ms
            )
            return sum(1 for _ in rows)

        assert year_rolled() == year_scanned() == year_asked(), (year_rolled(), year_scanned(), year_asked())
        ms = {
            f"newest of {latest()} series": median_ms(latest, 50),
            f"24 h of one series, {a_day()} rows": median_ms(a_day, 50),
            f"{year_rolled()} daily min, max: from rollups": median_ms(year_rolled, 50),
            "the same from the readings": median_ms(year_scanned, 9),
            "the same as `kit readings` asks": median_ms(year_asked, 9),
        }
        print(f"\n{count:,} readings, {size_of(database) / count:.1f} bytes each")
        for what, took in ms.items():
            print(f"{what:>45}{took:10.3f} ms")
        newest, day, rolled, scanned, _ = ms.values()
        print(f"{'rollups are faster':>45}{scanned / rolled:9.0f} ×  (floor 50)")
        return newest <= 1 and day <= 1 and scanned >= 50 * rolled


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--written", type=int, default=200_000)
    parser.add_argument("--only", choices=("write", "read"))
    arguments = parser.parse_args()
    fine = True
    with tempfile.TemporaryDirectory() as folder:
        if arguments.only != "read":
            fine &= measure_writing(Path(folder), arguments.written)
        if arguments.only != "write":
            fine &= measure_reading(Path(folder), arguments.rows)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
