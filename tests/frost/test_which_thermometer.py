"""The frost warning goes by a thermometer that nobody can pretend to be, where there is one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.clock import ManualClock
from kit.collect.dialects import dialects
from kit.collect.ingest import Ingest
from kit.model.messages import Published
from kit.store.database import Database
from kit.store.devices import add_device
from kit.store.schema import MIGRATIONS
from village_apps.frost.station_history import choose_device, count_temperatures, observations

NOW_MS = 1_790_000_000_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as opened:
        yield opened


@pytest.fixture
def ingest() -> Ingest:
    return Ingest(ManualClock(at_s=NOW_MS / 1000))


def publish(database: Database, ingest: Ingest, device: str, topic: str, said: object, *hours_ago: int) -> None:
    """One message at each of these hours."""
    published = [
        Published(
            username=device,
            client_id=device,
            topic=topic,
            payload=json.dumps(said).encode(),
            qos=0,
            retain=False,
            duplicate=False,
            packet_id=None,
            received_ms=NOW_MS - hour * 3_600_000,
        )
        for hour in hours_ago
    ]
    with database.atomic() as connection:
        ingest(connection, published)


def measure(database: Database, ingest: Ingest, device: str, *hours_ago: int) -> None:
    """A device with one thermometer."""
    publish(database, ingest, device, f"sensors/{device}", [{"n": "temperature", "u": "Cel", "v": 4}], *hours_ago)


def measure_chips(database: Database, ingest: Ingest, *hours_ago: int, **chips: dict[str, float]) -> None:
    """The Tasmota `pump` with several chips."""
    said = {name.replace("_", "-"): values for name, values in chips.items()} | {"TempUnit": "C"}
    publish(database, ingest, "pump", "tele/pump/SENSOR", said, *hours_ago)


def add_pump(database: Database) -> None:
    """Let the Tasmota in."""
    grants = dialects()["tasmota"].grants("pump")
    add_device(database.connection, "pump", now_ms=0, kind="tasmota", base="pump", grants=grants)


def test_a_stranger_with_the_longer_record_does_not_warn_the_village(database: Database, ingest: Ingest) -> None:
    connection = database.connection
    for name in ("open-one", "orchard"):
        add_device(connection, name, now_ms=0)
    connection.execute("UPDATE devices SET open = 1 WHERE name = 'open-one'")
    assert choose_device(connection, "") is None
    measure(database, ingest, "open-one", 300, 200, 1)
    assert choose_device(connection, "") == "open-one", "better than none"
    measure(database, ingest, "orchard", 3, 2, 1)
    assert choose_device(connection, "") == "orchard"
    assert choose_device(connection, "open-one") == "open-one", "a person may wish otherwise"


def test_of_two_chips_in_one_device_the_one_that_hangs_in_the_air_is_forecast(
    database: Database, ingest: Ingest
) -> None:
    connection = database.connection
    add_pump(database)
    measure_chips(database, ingest, 9, 8, 7, DS18B20_1={"Temperature": 9.5}, DS18B20_2={"Temperature": 9.0})
    assert choose_device(connection, "") == "pump:ds18b20_1", "better than none"
    measure_chips(database, ingest, 3, 2, 1, BMP280={"Temperature": 5}, SHT3X={"Temperature": 4, "Humidity": 80})
    assert choose_device(connection, "") == "pump:sht3x"
    assert choose_device(connection, "pump") == "pump:sht3x"
    assert choose_device(connection, "pump:bmp280") == "pump:bmp280", "a person may wish otherwise"
    assert choose_device(connection, "not-yet") == "not-yet"


def test_a_new_thermometer_does_not_take_the_place_of_a_chip_with_a_longer_record(
    database: Database, ingest: Ingest
) -> None:
    add_pump(database)
    add_device(database.connection, "orchard", now_ms=0)
    measure(database, ingest, "orchard", 2, 1)
    measure_chips(database, ingest, 2, 1, DS18B20={"Temperature": 9.5}, BMP280={"Temperature": 5})
    assert choose_device(database.connection, "") == "orchard", "neither chip is known to hang in the air"
    measure_chips(database, ingest, 9, 1, BMP280={"Temperature": 5}, SHT3X={"Temperature": 4})
    assert choose_device(database.connection, "") == "pump:sht3x"


def test_what_is_observed_is_that_chip_with_what_the_device_measures_besides(
    database: Database, ingest: Ingest
) -> None:
    add_pump(database)
    measure_chips(database, ingest, 3, 2, 1, BMP280={"Temperature": 5}, SHT3X={"Temperature": 4, "Humidity": 80})
    since_ms = NOW_MS - 86_400_000
    seen = list(observations(database.connection, "pump:sht3x", since_ms=since_ms, until_ms=NOW_MS))
    assert [one.temperature_c for one in seen] == [4, 4, 4]
    assert all(one.dew_point_c is not None for one in seen)
    assert count_temperatures(database.connection, "pump:sht3x", since_ms=since_ms, until_ms=NOW_MS) == 3
    assert count_temperatures(database.connection, "pump", since_ms=since_ms, until_ms=NOW_MS) == 0
