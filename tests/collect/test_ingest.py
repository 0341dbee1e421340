"""From a device's message to stored readings."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.clock import ManualClock
from kit.collect.dialects.port import Heard, Parsed
from kit.collect.dialects.senml import SenMLDialect
from kit.collect.ingest import Ingest
from kit.model.messages import Published
from kit.store.database import Database
from kit.store.devices import add_device
from kit.store.facts import change_versions
from kit.store.ingest_state import PAYLOAD_KEPT_BYTES, malformed, problems
from kit.store.readings import find_readings, latest_readings, raw_reading, sensors
from kit.store.schema import MIGRATIONS

NOON_S = 1_460_462_400
NOON = NOON_S * 1000
LATER = NOON + 2 * 86_400_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(at_s=NOON_S)


@pytest.fixture
def ingest(clock: ManualClock) -> Ingest:
    return Ingest(clock)


def _message(payload: Any, **changes: Any) -> Published:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    told: dict[str, Any] = {
        "username": "field-1",
        "client_id": "c1",
        "topic": "sensors/field-1",
        "payload": body,
        "qos": 1,
        "retain": False,
        "duplicate": False,
        "packet_id": 1,
        "received_ms": NOON,
    }
    return Published(**(told | changes))


def _take(database: Database, ingest: Ingest, *messages: Published) -> None:
    with database.atomic() as connection:
        ingest(connection, messages)


def _rows(database: Database) -> list[tuple[str, str, str, float, str]]:
    return [
        (row.device, row.quantity, row.unit, row.value, row.quality_word) for row in find_readings(database.connection)
    ]


def _temperature(value: float, at_s: float | None = None, **more: Any) -> list[dict[str, Any]]:
    return [{"n": "temperature", "u": "Cel", "v": value} | ({} if at_s is None else {"t": at_s}) | more]


def test_a_sensor_that_sends_json_is_stored(database: Database, ingest: Ingest) -> None:
    _take(database, ingest, _message(_temperature(3.5, NOON_S - 60)))
    assert _rows(database) == [("field-1", "temperature", "Cel", 3.5, "good")]
    assert next(find_readings(database.connection)).time_ms == NOON - 60_000


def test_a_sensor_that_sends_cbor_is_stored(database: Database, ingest: Ingest) -> None:
    _take(database, ingest, _message(cbor2.dumps([{-2: "urn:dev:mac:1:", 0: "rh", 1: "%RH", 2: 81.5}])))
    assert _rows(database) == [("field-1", "humidity", "%RH", 81.5, "good")]


def test_fahrenheit_becomes_celsius_and_the_original_is_kept(database: Database, ingest: Ingest) -> None:
    _take(database, ingest, _message([{"n": "temp", "u": "degF", "v": 32}]))
    assert _rows(database) == [("field-1", "temperature", "Cel", 0.0, "good")]
    assert raw_reading(database.connection, next(find_readings(database.connection))) == (32.0, "degF")


def test_a_value_in_an_unknown_unit_is_kept_as_it_came_and_flagged(database: Database, ingest: Ingest) -> None:
    _take(database, ingest, _message([{"n": "temperature", "u": "Réaumur", "v": 12}]))
    assert _rows(database) == [("field-1", "temperature", "Réaumur", 12.0, "unit_unknown")]


def test_a_quantity_nobody_knows_is_kept_under_its_own_name(database: Database, ingest: Ingest) -> None:
    _take(database, ingest, _message([{"n": "Bee Hive Weight", "u": "kg", "v": 31.5}]))
    assert _rows(database) == [("field-1", "bee_hive_weight", "kg", 31.5, "good")]


def test_a_nameless_value_is_recognised_by_its_unit_or_its_topic(database: Database, ingest: Ingest) -> None:
    _take(
        database,
        ingest,
        _message([{"u": "%RH", "v": 80}]),
        _message([{"v": 1013.2}], topic="sensors/field-1/pressure"),
    )
    assert {row[:3] for row in _rows(database)} == {("field-1", "humidity", "%RH"), ("field-1", "pressure", "hPa")}


def test_two_probes_in_one_message_stay_apart(database: Database, ingest: Ingest) -> None:
    _take(database, ingest, _message([{"n": "probe1", "u": "Cel", "v": 1}, {"n": "probe2", "u": "Cel", "v": 2}]))
    assert {row[1] for row in _rows(database)} == {"temperature:probe1", "temperature:probe2"}


def test_two_probes_on_two_topics_stay_apart(database: Database, ingest: Ingest) -> None:
    _take(
        database,
        ingest,
        _message(_temperature(1), topic="sensors/field-1/soil"),
        _message(_temperature(2), topic="sensors/field-1/crop"),
        _message(_temperature(3), topic="sensors/field-1/data"),
    )
    assert {row[1] for row in _rows(database)} == {"temperature:soil", "temperature:crop", "temperature"}


def test_an_impossible_value_is_flagged_and_kept(database: Database, ingest: Ingest) -> None:
    _take(database, ingest, _message(_temperature(-127.0)))
    assert _rows(database) == [("field-1", "temperature", "Cel", -127.0, "impossible")]


def test_a_probe_that_has_not_moved_for_six_hours_is_stuck(database: Database, ingest: Ingest) -> None:
    for hour in range(9):
        _take(database, Ingest(ManualClock()), _message(_temperature(4.2, NOON_S + hour * 3600), received_ms=LATER))
    _take(database, ingest, _message(_temperature(4.3, NOON_S + 9 * 3600), received_ms=LATER))
    assert [row[4] for row in _rows(database)] == ["good"] * 6 + ["stuck"] * 3 + ["good"]


def test_saturated_air_and_a_calm_are_not_stuck(database: Database, ingest: Ingest) -> None:
    for hour in range(24):
        pack = [{"bt": NOON_S + hour * 3600, "n": "rh", "u": "%RH", "v": 100}, {"n": "wind_speed", "u": "m/s", "v": 0}]
        _take(database, ingest, _message(pack, received_ms=LATER))
    assert {row[4] for row in _rows(database)} == {"good"}


def test_the_same_value_after_a_long_silence_is_not_stuck(database: Database, ingest: Ingest) -> None:
    for at_s in (NOON_S, NOON_S + 40_000):
        _take(database, ingest, _message(_temperature(4.2, at_s), received_ms=LATER))
    assert {row[4] for row in _rows(database)} == {"good"}


def test_a_jump_is_flagged_and_an_impossible_value_is_no_base_for_one(database: Database, ingest: Ingest) -> None:
    for minute, value in enumerate([4.0, 85.0, 4.1, 12.0]):
        _take(database, ingest, _message(_temperature(value, NOON_S + minute * 60)))
    assert [row[4] for row in _rows(database)] == ["good", "impossible", "good", "step"]


def test_a_message_without_a_time_gets_the_kits(database: Database, ingest: Ingest) -> None:
    _take(database, ingest, _message(_temperature(4.0), received_ms=NOON + 123))
    assert next(find_readings(database.connection)).time_ms == NOON + 123
    assert _rows(database)[0][4] == "good"


def test_without_a_trusted_clock_the_kits_time_is_called_a_guess_and_still_serves(
    database: Database, ingest: Ingest, clock: ManualClock
) -> None:
    clock.trusted = False
    _take(database, ingest, _message(_temperature(4.0), received_ms=1_790_000_000_000))
    (row,) = find_readings(database.connection, usable_only=True)
    assert row.quality_word == "time_guessed"


def test_a_clock_that_was_never_set_dates_nothing_that_a_model_could_learn_from(
    database: Database, ingest: Ingest, clock: ManualClock
) -> None:
    clock.trusted = False
    _take(database, ingest, _message(_temperature(4.0), received_ms=86_400_000))
    assert [row[4] for row in _rows(database)] == ["time_guessed+time_doubtful"]
    assert list(find_readings(database.connection, usable_only=True)) == []
    assert [row.value for row in latest_readings(database.connection)] == [4.0], "but it is what is measured now"


def test_without_a_trusted_clock_no_device_is_called_late(
    database: Database, ingest: Ingest, clock: ManualClock
) -> None:
    clock.trusted = False
    _take(database, ingest, _message(_temperature(5.0, NOON_S + 10**8)))
    assert [row[4] for row in _rows(database)] == ["good"]


def test_a_device_whose_clock_runs_in_the_future_is_flagged(database: Database, ingest: Ingest) -> None:
    _take(database, ingest, _message(_temperature(4.0, NOON_S + 3600)), _message(_temperature(5.0, NOON_S)))
    assert [row[3:] for row in _rows(database)] == [(5.0, "good"), (4.0, "time_doubtful")]
    assert [row.value for row in latest_readings(database.connection)] == [5.0]


def test_a_dated_message_delivered_twice_is_stored_once(database: Database, ingest: Ingest) -> None:
    first = _message(_temperature(4.0, NOON_S))
    again = _message(_temperature(4.0, NOON_S), duplicate=True, received_ms=NOON + 5000)
    _take(database, ingest, first, again)
    _take(database, Ingest(ManualClock()), again)
    assert len(_rows(database)) == 1


def test_an_undated_message_delivered_twice_is_stored_once(database: Database, ingest: Ingest) -> None:
    again = _message(_temperature(4.0), duplicate=True, received_ms=NOON + 5000)
    _take(database, ingest, _message(_temperature(4.0)), again)
    _take(database, Ingest(ManualClock()), again)
    assert len(_rows(database)) == 1


@pytest.mark.parametrize(
    "difference",
    [
        {"duplicate": False},
        {"packet_id": 2},
        {"client_id": "c2"},
        {"payload": b'[{"n":"temperature","v":5}]'},
        {"received_ms": NOON + 2 * 3_600_000},
    ],
    ids=lambda difference: next(iter(difference)),
)
def test_an_undated_message_that_only_resembles_another_is_stored(
    database: Database, ingest: Ingest, difference: dict[str, Any]
) -> None:
    second = {"duplicate": True, "received_ms": NOON + 5000} | difference
    payload = second.pop("payload", _temperature(4.0))
    _take(database, ingest, _message(_temperature(4.0)), _message(payload, **second))
    assert len(_rows(database)) == 2


def test_a_burst_of_equal_undated_messages_is_kept_whole(database: Database, ingest: Ingest) -> None:
    _take(database, ingest, *(_message(_temperature(4.0), packet_id=number) for number in range(1, 101)))
    assert len(_rows(database)) == 100


def test_a_malformed_message_is_counted_and_the_last_one_kept(database: Database, ingest: Ingest) -> None:
    _take(database, ingest, _message(b"hello"), _message(_temperature(4.0)), _message(b"[" + b"x" * 5000))
    _take(database, ingest, _message(b"bye", received_ms=NOON + 1))
    (problem,) = malformed(database.connection)
    assert (problem.device, problem.count, problem.last_ms) == ("field-1", 3, NOON + 1)
    assert (problem.last_topic, problem.last_payload) == ("sensors/field-1", b"bye")
    assert "not valid JSON" in problem.last_reason
    assert len(_rows(database)) == 1


def test_of_a_large_malformed_message_only_the_beginning_is_kept(database: Database, ingest: Ingest) -> None:
    _take(database, ingest, _message(b"[" + b"x" * 5000))
    assert len(malformed(database.connection)[0].last_payload) == PAYLOAD_KEPT_BYTES


def test_what_is_no_number_is_counted_without_calling_the_message_malformed(database: Database, ingest: Ingest) -> None:
    _take(database, ingest, _message([{"n": "door", "vb": True}, *_temperature(4.0)]))
    assert malformed(database.connection) == []
    assert problems(database.connection)[0].last_reason == "'door' holds a truth value; only numbers are kept"
    assert len(_rows(database)) == 1


def test_a_topic_without_a_device_is_malformed_and_a_foreign_topic_is_not_ours(
    database: Database, ingest: Ingest
) -> None:
    _take(database, ingest, _message(_temperature(1), topic="sensors/"), _message(b"x", topic="alerts/village"))
    assert [(problem.device, problem.count) for problem in problems(database.connection)] == [("field-1", 1)]


def test_a_bug_in_a_dialect_costs_nobody_elses_reading(database: Database, clock: ManualClock) -> None:
    class Broken(SenMLDialect):
        name = "broken"

        def parse(self, heard: Heard) -> Parsed:
            del heard
            raise ZeroDivisionError

    add_device(database.connection, "b", kind="broken", now_ms=0)
    ingest = Ingest(clock, dialects={"broken": Broken(), "native": SenMLDialect()})
    _take(database, ingest, _message(b"", topic="sensors/b"), _message(_temperature(1)))
    assert len(_rows(database)) == 1
    assert "tell its makers" in malformed(database.connection)[0].last_reason


def test_a_device_was_seen_when_its_message_came(database: Database, ingest: Ingest) -> None:
    _take(database, ingest, _message(_temperature(1, NOON_S - 86_400), received_ms=NOON + 7))
    assert [(sensor.device, sensor.last_seen_ms) for sensor in sensors(database.connection, NOON)] == [
        ("field-1", NOON + 7)
    ]


def test_a_batch_with_readings_counts_one_change(database: Database, ingest: Ingest) -> None:
    _take(database, ingest, *(_message(_temperature(1, NOON_S + i)) for i in range(5)))
    _take(database, ingest, _message(b"nonsense"), _message(_temperature(1, NOON_S)))
    assert change_versions(database.connection, ["readings"]) == (1,)


def test_a_rolled_back_batch_can_be_taken_again(database: Database, ingest: Ingest) -> None:
    messages = [_message(_temperature(i, NOON_S + i), topic=f"sensors/new-{i}") for i in range(3)]

    def take_and_fail() -> None:
        with database.atomic() as connection:
            ingest(connection, messages)
            raise OSError

    with pytest.raises(OSError):
        take_and_fail()
    _take(database, ingest, *messages)
    assert len(_rows(database)) == 3


def test_names_and_units_that_a_terminal_would_obey_are_defused(database: Database, ingest: Ingest) -> None:
    _take(database, ingest, _message(b'[{"n":"x\\u001b[2J","u":"\\u001b[31m\\ud800","v":1},{"n":"\\ud800","vs":""}]'))
    assert _rows(database) == [("field-1", "x_2j", "?[31m?", 1.0, "good")]
    assert problems(database.connection)[0].last_reason == "'?' holds text; only numbers are kept"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(payload=st.binary(max_size=120), topic=st.text(max_size=20))
def test_no_message_makes_it_raise(database: Database, ingest: Ingest, payload: bytes, topic: str) -> None:
    for prefix in (b"", b"[{", b"\x81\xa1"):
        _take(database, ingest, _message(prefix + payload, topic=f"sensors/{topic}"))


def test_five_thousand_messages_a_second_are_taken(database: Database, ingest: Ingest) -> None:
    pack = [{"bt": 0, "n": "temperature", "u": "Cel", "v": 3.5}, {"n": "humidity", "u": "%RH", "v": 81.5}]
    batches = [
        [
            _message([pack[0] | {"bt": NOON_S + batch * 100 + i}, pack[1]], topic=f"sensors/f{i % 20}")
            for i in range(100)
        ]
        for batch in range(20)
    ]
    started = time.process_time()  # of this process alone: other work on the machine does not count
    for batch in batches:
        _take(database, ingest, *batch)
    assert 2000 / (time.process_time() - started) > 5000
