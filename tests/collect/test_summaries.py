"""Hours become summaries while only a radio is up: each told once, ahead of the readings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.clock import ManualClock
from kit.collect.batching import NARROW_ROWS, WAIT_S, Batcher
from kit.collect.ingest import Ingest
from kit.collect.summaries import GATHER_H, Summarizer
from kit.model.messages import Published
from kit.model.summary import HourSummary, decode_summary
from kit.store.database import Database
from kit.store.links import LinkRow, put_link
from kit.store.records import SqliteRecordStore, set_origin
from kit.store.schema import MIGRATIONS
from sync.protocol.records import Priority

NOON_S = 1_460_462_400
HOUR_S = 3600


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as opened:
        with opened.atomic() as connection:
            set_origin(connection, "k-1")
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(at_s=NOON_S)


@pytest.fixture
def summarizer(database: Database, clock: ManualClock) -> Summarizer:
    made = Summarizer(database, clock)
    made.step()
    return made


def link(database: Database, clock: ManualClock, name: str, state: str = "up", *, heard: bool = True) -> None:
    row = LinkRow(
        name=name,
        state=state,
        explain="",
        lowest_priority=4,
        last_heard_ms=int(clock.now() * 1000) if heard else None,
        last_sent_ms=None,
        airtime_left_ms=None,
        updated_ms=int(clock.now() * 1000),
    )
    with database.atomic() as connection:
        put_link(connection, row)


def measure(
    database: Database, clock: ManualClock, *values: float, quantity: str = "temperature", unit: str = "Cel"
) -> None:
    """Four readings an hour from now on; the clock moves with them."""
    for value in values:
        payload = [{"n": quantity, "u": unit, "v": value, "t": clock.now()}]
        message = Published(
            username="field-1",
            client_id="c",
            topic="sensors/field-1",
            payload=json.dumps(payload).encode(),
            qos=1,
            retain=False,
            duplicate=False,
            packet_id=1,
            received_ms=int(clock.now() * 1000),
        )
        with database.atomic() as connection:
            Ingest(clock)(connection, [message])
        clock.advance(HOUR_S / 4)


def told(database: Database) -> list[list[HourSummary]]:
    rows = database.connection.execute(
        "SELECT priority, body FROM records WHERE kind = 'summary' ORDER BY seq"
    ).fetchall()
    assert all(priority == Priority.SUMMARY for priority, _ in rows)
    return [decode_summary(bytes(body)) for _, body in rows]


def test_while_only_the_radio_is_up_each_hour_is_told_once_soon_after_it(
    database: Database, clock: ManualClock, summarizer: Summarizer
) -> None:
    link(database, clock, "lora")
    measure(database, clock, 3.0, 2.5, 2.0, 1.0, 0.5)
    summarizer.step()
    summarizer.step()
    ((hour,),) = told(database)
    assert (hour.hour_ms, hour.count) == (NOON_S * 1000, 4)
    assert (hour.mean, hour.low, hour.high) == (2.1, 1.0, 3.0)


def test_an_hour_that_has_just_ended_waits_for_its_last_readings(
    database: Database, clock: ManualClock, summarizer: Summarizer
) -> None:
    link(database, clock, "lora")
    measure(database, clock, 3.0, 2.5, 2.0, 1.0)
    summarizer.step()
    assert told(database) == []


def test_without_any_link_hours_gather_into_one_record(
    database: Database, clock: ManualClock, summarizer: Summarizer
) -> None:
    measure(database, clock, *[3.0, 2.0, 1.0, 2.0] * (GATHER_H - 2), 3.0)
    summarizer.step()
    assert told(database) == []
    measure(database, clock, *[3.0] * 4)
    summarizer.step()
    assert [len(hours) for hours in told(database)] == [GATHER_H - 1]


def test_a_core_that_is_not_heard_for_days_gets_a_record_a_day_and_the_rest_at_once_when_it_is_heard(
    database: Database, clock: ManualClock, summarizer: Summarizer
) -> None:
    link(database, clock, "lora", heard=False)
    for _ in range(3 * 24 + 2):
        measure(database, clock, 3.0, 2.0, 1.0, 2.0)
        summarizer.step()
    assert [len(hours) for hours in told(database)] == [GATHER_H] * 3
    link(database, clock, "lora")
    summarizer.step()
    assert sum(len(hours) for hours in told(database)) == 3 * 24 + 1


def test_while_a_wide_link_carries_the_readings_nothing_is_summarised(
    database: Database, clock: ManualClock, summarizer: Summarizer
) -> None:
    link(database, clock, "lora")
    link(database, clock, "cellular")
    store, batcher = SqliteRecordStore(database), Batcher(database, clock)
    for _ in range(3):
        measure(database, clock, *[3.0] * 4)
        clock.advance(WAIT_S)
        batcher.step()
        ids = [each.id for each in store.outgoing("core", now_ms=0, limit=100)]
        store.accepted(ids, peer="core", link="cellular", at_ms=0)
        summarizer.step()
    link(database, clock, "cellular", "down")
    summarizer.step()
    assert told(database) == []


def test_when_the_wide_link_fails_what_it_did_not_carry_is_summarised(
    database: Database, clock: ManualClock, summarizer: Summarizer
) -> None:
    link(database, clock, "lora")
    link(database, clock, "cellular")
    measure(database, clock, *[3.0] * 9)
    summarizer.step()
    assert told(database) == []
    link(database, clock, "cellular", "down")
    link(database, clock, "lora")
    summarizer.step()
    assert [len(hours) for hours in told(database)] == [2]


def test_a_power_cut_between_the_record_and_its_note_cannot_be(
    database: Database, clock: ManualClock, summarizer: Summarizer
) -> None:
    link(database, clock, "lora")
    measure(database, clock, *[3.0] * 5)
    database.connection.execute(
        "CREATE TEMP TRIGGER cut BEFORE UPDATE ON facts WHEN new.name = 'summaries' "
        "BEGIN SELECT raise(ABORT, 'cut'); END"
    )
    with pytest.raises(Exception, match="cut"):
        summarizer.step()
    assert told(database) == []
    database.connection.execute("DROP TRIGGER cut")
    Summarizer(database, clock).step()
    assert [len(hours) for hours in told(database)] == [1]


def test_a_clock_that_jumps_by_years_either_way_tells_no_hour_for_ever(
    database: Database, clock: ManualClock, summarizer: Summarizer
) -> None:
    link(database, clock, "lora")
    measure(database, clock, 3.0)
    clock.advance(10 * 365 * 86_400)
    link(database, clock, "lora")
    for _ in range(8):
        summarizer.step()
    measure(database, clock, *[1.0] * 5)
    summarizer.step()
    clock.advance(-10 * 365 * 86_400)
    link(database, clock, "lora")
    summarizer.step()
    measure(database, clock, *[2.0] * 5)
    summarizer.step()
    assert {hour.mean for hours in told(database) for hour in hours} >= {1.0, 2.0}


def test_while_only_the_radio_is_up_readings_wait_for_a_large_batch(database: Database, clock: ManualClock) -> None:
    batcher = Batcher(database, clock)
    link(database, clock, "lora")
    measure(database, clock, *[3.0] * 8)
    batcher.step()
    assert database.connection.execute("SELECT count(*) FROM records").fetchone()[0] == 0
    assert NARROW_ROWS > 100
    link(database, clock, "cellular")
    batcher.step()
    assert database.connection.execute("SELECT count(*) FROM records").fetchone()[0] == 1


def test_what_has_no_mean_is_left_out(database: Database, clock: ManualClock, summarizer: Summarizer) -> None:
    link(database, clock, "lora")
    measure(database, clock, *[350, 10, 5, 355, 0], quantity="wind_direction", unit="deg")
    summarizer.step()
    assert told(database) == []
