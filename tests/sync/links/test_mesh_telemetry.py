"""What another node of the mesh measures comes out of the kit's own radio and becomes readings of that node."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from meshtastic.protobuf import telemetry_pb2

from kit.clock import ManualClock
from kit.health.sensor_view import sensor_rows
from kit.run.mesh_telemetry import WAITING_AT_MOST, MeshTelemetry
from kit.store.database import Database
from kit.store.devices import add_device
from kit.store.readings import find_readings
from kit.store.schema import MIGRATIONS
from sync.links.meshtastic_telemetry import read_telemetry
from sync.links.radio_arrivals import TELEMETRY_APP

NOW_S = 1_790_000_000


def environment(**fields: float) -> bytes:
    told = telemetry_pb2.Telemetry(time=NOW_S - 5)
    for name, value in fields.items():
        setattr(told.environment_metrics, name, value)
    return bytes(told.SerializeToString())


def single(value: float) -> float:
    """As telemetry.proto's floats keep it."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def test_a_telemetry_packet_over_the_air_becomes_readings_of_its_node(radios: Any, wait: Any, tmp_path: Path) -> None:
    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as database, Database(tmp_path / "kit.db") as own:
        mesh = MeshTelemetry(own, ManualClock(at_s=NOW_S))
        near, far = radios.link(0, on_telemetry=mesh.heard), radios.link(1)
        with mesh.working():
            for link in (near, far):
                link.open()
                wait(lambda link=link: link.state().value == "up", what=link.explain())
            payload = environment(temperature=-1.5, relative_humidity=97.25, wind_speed=0.0)
            far._interface.sendData(payload, destinationId="^all", portNum=TELEMETRY_APP, wantAck=False, hopLimit=3)
            wait(lambda: len(list(find_readings(database.connection))) == 3, what="the readings")
            assert near.receive(0.0) == [], "telemetry is no frame of the sync"
        rows = list(find_readings(database.connection))
        assert {row.device for row in rows} == {f"mesh/{far._interface.myInfo.my_node_num:08x}"}
        measured = {(row.quantity, row.value, row.time_ms, row.quality_word) for row in rows}
        assert measured == {
            ("temperature", -1.5, (NOW_S - 5) * 1000, "good"),
            ("humidity", 97.25, (NOW_S - 5) * 1000, "good"),
            ("wind_speed", 0.0, (NOW_S - 5) * 1000, "good"),
        }
        sensor = next(row for row in sensor_rows(database.connection, now_ms=NOW_S * 1000) if "mesh/" in row["device"])
        assert sensor["open"], "whoever has the channel's key can send them"


def test_the_radio_and_the_broker_write_readings_side_by_side(tmp_path: Path) -> None:
    from kit.collect.dialects import dialects
    from kit.collect.ingest import Ingest
    from kit.model.messages import Published

    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as database, Database(tmp_path / "kit.db") as own:
        kinds = dialects()
        add_device(
            database.connection, "mesh", kind="meshtastic", grants=kinds["meshtastic"].grants("msh/mesh"), now_ms=0
        )
        clock = ManualClock(at_s=NOW_S)
        mesh, broker = MeshTelemetry(own, clock), Ingest(clock)
        for celsius in (1.5, 2.5, 3.5):
            payload = environment(temperature=celsius)
            mesh.heard(0xDA741924, payload)
            mesh.heard(0xDA741924, payload)
            mesh._database.connection.execute("SELECT 1")
            with own.atomic() as connection:
                mesh._ingest(connection, mesh._next())
            metrics = {"temperature": celsius}
            told = json.dumps({"type": "telemetry", "from": 3665041700, "timestamp": NOW_S - 5, "payload": metrics})
            published = Published(
                username="mesh",
                client_id="gate",
                topic="msh/mesh/2/json/LongFast/!da741924",
                payload=told.encode(),
                qos=1,
                retain=False,
                duplicate=False,
                packet_id=1,
                received_ms=NOW_S * 1000,
            )
            with database.atomic() as connection:
                broker(connection, [published])
        values = [row.value for row in find_readings(database.connection) if row.device == "mesh/da741924"]
        assert sorted(values) == [1.5, 2.5, 3.5], "what came both ways is stored once"


def test_packets_for_which_there_is_no_room_are_counted(tmp_path: Path) -> None:
    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as database:
        mesh = MeshTelemetry(database, ManualClock(at_s=NOW_S))
        for _ in range(WAITING_AT_MOST + 3):
            mesh.heard(1, environment(temperature=1.0))
        assert mesh.lost == 3


@given(st.binary(max_size=80))
def test_any_bytes_are_telemetry_or_nothing(payload: bytes) -> None:
    told = read_telemetry(payload)
    assert told is None or told.metrics


def test_what_a_node_measures_keeps_its_names() -> None:
    told = telemetry_pb2.Telemetry(time=7)
    told.device_metrics.battery_level = 87
    told.device_metrics.voltage = 4.05
    assert read_telemetry(told.SerializeToString()) == (7, {"battery_level": 87.0, "voltage": single(4.05)})
    assert read_telemetry(telemetry_pb2.Telemetry(time=7).SerializeToString()) is None
