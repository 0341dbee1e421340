"""From a sensor's message to a warning on the topic, over the kit's own broker and real sockets."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardware.simulated.siren import SimulatedSiren
from kit.alerts.delivery import AlertDelivery
from kit.alerts.lifecycle import Alerts
from kit.broker.server import Broker
from kit.bus import BusMessage
from kit.bus.paho_bus import PahoBus
from kit.clock import ManualClock
from kit.collect.ingest import Ingest
from kit.model.alert import Alert
from kit.store import devices, mqtt
from kit.store.database import Database
from kit.store.device_users import DeviceUsers
from kit.store.readings import find_readings

COLLECT = ("kit-collect", "service password")


@pytest.fixture
def broker(file: Path, database: Database, clock: ManualClock) -> Iterator[int]:
    """The port of the kit's broker, with ingest in the transaction of its acknowledgements."""
    ready, port, stop = threading.Event(), [0], asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        def tell(address: tuple[str, int]) -> None:
            port[0] = address[1]
            ready.set()

        with Database(file) as store, Database(file) as table:
            users = DeviceUsers(table, services=dict([COLLECT]))
            journal = mqtt.MqttJournal(store, ingest=Ingest(clock))
            await Broker(host="127.0.0.1", port=0, users=users, journal=journal, clock=clock).serve(stop, ready=tell)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    yield port[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def _bus(port: int, user: tuple[str, str], name: str) -> PahoBus:
    return PahoBus("127.0.0.1", port, username=user[0], password=user[1], client_id=name)


def test_a_published_reading_is_in_the_store_when_the_device_is_acknowledged(broker: int, database: Database) -> None:
    with database.atomic() as connection:
        device = devices.add_device(connection, "field-1", now_ms=0)
    with _bus(broker, (device.username, device.password), "field-1") as bus:
        bus.publish("sensors/field-1", b'[{"n":"temp","u":"degF","v":28.4}]')
    (row,) = find_readings(database.connection)
    assert (row.device, row.quantity, row.unit, row.value) == ("field-1", "temperature", "Cel", -2.0)


def test_whoever_subscribes_later_still_gets_the_warning(
    broker: int, database: Database, clock: ManualClock, alerts: Alerts, frost: Alert, tmp_path: Path
) -> None:
    siren = SimulatedSiren(tmp_path / "siren.json", clock)
    heard: queue.Queue[BusMessage] = queue.Queue()
    alerts.raise_alert(frost)
    with _bus(broker, COLLECT, "collect") as bus:
        delivery = AlertDelivery(database, clock, bus, siren, "village")
        delivery.step()
        with _bus(broker, COLLECT, "listener") as late:
            late.subscribe("alerts/#", heard.put)
            first = heard.get(timeout=5)
            alerts.confirm(frost.identifier, person="Wanjirũ", channel="web")
            delivery.step()
            second = heard.get(timeout=5)
    assert siren.sounding
    assert first.retained
    assert [json.loads(message.payload)["state"] for message in (first, second)] == ["unconfirmed", "confirmed"]
