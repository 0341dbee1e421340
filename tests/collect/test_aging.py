"""The service that rolls readings up and thins them out, on a clock that is turned by hand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from kit.clock import AcceleratedClock, ManualClock, SystemClock
from kit.collect.aging import Aging
from kit.collect.ingest import Ingest
from kit.model.local_days import LocalDays
from kit.model.messages import Published
from kit.settings import RetentionSettings
from kit.store.database import Database
from kit.store.readings import find_readings
from kit.store.rollup_rows import Bucket, find_rows
from kit.store.schema import MIGRATIONS

NOON_S = 1_460_462_400
HOUR_S = 3600
DAYS = LocalDays(ZoneInfo("Africa/Nairobi"))


class SetByAPerson(ManualClock):
    """Trusted, and yet perhaps corrected later."""

    @property
    def firm(self) -> bool:
        """As told by a phone."""
        return False


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as opened:
        yield opened


def publish(database: Database, ingest: Ingest, *times_s: float, now_s: float) -> None:
    messages = [
        Published(
            username="field-1",
            client_id="c",
            topic="sensors/field-1",
            payload=json.dumps([{"n": "temperature", "u": "Cel", "v": at_s % 97, "t": at_s}]).encode(),
            qos=1,
            retain=False,
            duplicate=False,
            packet_id=1,
            received_ms=int(now_s * 1000),
        )
        for at_s in times_s
    ]
    with database.atomic() as connection:
        ingest(connection, messages)


def finish(aging: Aging) -> None:
    for _ in range(2000):
        if aging.step():
            return
    raise AssertionError("the aging never comes to an end")


def test_after_a_year_there_are_days_of_all_and_readings_of_the_last_ones(database: Database) -> None:
    clock = ManualClock(at_s=NOON_S)
    ingest = Ingest(clock)
    aging = Aging(database, clock, days=DAYS, retention=RetentionSettings(raw_days=30, hourly_days=100))
    for day in range(0, 365, 5):
        clock.advance(5 * 24 * HOUR_S)
        start = NOON_S + day * 24 * HOUR_S
        publish(database, ingest, *(start + hour * 4 * HOUR_S for hour in range(30)), now_s=clock.now())
        finish(aging)
    oldest_ms = next(find_readings(database.connection)).time_ms
    assert 30 <= (clock.now() - oldest_ms / 1000) / 86_400 <= 32
    days = [row for row in find_rows(database.connection, "day", days=DAYS) if isinstance(row, Bucket)]
    assert sum(day.total for day in days) == 73 * 30
    kept = database.connection.execute("SELECT count(*) FROM hourly").fetchone()[0]
    assert 100 * 6 <= kept <= 102 * 6


def test_a_kit_that_does_not_know_the_time_deletes_nothing(database: Database) -> None:
    clock = ManualClock(at_s=NOON_S, trusted=False)
    publish(database, Ingest(clock), NOON_S, now_s=NOON_S)
    clock.advance(4000 * 24 * HOUR_S)
    aging = Aging(database, clock, days=DAYS, retention=RetentionSettings(raw_days=1))
    finish(aging)
    assert len(list(find_readings(database.connection))) == 1


def test_a_clock_that_a_person_set_years_ahead_deletes_nothing(database: Database) -> None:
    clock = SetByAPerson(at_s=NOON_S)
    publish(database, Ingest(clock), NOON_S, now_s=NOON_S)
    clock.advance(4000 * 24 * HOUR_S)
    aging = Aging(database, clock, days=DAYS, retention=RetentionSettings(raw_days=1))
    finish(aging)
    assert len(list(find_readings(database.connection))) == 1


def test_while_an_hour_lasts_nothing_is_written(database: Database) -> None:
    clock = ManualClock(at_s=NOON_S)
    aging = Aging(database, clock, days=DAYS, retention=RetentionSettings())
    publish(database, Ingest(clock), NOON_S - 2 * HOUR_S, now_s=NOON_S)
    finish(aging)
    before = database.connection.total_changes
    clock.advance(60)
    finish(aging)
    assert database.connection.total_changes == before


def test_it_runs_beside_ingest_and_stops_when_told(tmp_path: Path) -> None:
    clock = AcceleratedClock(start_s=NOON_S, started_at_s=SystemClock().monotonic(), speed=3600.0)
    stop = threading.Event()
    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as store, Database(tmp_path / "kit.db") as aged:
        aging = Aging(aged, clock, days=DAYS, retention=RetentionSettings())
        thread = threading.Thread(target=aging.run, args=(stop,))
        thread.start()
        try:
            ingest = Ingest(clock)
            deadline = time.monotonic() + 20
            rolled = 0
            while rolled < 2 and time.monotonic() < deadline:
                publish(store, ingest, clock.now(), now_s=clock.now())
                rolled = store.connection.execute("SELECT count(*) FROM hourly").fetchone()[0]
                time.sleep(0.05)
        finally:
            stop.set()
            thread.join(5)
    assert not thread.is_alive()
    assert rolled >= 2
