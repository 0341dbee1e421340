"""The clients that people have, against the broker: Mosquitto's programs, paho, aiomqtt, gmqtt and MQTT.js."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kit.broker.protocol.packets import Puback, Publish

if TYPE_CHECKING:
    from tests.broker.conftest import Client, Unit

SUPPORT = Path(__file__).parents[1] / "support"
PATIENCE_S = 15.0
NODE_MODULES = Path(os.environ.get("KIT_NODE_MODULES", "~/.cache/village-kit/node_modules")).expanduser()
LIBRARIES = [("paho", 4), ("paho", 5), ("aiomqtt", 4), ("aiomqtt", 5), ("gmqtt", 5), ("mqtt.js", 4), ("mqtt.js", 5)]


class Device:
    """A device in a process of its own; what it says comes line by line."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def hears(self, count: int) -> list[str]:
        """The next lines."""
        return [self._lines.get(timeout=PATIENCE_S) for _ in range(count)]

    def kill(self) -> None:
        """SIGKILL: it does not say goodbye."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.strip())


@contextmanager
def device(unit: Unit, library: str, version: int) -> Iterator[Device]:
    arguments = [str(version), str(unit.port), unit.passwords["roof"]]
    if library == "mqtt.js":
        node = shutil.which("node")
        if node is None or not (NODE_MODULES / "mqtt").is_dir():
            where = NODE_MODULES.parent
            pytest.skip(
                f"MQTT.js is not installed: sudo apt-get install nodejs npm; npm install --prefix {where} mqtt@5"
            )
        command = [node, str(SUPPORT / "library_device.mjs"), str(NODE_MODULES), *arguments]
    else:
        command = [sys.executable, str(SUPPORT / "library_device.py"), library, *arguments]
    made = Device(command)
    try:
        yield made
    finally:
        made.kill()


def heard(client: Client, count: int) -> set[tuple[str, bytes, int]]:
    found = set()
    for _ in range(count):
        message = client.receive()
        assert isinstance(message, Publish)
        found.add((message.topic, message.payload, message.qos))
        if message.packet_id is not None:
            client.send(Puback(message.packet_id))
    return found


SAID = {
    ("sensors/roof/0", b"q0", 0),
    ("sensors/roof/1", b"q1", 1),
    ("sensors/roof/2", b"q2", 1),
    ("sensors/roof/state", b"on", 1),
}
WILL = {("sensors/roof/alive", b"gone", 1)}


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_a_library_publishes_listens_keeps_its_session_and_leaves_a_will(
    unit: Unit, library: str, version: int, eventually: Callable[..., bool]
) -> None:
    def acknowledged() -> bool:
        return unit.rows("SELECT 1 FROM mqtt_queue") == []

    with unit.connect() as service:
        service.socket.settimeout(PATIENCE_S)
        service.subscribe("sensors/#")
        with device(unit, library, version) as roof:
            assert roof.hears(1)[0] in {"READY 0", "READY ?"}
            assert heard(service, 4) == SAID
            service.publish("commands/roof/pump", b"on", packet_id=5)
            assert roof.hears(1) == ["GOT commands/roof/pump on 1"]
            assert eventually(acknowledged)  # else it would, rightly, come again
        assert heard(service, 1) == WILL
        for number in (1, 2, 3):
            service.publish("commands/roof/queued", b"%d" % number, packet_id=number)
        with device(unit, library, version) as roof:
            lines = roof.hears(4)
            assert [line for line in lines if line.startswith("GOT")] == [
                f"GOT commands/roof/queued {number} 1" for number in (1, 2, 3)
            ]
            assert {"READY 1", "READY ?"} & set(lines)
    assert sorted(unit.seen()).count(b"q2") == 2


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
def test_mosquittos_programs_publish_listen_keep_their_session_and_leave_a_will(
    unit: Unit, version: str, eventually: Callable[..., bool]
) -> None:
    def acknowledged() -> bool:
        return unit.rows("SELECT 1 FROM mqtt_queue") == []

    def words(program: str, user: str, *more: str) -> list[str]:
        signed_in = ["-h", "127.0.0.1", "-p", str(unit.port), "-u", user, "-P", unit.passwords[user], "-V", version]
        return [program, *signed_in, *more]

    def publish(topic: str, payload: str, qos: int, *more: str, user: str = "roof") -> None:
        command = words("mosquitto_pub", user, "-t", topic, "-m", payload, "-q", str(qos), *more)
        assert subprocess.run(command, check=False, timeout=PATIENCE_S).returncode == 0

    will = ["--will-topic", "sensors/roof/alive", "--will-payload", "gone", "--will-qos", "1", "--will-retain"]
    kept = ["-c", "-i", "library"]
    user_property = ["-D", "publish", "user-property", "made-by", "kit"] if version == "mqttv5" else []
    listening = words("mosquitto_sub", "roof", *kept, *will, "-q", "2", "-t", "commands/roof/#", "-F", "GOT %t %p %q")
    with unit.connect() as service:
        service.socket.settimeout(PATIENCE_S)
        service.subscribe("sensors/#")
        roof = Device(listening)
        assert eventually(lambda: unit.rows("SELECT 1 FROM mqtt_subscriptions") == [(1,)])
        for qos in range(3):
            publish(f"sensors/roof/{qos}", f"q{qos}", qos, *user_property)
        publish("sensors/roof/state", "on", 1, "-r")
        assert heard(service, 4) == SAID
        publish("commands/roof/pump", "on", 2, user="kit-test")
        assert roof.hears(1) == ["GOT commands/roof/pump on 2"]
        assert eventually(acknowledged)
        roof.kill()
        assert heard(service, 1) == WILL
        publish("commands/roof/queued", "1", 1, user="kit-test")
        roof = Device(listening)
        try:
            assert roof.hears(1) == ["GOT commands/roof/queued 1 1"]
        finally:
            roof.kill()
    retained = words("mosquitto_sub", "roof", "-t", "sensors/roof/state", "-C", "1", "-F", "%p %r")
    assert subprocess.run(retained, check=True, timeout=PATIENCE_S, capture_output=True).stdout == b"on 1\n"
