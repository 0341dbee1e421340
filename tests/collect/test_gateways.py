"""Devices of every kind through the real ingest: named, learned, bounded, and nobody speaks for another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.clock import ManualClock
from kit.collect.dialects import dialects
from kit.collect.ingest import Ingest
from kit.collect.speakers import PARTS_PER_GATEWAY
from kit.model.messages import Published
from kit.model.places import Place
from kit.store.database import Database
from kit.store.devices import UnknownDevice, add_device, place_device, places, remove_device
from kit.store.ingest_state import problems
from kit.store.learned import KEYS_PER_DEVICE, learned_by
from kit.store.readings import find_readings, raw_reading
from kit.store.schema import MIGRATIONS

NOW_MS = 1_790_000_000_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as opened:
        yield opened


@pytest.fixture
def ingest() -> Ingest:
    return Ingest(ManualClock(at_s=NOW_MS / 1000))


def let_in(database: Database, name: str, kind: str, *, base: str = "") -> None:
    dialect = dialects()[kind]
    with database.atomic() as connection:
        grants = dialect.grants(base or dialect.base(name))
        add_device(connection, name, kind=kind, base=base, grants=grants, now_ms=0)


def take(database: Database, ingest: Ingest, username: str, *messages: tuple[str, str]) -> None:
    with database.atomic() as connection:
        ingest(connection, [_published(username, topic, told, at) for at, (topic, told) in enumerate(messages)])


def _published(username: str, topic: str, told: str, at: int) -> Published:
    return Published(
        username=username,
        client_id=username,
        topic=topic,
        payload=told.encode(),
        qos=1,
        retain=False,
        duplicate=False,
        packet_id=at + 1,
        received_ms=NOW_MS + at,
    )


def measured(database: Database) -> set[tuple[str, str, float]]:
    return {(row.device, row.quantity, row.value) for row in find_readings(database.connection)}


def test_the_readings_of_a_gateways_devices_are_named_after_both(database: Database, ingest: Ingest) -> None:
    let_in(database, "gate", "zigbee2mqtt")
    take(database, ingest, "gate", ("zigbee2mqtt/gate/Soil 1", '{"soil_moisture":31}'))
    assert measured(database) == {("gate/soil_1", "soil_moisture", 31.0)}
    place_device(database.connection, "gate/soil_1", Place("upper field"))
    assert places(database.connection)["gate/soil_1"] == Place("upper field")
    with pytest.raises(UnknownDevice):
        place_device(database.connection, "gate/soil_2", Place("x"))


def test_what_was_converted_is_kept_as_it_was_said(database: Database, ingest: Ingest) -> None:
    let_in(database, "pump", "tasmota")
    take(database, ingest, "pump", ("tele/pump/SENSOR", '{"AM2301":{"Temperature":77},"TempUnit":"F"}'))
    (row,) = find_readings(database.connection)
    assert (row.value, raw_reading(database.connection, row)) == (25.0, (77.0, "degF"))


def test_what_a_device_taught_survives_a_restart_and_goes_with_the_device(database: Database, ingest: Ingest) -> None:
    let_in(database, "ems", "homeassistant")
    config = '{"stat_t":"devices/ems/s","val_tpl":"{{value_json.t}}","unit_of_meas":"°F","name":"Temperature"}'
    take(database, ingest, "ems", ("homeassistant/sensor/x/t/config", config))
    take(database, Ingest(ManualClock()), "ems", ("devices/ems/s", '{"t":32}'))
    assert measured(database) == {("ems", "temperature", 0.0)}
    with database.atomic() as connection:
        remove_device(connection, "ems")
    assert learned_by(database.connection, "ems") == {}


def test_what_was_learned_in_a_transaction_that_failed_is_forgotten(database: Database, ingest: Ingest) -> None:
    let_in(database, "ems", "homeassistant")
    config = '{"stat_t":"devices/ems/s","name":"Temperature"}'
    messages = (("homeassistant/sensor/x/t/config", config), ("devices/ems/s", "4"))

    def take_and_fail() -> None:
        with database.atomic() as connection:
            ingest(connection, [_published("ems", *message, at) for at, message in enumerate(messages)])
            raise OSError

    with pytest.raises(OSError):
        take_and_fail()
    take(database, ingest, "ems", messages[1])
    assert measured(database) == set(), "nothing was announced as far as the disk knows"
    take(database, ingest, "ems", *messages)
    assert measured(database) == {("ems", "temperature", 4.0)}


def test_a_discovery_teaches_the_kit_only_about_its_own_speaker(database: Database, ingest: Ingest) -> None:
    let_in(database, "good", "homeassistant")
    let_in(database, "evil", "homeassistant")
    forged = '{"stat_t":"devices/good/s","unit_of_meas":"K","name":"Temperature"}'
    honest = '{"stat_t":"devices/good/s","unit_of_meas":"°C","name":"Temperature"}'
    take(database, ingest, "good", ("homeassistant/sensor/good/t/config", honest))
    take(database, ingest, "evil", ("homeassistant/sensor/good/t/config", forged))
    take(database, ingest, "good", ("devices/good/s", "4"))
    assert measured(database) == {("good", "temperature", 4.0)}


def test_a_gateway_that_invents_devices_or_announcements_is_bounded(database: Database, ingest: Ingest) -> None:
    let_in(database, "gate", "zigbee2mqtt")
    let_in(database, "ems", "homeassistant")
    many = PARTS_PER_GATEWAY + 20
    take(database, ingest, "gate", *((f"zigbee2mqtt/gate/d{n}", '{"temperature":1}') for n in range(many)))
    assert len({device for device, _, _ in measured(database)}) == PARTS_PER_GATEWAY
    config = '{"stat_t":"devices/ems/s","name":"Temperature"}'
    topics = (f"homeassistant/sensor/x/t{n}/config" for n in range(KEYS_PER_DEVICE + 20))
    take(database, ingest, "ems", *((topic, config) for topic in topics))
    assert len(learned_by(database.connection, "ems")) == KEYS_PER_DEVICE
    told = {problem.device: problem.last_reason for problem in problems(database.connection)}
    assert "is one too many" in told["gate"]
    assert "more sensors than the kit keeps in mind" in told["ems"]


def test_a_device_let_in_while_the_unit_runs_is_understood_at_once(database: Database, ingest: Ingest) -> None:
    take(database, ingest, "x", ("tele/late/SENSOR", '{"AM2301":{"Temperature":7}}'))
    let_in(database, "late", "tasmota")
    take(database, ingest, "late", ("tele/late/SENSOR", '{"AM2301":{"Temperature":8}}'))
    assert measured(database) == {("late", "temperature", 8.0)}


def test_a_device_that_cannot_be_told_its_topics_keeps_them(database: Database, ingest: Ingest) -> None:
    let_in(database, "shed", "shelly", base="shellyplusht-08b61fcb7f3c")
    told = '{"method":"NotifyStatus","params":{"ts":1790000000.5,"temperature:0":{"tC":3.5}}}'
    take(database, ingest, "shed", ("shellyplusht-08b61fcb7f3c/events/rpc", told))
    assert measured(database) == {("shed", "temperature", 3.5)}


def test_through_an_external_broker_the_topic_says_who_speaks(database: Database, ingest: Ingest) -> None:
    let_in(database, "pump", "tasmota")
    let_in(database, "ems", "homeassistant")
    config = '{"stat_t":"devices/ems/s","unit_of_meas":"°F","name":"Temperature"}'
    take(
        database,
        ingest,
        "",
        ("tele/pump/SENSOR", '{"AM2301":{"Temperature":7}}'),
        ("tele/stranger/SENSOR", '{"AM2301":{"Temperature":8}}'),
        ("homeassistant/sensor/x/t/config", config),
        ("devices/ems/s", "50"),
        ("alerts/village", "{}"),
    )
    assert measured(database) == {("pump", "temperature", 7.0), ("ems", "temperature", 10.0)}


def test_a_device_whose_dialect_is_gone_is_told_of_and_not_passed_over(database: Database, ingest: Ingest) -> None:
    add_device(database.connection, "odd", kind="gone", now_ms=0)
    take(database, ingest, "odd", ("sensors/odd", "3.5"))
    (problem,) = problems(database.connection)
    assert (problem.device, problem.last_payload) == ("odd", b"3.5")
    assert "the dialect 'gone' is not installed here any more" in problem.last_reason
