"""The readings' store: written fast, read in order, nothing twice, nothing lost at a rollback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.model.readings import Quality, Raw
from kit.store import ingest_state, readings
from kit.store.database import Database
from kit.store.reading_writer import MAX_SERIES_PER_DEVICE, Outcome, ReadingWriter
from kit.store.readings import (
    count_unsynced,
    find_readings,
    forget_unsynced,
    latest_readings,
    raw_reading,
    sensors,
    spans,
    unsynced,
)

NOON = 1_460_462_400_000
MINUTE = 60_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "kit.db", migrations=(*readings.MIGRATIONS, *ingest_state.MIGRATIONS)) as opened:
        yield opened


@pytest.fixture
def writer() -> ReadingWriter:
    return ReadingWriter()


def _write(
    database: Database,
    writer: ReadingWriter,
    *rows: tuple[str, int, float],
    quality: int = 0,
    quantity: str = "temperature",
    own_time: bool = True,
) -> list[Outcome]:
    """Write (device, time_ms, value) in one transaction."""
    outcomes = []
    with database.atomic() as connection:
        writer.begin(connection)
        for device, time_ms, value in rows:
            series = writer.series(connection, device, quantity, "Cel")
            assert series is not None
            outcomes.append(
                writer.add(
                    connection,
                    series,
                    time_ms=time_ms,
                    value=value,
                    quality=quality,
                    raw=None,
                    arrived_ms=min(time_ms, NOON + 1_000_000_000),
                    own_time=own_time,
                )
            )
            writer.saw(device, time_ms)
        writer.flush(connection)
    return outcomes


def _values(database: Database, **wanted: str | int | bool) -> list[float]:
    return [row.value for row in find_readings(database.connection, **wanted)]  # type: ignore[arg-type]


def test_readings_of_several_devices_come_in_the_order_of_time(database: Database, writer: ReadingWriter) -> None:
    _write(database, writer, ("b", NOON + 1, 2), ("a", NOON, 1), ("a", NOON + 2, 3), ("b", NOON + 3, 4))
    assert _values(database) == [1, 2, 3, 4]


def test_readings_are_found_by_device_quantity_and_time(database: Database, writer: ReadingWriter) -> None:
    _write(database, writer, *(("a", NOON + i * MINUTE, i) for i in range(5)))
    _write(database, writer, ("b", NOON, 50))
    _write(database, writer, ("a", NOON, 80), quantity="humidity")
    assert _values(database, device="b") == [50]
    assert _values(database, quantity="humidity") == [80]
    since_until = {"since_ms": NOON + MINUTE, "until_ms": NOON + 3 * MINUTE}
    assert _values(database, device="a", quantity="temperature", **since_until) == [1, 2]


def test_a_reading_sent_again_changes_nothing(database: Database, writer: ReadingWriter) -> None:
    assert _write(database, writer, ("a", NOON, 1), ("a", NOON, 1)) == [Outcome.STORED, Outcome.REPEATED]
    assert _write(database, ReadingWriter(), ("a", NOON, 1)) == [Outcome.REPEATED]
    assert _values(database) == [1]
    assert len(unsynced(database.connection, limit=10).readings) == 1


def test_another_value_at_the_same_time_is_kept_a_millisecond_later(database: Database, writer: ReadingWriter) -> None:
    assert _write(database, writer, ("a", NOON, 1), ("a", NOON, 2))[1] is Outcome.SHIFTED
    assert _write(database, writer, ("a", NOON, 2))[0] is Outcome.REPEATED
    rows = list(find_readings(database.connection))
    assert [(row.time_ms, row.value, row.quality_word) for row in rows] == [
        (NOON, 1, "good"),
        (NOON + 1, 2, "time_shifted"),
    ]


def test_undated_readings_of_one_millisecond_are_all_kept(database: Database, writer: ReadingWriter) -> None:
    _write(database, writer, ("a", NOON, 1), ("a", NOON, 1), ("a", NOON, 1), own_time=False)
    assert _values(database) == [1, 1, 1]


def test_more_than_a_thousand_readings_in_one_second_are_crowded_out(database: Database, writer: ReadingWriter) -> None:
    outcomes = _write(database, writer, *(("a", NOON, float(i)) for i in range(1001)))
    assert outcomes.count(Outcome.CROWDED_OUT) == 1


def test_the_latest_reading_is_the_one_measured_last_not_the_one_that_came_last(
    database: Database, writer: ReadingWriter
) -> None:
    _write(database, writer, ("a", NOON, 1))
    _write(database, writer, ("a", NOON - MINUTE, 2))
    assert [row.value for row in latest_readings(database.connection)] == [1]
    assert _values(database) == [2, 1]


def test_a_time_from_the_future_does_not_hide_what_is_measured_now(database: Database, writer: ReadingWriter) -> None:
    future = NOON + 10 * 365 * 86_400_000
    _write(database, writer, ("a", future, 9), quality=int(Quality.TIME_DOUBTFUL))
    _write(database, writer, ("a", NOON, 1))
    assert [row.value for row in latest_readings(database.connection)] == [1]
    assert _write(database, writer, ("a", future, 9), quality=int(Quality.TIME_DOUBTFUL)) == [Outcome.REPEATED]
    assert _write(database, ReadingWriter(), ("a", future, 9)) == [Outcome.REPEATED]


def test_a_rolled_back_transaction_leaves_nothing_behind_in_memory(database: Database, writer: ReadingWriter) -> None:
    class PowerCutError(Exception):
        pass

    def write_and_fail() -> None:
        with database.atomic():
            _write(database, writer, ("new", NOON, 1), ("old", NOON + MINUTE, 2))
            raise PowerCutError

    _write(database, writer, ("old", NOON, 1))
    with pytest.raises(PowerCutError):
        write_and_fail()
    assert _write(database, writer, ("new", NOON, 1), ("old", NOON + MINUTE, 2)) == [Outcome.STORED, Outcome.STORED]
    assert [(row.device, row.value) for row in find_readings(database.connection)] == [
        ("new", 1),
        ("old", 1),
        ("old", 2),
    ]


def test_two_writers_on_one_store_do_not_disturb_each_other(database: Database, writer: ReadingWriter) -> None:
    other = ReadingWriter()
    _write(database, writer, ("a", NOON, 1))
    _write(database, other, ("a", NOON + MINUTE, 2))
    assert _write(database, writer, ("a", NOON + MINUTE, 2)) == [Outcome.REPEATED]
    assert _values(database) == [1, 2]


def test_the_devices_own_value_is_kept_beside_a_converted_one(database: Database, writer: ReadingWriter) -> None:
    with database.atomic() as connection:
        writer.begin(connection)
        series = writer.series(connection, "a", "temperature", "Cel")
        assert series is not None
        writer.add(
            connection,
            series,
            time_ms=NOON,
            value=0.0,
            quality=0,
            raw=Raw(32.0, "degF"),
            arrived_ms=NOON,
            own_time=True,
        )
        writer.flush(connection)
    assert raw_reading(database.connection, next(find_readings(database.connection))) == (32.0, "degF")


def test_unfit_readings_can_be_left_out(database: Database, writer: ReadingWriter) -> None:
    _write(database, writer, ("a", NOON, 1))
    _write(database, writer, ("a", NOON + 1, 2), quality=int(Quality.STEP))
    _write(database, writer, ("a", NOON + 2, 99), quality=int(Quality.IMPOSSIBLE))
    assert _values(database, usable_only=True) == [1, 2]


def test_a_sensor_has_an_age_unless_the_clock_was_set_back(database: Database, writer: ReadingWriter) -> None:
    _write(database, writer, ("a", NOON, 1))
    assert sensors(database.connection, NOON + 90_000)[0].age_s == 90
    assert sensors(database.connection, NOON - 90_000)[0].age_s is None


def test_the_device_with_the_longest_record_stands_first(database: Database, writer: ReadingWriter) -> None:
    _write(database, writer, ("short", NOON, 1), ("long", NOON - MINUTE, 1), ("long", NOON + MINUTE, 1))
    assert [span.device for span in spans(database.connection, "temperature")] == ["long", "short"]


def test_a_device_cannot_invent_series_without_end(database: Database, writer: ReadingWriter) -> None:
    with database.atomic() as connection:
        writer.begin(connection)
        made = [writer.series(connection, "a", f"q{i}", "") for i in range(MAX_SERIES_PER_DEVICE + 1)]
        other = writer.series(connection, "b", "q", "")
    assert made[-1] is None
    assert None not in made[:-1]
    assert other is not None


def test_the_store_stays_small(database: Database, writer: ReadingWriter) -> None:
    _write(database, writer, *(("a", NOON + i * MINUTE, i % 50 / 10) for i in range(20_000)))
    database.connection.execute("DELETE FROM unsynced")
    database.connection.execute("VACUUM")
    pages = database.connection.execute("PRAGMA page_count").fetchone()[0]
    size = database.connection.execute("PRAGMA page_size").fetchone()[0]
    assert pages * size / 20_000 < 20


def test_a_flood_of_undated_readings_is_kept_to_the_last_in_the_order_it_came(
    database: Database, writer: ReadingWriter
) -> None:
    """A device without a clock that sends faster than a thousand a second is acknowledged, so it is kept, too."""
    outcomes = _write(database, writer, *(("a", NOON + i // 100, float(i)) for i in range(5_000)), own_time=False)
    outcomes += _write(database, ReadingWriter(), ("a", NOON, 5_000.0), own_time=False)
    assert set(outcomes) == {Outcome.STORED, Outcome.SHIFTED}
    assert _values(database) == [float(i) for i in range(5_001)]


def test_a_batch_may_take_a_part_of_what_came_in_one_transaction(database: Database, writer: ReadingWriter) -> None:
    _write(database, writer, *(("a", NOON + i, float(i)) for i in range(7)))
    _write(database, writer, *(("b", NOON + i, float(i)) for i in range(3)))
    taken = []
    while (waiting := unsynced(database.connection, limit=4)).readings:
        taken.append([(reading.device, reading.value) for reading in waiting.readings])
        forget_unsynced(database.connection, waiting.last_id)
    assert taken == [
        [("a", 0), ("a", 1), ("a", 2), ("a", 3)],
        [("a", 4), ("a", 5), ("a", 6), ("b", 0)],
        [("b", 1), ("b", 2)],
    ]
    assert count_unsynced(database.connection, at_most=9) == (0, None)
