"""Contradictions within a device, and against its neighbours."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.clock import ManualClock
from kit.collect.ingest import Ingest
from kit.model.batch import decode_batch, encode_batch
from kit.model.consistency import contradictions, dew_point_of, partners
from kit.model.messages import Published
from kit.model.neighbourhood import LEARNED_FROM, Usual, median_of
from kit.model.readings import Quality, Reading, explain_quality, is_usable, qc_letter
from kit.store.database import Database
from kit.store.devices import add_device
from kit.store.readings import find_readings, latest_readings, unsynced
from kit.store.schema import MIGRATIONS
from village_apps.web.doubts import SENTENCES

START_S = 1_790_000_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as opened:
        yield opened


class Station:
    """Publishes for several devices at chosen times."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ingest = Ingest(ManualClock(at_s=START_S))

    def say(self, device: str, at_s: float, **values: float) -> None:
        units = {"temperature": "Cel", "dew_point": "Cel", "wet_bulb": "Cel", "humidity": "%RH", "pressure": "hPa"}
        pack = [{"n": name, "u": units.get(name, "m/s"), "v": value, "t": at_s} for name, value in values.items()]
        message = Published(
            username=device,
            client_id=device,
            topic=f"sensors/{device}",
            payload=json.dumps(pack).encode(),
            qos=0,
            retain=False,
            duplicate=False,
            packet_id=None,
            received_ms=int(at_s * 1000),
        )
        with self.database.atomic() as connection:
            self.ingest(connection, [message])

    def latest(self, device: str) -> dict[str, str]:
        return {row.quantity: row.quality_word for row in latest_readings(self.database.connection, device=device)}


@pytest.fixture
def station(database: Database) -> Station:
    return Station(database)


@pytest.mark.parametrize("order", [("temperature", "dew_point"), ("dew_point", "temperature")])
def test_a_dew_point_above_the_air_is_blamed_and_the_thermometer_is_not(
    station: Station, order: tuple[str, str]
) -> None:
    values = {"temperature": 8.0, "dew_point": 12.0}
    station.say("s", START_S, **{name: values[name] for name in order})
    assert station.latest("s") == {"temperature": "good", "dew_point": "inconsistent"}


def test_a_dew_point_that_temperature_and_humidity_do_not_make_is_blamed(station: Station) -> None:
    station.say("s", START_S, temperature=20.0, humidity=50.0, dew_point=2.0)
    assert station.latest("s")["dew_point"] == "inconsistent"
    station.say("t", START_S, temperature=20.0, humidity=50.0, dew_point=9.3)
    assert set(station.latest("t").values()) == {"good"}


def test_values_of_different_times_need_not_fit(station: Station) -> None:
    station.say("s", START_S, dew_point=12.0)
    station.say("s", START_S + 3600, temperature=8.0)
    assert set(station.latest("s").values()) == {"good"}


def test_a_gust_below_the_wind_is_blamed(station: Station) -> None:
    station.say("s", START_S, wind_speed=9.0, wind_gust=4.0)
    assert station.latest("s") == {"wind_speed": "good", "wind_gust": "inconsistent"}


def _night(station: Station, *, minutes: int, hollow: float, rng: random.Random) -> float:
    """Three thermometers, one in a hollow; returns the time after the night."""
    for minute in range(0, minutes, 10):
        air = 10.0 - minute / 100
        for device, more in (("hill", 0.4), ("school", 0.0), ("hollow", hollow)):
            station.say(device, START_S + minute * 60, temperature=round(air + more + rng.uniform(-0.3, 0.3), 1))
    return START_S + minutes * 60


def test_a_thermometer_in_a_hollow_is_always_colder_and_not_called_into_question(station: Station) -> None:
    _night(station, minutes=900, hollow=-6.0, rng=random.Random(3))
    assert {row.quality_word for row in find_readings(station.database.connection)} == {"good"}


def test_a_thermometer_that_leaves_its_neighbours_is_called_into_question_and_stays_in_use(station: Station) -> None:
    after_s = _night(station, minutes=900, hollow=-2.0, rng=random.Random(4))
    for minute in range(0, 60, 10):  # a slow leak of warmth: no step, and possible
        station.say("hill", after_s + minute * 60, temperature=1.4)
        station.say("school", after_s + minute * 60, temperature=1.0)
        station.say("hollow", after_s + minute * 60, temperature=-1.0 + minute / 4)
    row = latest_readings(station.database.connection, device="hollow")[0]
    assert row.quality_word == "neighbour"
    assert is_usable(row.quality)
    assert qc_letter(row.quality) == "Q"
    assert station.latest("school")["temperature"] == "good"  # a doubted neighbour has no say


def test_what_is_usual_survives_a_restart(station: Station) -> None:
    after_s = _night(station, minutes=900, hollow=-6.0, rng=random.Random(5))
    again = Station(station.database)
    again.say("hill", after_s, temperature=1.4)
    again.say("school", after_s, temperature=1.0)
    again.say("hollow", after_s, temperature=-5.0)
    assert again.latest("hollow")["temperature"] == "good"
    again.say("hollow", after_s + 600, temperature=3.0)
    assert "neighbour" in again.latest("hollow")["temperature"]


def test_sensors_far_apart_are_no_neighbours(station: Station) -> None:
    with station.database.atomic() as connection:
        for device, latitude in (("hill", 0.0), ("school", 0.01), ("hollow", 1.0)):
            add_device(connection, device, now_ms=0)
            connection.execute("UPDATE devices SET latitude = ?, longitude = 36.0 WHERE name = ?", (latitude, device))
    after_s = _night(station, minutes=900, hollow=-2.0, rng=random.Random(6))
    again = Station(station.database)
    again.say("hollow", after_s, temperature=20.0)
    assert "neighbour" not in again.latest("hollow")["temperature"]


def test_the_flags_travel_to_the_core(station: Station) -> None:
    doubted = Quality.NEIGHBOUR | Quality.STEP
    readings = [
        Reading(device="s", quantity="temperature", unit="Cel", time_ms=at, value=1.0, quality=quality)
        for at, quality in ((1, Quality.GOOD), (2, doubted), (3, Quality.INCONSISTENT))
    ]
    assert [one.quality for one in decode_batch(encode_batch(readings))] == [0, doubted, Quality.INCONSISTENT]
    station.say("s", START_S, temperature=8.0, dew_point=12.0)
    waiting = unsynced(station.database.connection, limit=9).readings
    assert [one.quality for one in decode_batch(encode_batch(waiting))].count(Quality.INCONSISTENT) == 1


def test_every_flag_has_its_sentence_and_the_pages_say_the_same() -> None:
    for flag in Quality:
        if flag is not Quality.GOOD:
            assert [SENTENCES[flag].msgid] == explain_quality(flag)


@given(temperature=st.floats(-40, 50), humidity=st.floats(1, 100))
def test_a_device_that_computes_its_dew_point_rightly_is_never_blamed(temperature: float, humidity: float) -> None:
    dew_point = dew_point_of(temperature, humidity)
    values = {"temperature": temperature, "humidity": humidity, "dew_point": dew_point}
    assert dew_point <= temperature + 1e-6
    assert contradictions(values) == set()


def test_partners_have_the_same_label() -> None:
    assert [one.name for one in partners("temperature:probe2")] == [
        "dew_point:probe2",
        "humidity:probe2",
        "wet_bulb:probe2",
    ]
    assert partners("co2") == ()


@given(values=st.lists(st.floats(-50, 50), min_size=1, max_size=9), bias=st.floats(-8, 8))
def test_a_constant_difference_is_learned_and_never_questioned(values: list[float], bias: float) -> None:
    usual, median = Usual(), median_of(values)
    for _ in range(3 * LEARNED_FROM):
        assert not usual.is_far(median + bias, median, floor=4.0)
        usual = usual.learn(median + bias, median, floor=4.0)
    assert usual.is_far(median + bias + 9.0, median, floor=4.0)


def test_a_sensor_that_was_moved_is_believed_again() -> None:
    usual = Usual()
    for _ in range(300):
        usual = usual.learn(0.0, 0.0, floor=4.0)
    questioned = 0
    while usual.is_far(9.0, 0.0, floor=4.0):
        usual = usual.learn(9.0, 0.0, floor=4.0)
        questioned += 1
    assert 10 < questioned < 500
