"""Stored readings become records: nothing missed, nothing doubled."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.clock import ManualClock
from kit.collect.batching import POLL_S, ROWS, WAIT_S, Batcher
from kit.collect.ingest import Ingest
from kit.model.batch import decode_batch
from kit.model.messages import Published
from kit.model.readings import Reading
from kit.store.database import Database
from kit.store.readings import find_readings
from kit.store.records import set_origin
from kit.store.schema import MIGRATIONS
from sync.protocol.records import Priority

NOON_S = 1_460_462_400


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
def batcher(database: Database, clock: ManualClock) -> Batcher:
    return Batcher(database, clock)


def _publish(database: Database, clock: ManualClock, *times_s: float) -> None:
    messages = [
        Published(
            username="field-1",
            client_id="c",
            topic="sensors/field-1",
            payload=json.dumps([{"n": "temperature", "u": "Cel", "v": 3.5, "t": at_s}]).encode(),
            qos=1,
            retain=False,
            duplicate=False,
            packet_id=1,
            received_ms=int(clock.now() * 1000),
        )
        for at_s in times_s
    ]
    with database.atomic() as connection:
        Ingest(clock)(connection, messages)


def _sent(database: Database) -> list[list[Reading]]:
    rows = database.connection.execute("SELECT kind, priority, body FROM records ORDER BY seq").fetchall()
    assert all((kind, priority) == ("readings", Priority.READING) for kind, priority, _ in rows)
    return [decode_batch(bytes(body)) for _, _, body in rows]


def test_with_nothing_to_send_it_waits(batcher: Batcher, database: Database) -> None:
    assert batcher.step() == POLL_S
    assert _sent(database) == []


def test_a_hundred_readings_close_a_batch_at_once(batcher: Batcher, database: Database, clock: ManualClock) -> None:
    _publish(database, clock, *range(NOON_S - ROWS - 10, NOON_S))
    batcher.step()
    assert [len(batch) for batch in _sent(database)] == [ROWS]


def test_a_few_readings_wait_a_quarter_of_an_hour(batcher: Batcher, database: Database, clock: ManualClock) -> None:
    _publish(database, clock, NOON_S)
    clock.advance(WAIT_S - 10)
    assert batcher.step() == 10
    assert _sent(database) == []
    clock.advance(10)
    batcher.step()
    assert [len(batch) for batch in _sent(database)] == [1]


def test_a_back_dated_reading_is_sent_too(batcher: Batcher, database: Database, clock: ManualClock) -> None:
    _publish(database, clock, NOON_S)
    clock.advance(WAIT_S)
    batcher.step()
    _publish(database, clock, NOON_S - 7 * 86_400)
    clock.advance(WAIT_S)
    batcher.step()
    assert [batch[0].time_ms // 1000 for batch in _sent(database)] == [NOON_S, NOON_S - 7 * 86_400]


def test_a_clock_that_was_set_back_does_not_hold_readings_up(
    batcher: Batcher, database: Database, clock: ManualClock
) -> None:
    _publish(database, clock, NOON_S)
    clock.at_s -= 10 * 365 * 86_400
    batcher.step()
    assert [len(batch) for batch in _sent(database)] == [1]


def test_a_backlog_of_weeks_is_worked_off_without_locking_the_store_for_long(
    batcher: Batcher, database: Database, clock: ManualClock
) -> None:
    _publish(database, clock, *range(NOON_S - 2550, NOON_S))
    assert batcher.step() == 0.0
    assert len(_sent(database)) == 20
    batcher.step()
    assert [len(batch) for batch in _sent(database)] == [ROWS] * 25


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 130), st.booleans(), st.booleans()), min_size=1, max_size=6))
def test_every_reading_is_in_exactly_one_record_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool, bool]]
) -> None:
    clock, offset = ManualClock(at_s=NOON_S), 0
    with Database(tmp_path_factory.mktemp("batches") / "kit.db", migrations=MIGRATIONS) as database:
        with database.atomic() as connection:
            set_origin(connection, "k-1")
        for count, power_cut, back_dated in steps:
            offset += 1000
            start = NOON_S + (-offset if back_dated else 0) * 1000
            _publish(database, clock, *(start + offset + i for i in range(count)))
            clock.advance(600)
            _step(database, clock, power_cut=power_cut)
        clock.advance(WAIT_S)
        while Batcher(database, clock).step() == 0.0:
            pass
        sent = sorted(reading.time_ms for batch in _sent(database) for reading in batch)
        assert sent == sorted(row.time_ms for row in find_readings(database.connection))


def _step(database: Database, clock: ManualClock, *, power_cut: bool) -> None:
    with contextlib.suppress(ZeroDivisionError), database.atomic():
        Batcher(database, clock).step()
        1 // (not power_cut)  # the transaction ends here, one way or the other


def test_times_leave_cut_to_the_second_unless_two_would_become_one(
    batcher: Batcher, database: Database, clock: ManualClock
) -> None:
    _publish(database, clock, NOON_S + 0.7, NOON_S + 60.2, NOON_S + 60.9)
    clock.advance(WAIT_S)
    batcher.step()
    assert [each.time_ms - NOON_S * 1000 for each in _sent(database)[0]] == [0, 60_200, 60_900]


def test_a_sensor_that_says_the_same_for_a_day_costs_a_few_bytes(
    batcher: Batcher, database: Database, clock: ManualClock
) -> None:
    _publish(database, clock, *range(NOON_S, NOON_S + 100 * 900, 900))
    batcher.step()
    (size,) = database.connection.execute("SELECT sum(length(body)) FROM records").fetchone()
    assert size <= 40
