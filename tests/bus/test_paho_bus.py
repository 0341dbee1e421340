"""The bus over paho, against the kit's broker and against a real Mosquitto: the same promises."""

from __future__ import annotations

import asyncio
import queue
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ports import free_ports

from kit.broker.server import Broker
from kit.bus import Bus, BusError, BusMessage
from kit.bus.paho_bus import PahoBus
from kit.clock import SystemClock
from kit.store import devices, facts, mqtt
from kit.store.database import Database
from kit.store.device_users import DeviceUsers

USER, PASSWORD = "kit-test", "secret"


class OwnBroker:
    """The kit's broker on a thread; can be stopped and started on the same port."""

    def __init__(self, file: Path) -> None:
        self._file, self.port = file, 0
        self._stop: Callable[[], object] = lambda: None

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)))
        self._thread.start()
        assert ready.wait(5)

    def stop(self) -> None:
        self._stop()
        self._thread.join(10)

    async def _serve(self, ready: threading.Event) -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)

        def tell(address: tuple[str, int]) -> None:
            self.port = address[1]
            ready.set()

        schema = (*facts.MIGRATIONS, *mqtt.MIGRATIONS, *devices.MIGRATIONS)
        with Database(self._file, migrations=schema) as store, Database(self._file) as table:
            users = DeviceUsers(table, services={USER: PASSWORD})
            journal = mqtt.MqttJournal(store, ingest=lambda _connection, _publishes: None)
            broker = Broker(host="127.0.0.1", port=self.port, users=users, journal=journal, clock=SystemClock())
            await broker.serve(stop, ready=tell)


class Mosquitto:
    """A real Mosquitto process on a free port, with a password file."""

    def __init__(self, folder: Path) -> None:
        (self.port,) = free_ports(1)
        passwords = folder / "passwords"
        passwords.write_text(f"{USER}:{PASSWORD}\n")
        subprocess.run(["mosquitto_passwd", "-U", passwords], check=True, capture_output=True)
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nuser root\n"
        )

    def start(self) -> None:
        self._process = subprocess.Popen(["mosquitto", "-c", self._config], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@pytest.fixture(params=["own", "mosquitto"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OwnBroker | Mosquitto]:
    if request.param == "mosquitto" and shutil.which("mosquitto") is None:
        pytest.skip("Mosquitto is not installed; script/test installs it")
    made = OwnBroker(tmp_path / "kit.db") if request.param == "own" else Mosquitto(tmp_path)
    made.start()
    yield made
    made.stop()


def open_bus(broker: OwnBroker | Mosquitto, client_id: str = "one", password: str = PASSWORD) -> PahoBus:
    return PahoBus("127.0.0.1", broker.port, username=USER, password=password, client_id=client_id)


def listen(bus: Bus, topic_filter: str) -> queue.SimpleQueue[BusMessage]:
    heard: queue.SimpleQueue[BusMessage] = queue.SimpleQueue()
    bus.subscribe(topic_filter, heard.put)
    return heard


def test_what_one_publishes_the_other_hears(broker: OwnBroker | Mosquitto) -> None:
    with open_bus(broker, "one") as one, open_bus(broker, "two") as two:
        assert until(lambda: one.connected and two.connected)
        heard = listen(two, "alerts/#")
        one.publish("alerts/village", b"frost", retain=True)
        assert heard.get(timeout=5).payload == b"frost"
        late = listen(one, "alerts/+")
        assert late.get(timeout=5) == BusMessage("alerts/village", b"frost", retained=True)
        assert one.connected
    assert not one.connected


def test_a_subscription_survives_a_restart_of_the_broker(broker: OwnBroker | Mosquitto) -> None:
    with open_bus(broker, "one") as one, open_bus(broker, "two") as two:
        heard = listen(two, "status/#")
        assert until(lambda: two.connected)
        one.publish("status/a", b"1")
        assert heard.get(timeout=5).payload == b"1"
        broker.stop()
        assert until(lambda: not one.connected and not two.connected)
        broker.start()
        assert until(lambda: two.connected)
        one.publish("status/a", b"2", timeout_s=10)
        assert heard.get(timeout=5).payload == b"2"


def test_many_messages_are_published_at_once_in_order(broker: OwnBroker | Mosquitto) -> None:
    with open_bus(broker, "one") as one, open_bus(broker, "two") as two:
        heard = listen(two, "status/#")
        assert until(lambda: two.connected)
        one.publish_all([("status/x", b"%d" % n) for n in range(300)])
        assert [heard.get(timeout=5).payload for _ in range(300)] == [b"%d" % n for n in range(300)]


def test_a_listener_that_fails_does_not_silence_the_others(broker: OwnBroker | Mosquitto) -> None:
    def fail(message: BusMessage) -> None:
        raise ValueError(message.topic)

    with open_bus(broker) as bus:
        bus.subscribe("status/a", fail)
        heard = listen(bus, "status/#")
        bus.publish("status/a", b"1")
        assert heard.get(timeout=5).payload == b"1"


def test_a_wrong_password_is_said_plainly(broker: OwnBroker | Mosquitto) -> None:
    with open_bus(broker, password="wrong") as bus, pytest.raises(BusError, match="refuses the user 'kit-test'"):
        bus.publish("status/a", b"1", timeout_s=1)


def test_a_broker_that_is_not_there_is_an_error_in_time_and_not_a_hang() -> None:
    bus = PahoBus("127.0.0.1", 1, username=USER, password=PASSWORD, client_id="one")
    with pytest.raises(BusError, match="not open"):
        bus.publish("a", b"")
    with bus:
        started = time.monotonic()
        with pytest.raises(BusError, match="nobody answers"):
            bus.publish("a", b"", timeout_s=0.3)
        assert time.monotonic() - started < 1


def test_a_topic_that_cannot_be_published_on_is_an_error(broker: OwnBroker | Mosquitto) -> None:
    with open_bus(broker) as bus, pytest.raises(BusError, match="cannot be published"):
        bus.publish("status/#", b"1")


def until(condition: Callable[[], bool], patience_s: float = 10) -> bool:
    deadline = time.monotonic() + patience_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()
