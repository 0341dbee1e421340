"""Hours and days are what the readings say, whatever came late, came twice, or is being rolled up just now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.model.local_days import LocalDays, date_of
from kit.model.readings import Quality, is_usable
from kit.store import ingest_state, readings
from kit.store.database import Database
from kit.store.reading_writer import ReadingWriter
from kit.store.readings import StoredReading, find_readings
from kit.store.rollup_rows import Bucket, find_rows, stand_ins
from kit.store.rollups import HOUR_MS, advance, roll, rollup_state, thin, thin_hourly

NEPAL = LocalDays(ZoneInfo("Asia/Kathmandu"))
"""UTC+05:45: its days begin in the middle of an hour."""

START = 1_460_462_400_000  # 2016-04-12T12:00Z
MINUTE = 60_000
DAY = 24 * HOUR_MS


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "kit.db", migrations=(*readings.MIGRATIONS, *ingest_state.MIGRATIONS)) as opened:
        yield opened


def write(database: Database, *rows: tuple[int, float], quality: int = 0, device: str = "a") -> None:
    """Readings (minutes after the start, value) in one transaction."""
    writer = ReadingWriter()
    with database.atomic() as connection:
        writer.begin(connection)
        series = writer.series(connection, device, "temperature", "Cel")
        assert series is not None
        for minute, value in rows:
            at_ms = START + minute * MINUTE
            writer.add(
                connection,
                series,
                time_ms=at_ms,
                value=value,
                quality=quality,
                raw=None,
                arrived_ms=at_ms,
                own_time=True,
            )
        writer.flush(connection)


def roll_up(database: Database, *, to_ms: int, steps: int = 1000) -> None:
    """As the service does, a transaction at a time."""
    for _ in range(steps):
        with database.atomic() as connection:
            there = advance(connection, to_ms=to_ms)
        with database.atomic() as connection:
            if roll(connection, NEPAL) and there:
                return


def buckets(database: Database, resolution: str) -> list[Bucket]:
    found = list(find_rows(database.connection, resolution, days=NEPAL))
    assert all(isinstance(row, Bucket) for row in found)
    return [row for row in found if isinstance(row, Bucket)]


def expected(raw: Sequence[StoredReading], resolution: str) -> list[tuple[object, ...]]:
    """The same, the plain way."""
    groups: dict[int, list[StoredReading]] = {}
    for row in raw:
        number = row.time_ms // HOUR_MS if resolution == "hour" else NEPAL.day(row.time_ms)
        groups.setdefault(number, []).append(row)
    told: list[tuple[object, ...]] = []
    for number, rows in sorted(groups.items()):
        good = [row.value for row in rows if is_usable(row.quality)]
        start = number * HOUR_MS if resolution == "hour" else NEPAL.start_ms(number)
        mean = pytest.approx(sum(good) / len(good)) if good else None
        flagged = sum(1 for row in rows if row.quality)
        told.append((start, len(rows), len(good), min(good, default=None), mean, max(good, default=None), flagged))
    return told


def plain(found: Sequence[Bucket]) -> list[tuple[object, ...]]:
    return [(b.start_ms, b.total, b.usable, b.low, b.mean, b.high, b.flagged) for b in found]


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("write"),
            st.lists(st.tuples(st.integers(0, 4000), st.integers(-99, 99)), min_size=1, max_size=20),
            st.sampled_from([0, int(Quality.STEP), int(Quality.IMPOSSIBLE)]),
        ),
        st.tuples(st.just("roll"), st.integers(0, 80), st.integers(1, 4)),
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_whatever_comes_late_or_twice_the_buckets_are_what_the_readings_say(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, object, object]]
) -> None:
    file = tmp_path_factory.mktemp("rollups") / "kit.db"
    with Database(file, migrations=(*readings.MIGRATIONS, *ingest_state.MIGRATIONS)) as database:
        for what, first, second in steps:
            if what == "write":
                write(database, *((m, v / 10) for m, v in first), quality=second)  # type: ignore[arg-type, attr-defined]
            else:
                roll_up(database, to_ms=START + first * HOUR_MS, steps=second)  # type: ignore[arg-type, operator]
        raw = list(find_readings(database.connection))
        for resolution in ("hour", "day"):
            assert plain(buckets(database, resolution)) == expected(raw, resolution)


def test_a_day_is_the_villages_and_ends_at_its_midnight(database: Database) -> None:
    write(database, (0, 1.0), (374, 2.0), (375, 3.0))  # 18:15 UTC is midnight in Kathmandu
    roll_up(database, to_ms=START + 3 * DAY)
    first, second = buckets(database, "day")
    assert (first.low, first.high, first.total) == (1, 2, 2)
    assert (second.low, second.total) == (3, 1)
    assert date_of(NEPAL.day(second.start_ms)) == "2016-04-13"


def test_the_flagged_are_counted_by_kind_and_left_out_of_the_mean(database: Database) -> None:
    write(database, (0, 1.0), (1, 3.0))
    write(database, (2, 999.0), quality=int(Quality.IMPOSSIBLE))
    write(database, (3, 5.0), quality=int(Quality.STEP))
    roll_up(database, to_ms=START + DAY)
    (hour,) = buckets(database, "hour")
    assert (hour.total, hour.usable, hour.mean, hour.high) == (4, 3, 3.0, 5.0)
    assert hour.flag_words == {"impossible": 1, "step": 1}


def test_an_hour_of_nothing_but_nonsense_has_no_mean(database: Database) -> None:
    write(database, (0, 999.0), quality=int(Quality.IMPOSSIBLE))
    roll_up(database, to_ms=START + DAY)
    (hour,) = buckets(database, "hour")
    assert (hour.total, hour.usable, hour.low, hour.mean, hour.high) == (1, 0, None, None, None)


def test_what_is_older_than_wanted_goes_and_its_hours_stay(database: Database) -> None:
    write(database, *((minute, float(minute)) for minute in range(0, 4 * 24 * 60, 30)))
    before = plain(buckets(database, "hour")), plain(buckets(database, "day"))
    roll_up(database, to_ms=START + 5 * DAY)
    cut_ms = NEPAL.start_ms(NEPAL.day(START + 2 * DAY))
    while thin_in_a_transaction(database, cut_ms):
        pass
    assert (plain(buckets(database, "hour")), plain(buckets(database, "day"))) == before
    assert next(find_readings(database.connection)).time_ms >= cut_ms - HOUR_MS
    rows = list(find_rows(database.connection, "raw", days=NEPAL))
    assert {type(row) for row in rows} == {Bucket, StoredReading}
    assert [row.time_ms for row in rows] == sorted(row.time_ms for row in rows)
    assert list(stand_ins(database.connection, "raw")) == ["hour"]
    assert stand_ins(database.connection, "hour") == {}


def thin_in_a_transaction(database: Database, before_ms: int) -> int:
    with database.atomic() as connection:
        return thin(connection, before_ms=before_ms, days=NEPAL)


def test_nothing_goes_before_its_hour_and_day_are_kept(database: Database) -> None:
    write(database, *((minute, 1.0) for minute in range(0, 4 * 24 * 60, 30)))
    assert thin_in_a_transaction(database, START + 2 * DAY) == 0
    roll_up(database, to_ms=START + 5 * DAY)
    write(database, (31, 5.0))  # late, and not yet rolled up
    assert thin_in_a_transaction(database, START + 2 * DAY) == 0
    roll_up(database, to_ms=START + 5 * DAY)
    assert thin_in_a_transaction(database, START + 2 * DAY) > 0


def test_a_reading_sent_again_after_its_hour_was_closed_counts_once(database: Database) -> None:
    write(database, *((minute, float(minute)) for minute in range(0, 4 * 24 * 60, 30)))
    roll_up(database, to_ms=START + 5 * DAY)
    before = plain(buckets(database, "hour")), plain(buckets(database, "day"))
    while thin_in_a_transaction(database, START + 2 * DAY):
        pass
    write(database, (30, 30.0), (60, 60.0))
    for _ in range(2):
        assert (plain(buckets(database, "hour")), plain(buckets(database, "day"))) == before
        roll_up(database, to_ms=START + 5 * DAY)
    assert rollup_state(database.connection).too_late == 2
    while thin_in_a_transaction(database, START + 2 * DAY):
        pass
    assert next(find_readings(database.connection)).time_ms >= START + DAY


def test_a_gap_is_filled_even_when_the_readings_around_it_are_gone(database: Database) -> None:
    write(database, *((minute, 1.0) for minute in range(0, 4 * 24 * 60, 30) if not 300 <= minute < 600))
    roll_up(database, to_ms=START + 5 * DAY)
    while thin_in_a_transaction(database, START + 2 * DAY):
        pass
    write(database, (330, -7.0))
    roll_up(database, to_ms=START + 5 * DAY)
    while thin_in_a_transaction(database, START + 2 * DAY):
        pass
    assert min(hour.low for hour in buckets(database, "hour") if hour.low is not None) == -7


def test_old_hours_go_their_days_stand_for_them(database: Database) -> None:
    write(database, *((minute, float(minute)) for minute in range(0, 6 * 24 * 60, 30)))
    roll_up(database, to_ms=START + 7 * DAY)
    while thin_in_a_transaction(database, START + 4 * DAY):
        pass
    with database.atomic() as connection:
        assert thin_hourly(connection, before_ms=START + 2 * DAY) > 0
    rows = list(find_rows(database.connection, "raw", days=NEPAL))
    kinds = [row.resolution if isinstance(row, Bucket) else "raw" for row in rows]
    assert list(dict.fromkeys(kinds)) == ["day", "hour", "raw"]
    assert list(stand_ins(database.connection, "raw")) == ["hour", "day"]


def test_a_clock_that_was_years_ahead_and_is_set_right_costs_no_bucket(database: Database) -> None:
    write(database, *((minute, float(minute)) for minute in range(0, 600, 30)))
    roll_up(database, to_ms=START + 3650 * DAY)
    write(database, (600, 1.0))
    roll_up(database, to_ms=START + 11 * HOUR_MS)
    write(database, (660, 2.0), (0, -1.0))
    raw = list(find_readings(database.connection))
    assert plain(buckets(database, "hour")) == expected(raw, "hour")


@given(at_s=st.integers(0, 4_000_000_000), zone=st.sampled_from(["Asia/Kathmandu", "America/Havana", "Africa/Nairobi"]))
def test_every_instant_lies_in_its_own_day(at_s: int, zone: str) -> None:
    days = LocalDays(ZoneInfo(zone))
    day = days.day(at_s * 1000)
    assert date_of(day) == datetime.fromtimestamp(at_s, UTC).astimezone(ZoneInfo(zone)).date().isoformat()
    assert days.start_ms(day) <= at_s * 1000 < days.start_ms(day + 1)
