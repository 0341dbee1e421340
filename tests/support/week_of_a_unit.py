"""A week of fifty devices at a unit's own processes, `kit service broker` and `kit service collect`, in half a minute.

The unit's clock runs 25,000 times as fast; the devices are plain sockets that speak MQTT 3.1.1 and wait for each
acknowledgement. Every round (half an hour) each says something, some reconnect, one talks nonsense, and the nights are
cold enough for warnings. A slow machine makes the week longer, never the rounds fewer.
"""

from __future__ import annotations

import json
import math
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from ports import free_ports
from whole_unit import KIT, wait_until

from kit.broker.protocol.packets import Connack, Connect, Publish, Subscribe
from kit.broker.protocol.writer import encode
from kit.clock import AcceleratedClock, accelerate
from kit.home import Home
from kit.identity import load_or_create_identity
from kit.run.schema import open_unit_store
from kit.store.devices import add_device
from kit.store.records import set_origin

DEVICES = 50
ROUND_S = 1800
ROUNDS_A_DAY = 48
SPEED = 25_000.0
START_S = 1_460_462_400
"""Noon of a day in April."""


class Day(NamedTuple):
    """The end of a day: bytes that are resident in each process."""

    day: int
    broker: int
    collect: int


class Device:
    """One that signs in, asks for its commands, and publishes at QoS 1."""

    def __init__(self, number: int, port: int, password: str) -> None:
        self.name, self.number, self.port, self.password = f"device-{number}", number, port, password
        self.socket: socket.socket | None = None
        self.packet_id = 0

    def connect(self) -> None:
        """Sign in anew, without a word of farewell to the connection before."""
        if self.socket is not None:
            self.socket.close()
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        hello = Connect(
            client_id=self.name,
            clean_session=self.number % 2 == 0,
            username=self.name,
            password=self.password.encode(),
        )
        self.socket.sendall(encode(hello) + encode(Subscribe(1, ((f"commands/{self.name}/#", 1),))))
        self._hear(len(encode(Connack(session_present=False, code=0))) + 5)

    def say(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish; the acknowledgement is taken by `wait`."""
        assert self.socket is not None
        self.packet_id = self.packet_id % 65_535 + 1
        self.socket.sendall(encode(Publish(topic, payload, 1, packet_id=self.packet_id, retain=retain)))

    def wait(self) -> None:
        """Until what was said is acknowledged."""
        self._hear(4)

    def _hear(self, count: int) -> None:
        assert self.socket is not None
        while count > 0:
            data = self.socket.recv(count)
            assert data, f"{self.name}: the broker closed the connection"
            count -= len(data)


def spoken(number: int, step: int, now_s: float) -> tuple[str, bytes]:
    """What that device says in that round: dated or not, with odd parts, below its topic."""
    cold = 6 + 8 * math.sin(2 * math.pi * (step % ROUNDS_A_DAY) / ROUNDS_A_DAY) - number / 20
    records: list[dict[str, object]] = [
        {"n": "temperature", "u": "Cel", "v": round(cold, 1)},
        {"n": "rh", "u": "%RH", "v": 50 + (step + number) % 40},
    ]
    if number % 3 == 0:
        records[0]["bt"] = int(now_s)
    if number % 7 == 0:
        records.append({"n": "door", "vs": f"open {step}"})
    topic = f"sensors/device-{number}" + ("/probe" if number % 5 == 0 else "")
    return topic, b"?" * (step % 50) if number == 11 else json.dumps(records).encode()


def resident_bytes(process: subprocess.Popen[bytes]) -> int:
    """What of it is in memory."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


@contextmanager
def service(home: Home, name: str, *, ready: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One process of the unit, as systemd would start it, once it serves."""
    process = subprocess.Popen([*KIT, "service", name, "--home", str(home.path)])
    try:
        wait_until(ready.exists, seconds=60, what=f"{name} serves")
        yield process
        assert process.poll() is None, f"{name} has ended"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def live(path: Path, days: int) -> Iterator[Day]:
    """Live through the days; tells the memory at the end of each."""
    home, (port,) = Home(path), free_ports(1)
    home.prepare()
    home.settings_file.write_text(f'[broker]\nlisten = "127.0.0.1:{port}"\n[retention]\nraw_days = 3\n')
    with open_unit_store(home) as store, store.atomic() as connection:
        set_origin(connection, load_or_create_identity(home).unit)
        devices = [
            Device(number, port, add_device(connection, f"device-{number}", now_ms=START_S * 1000).password)
            for number in range(DEVICES)
        ]
    clock = accelerate(home.clock_file, start_s=START_S, speed=SPEED)
    with ExitStack() as running:
        broker = running.enter_context(service(home, "broker", ready=home.run / "broker.self"))
        collect = running.enter_context(service(home, "collect", ready=home.run / "collect.self"))
        begun_s = clock.now()
        for step in range(days * ROUNDS_A_DAY):
            _wait(clock, begun_s + step * ROUND_S)
            _round(devices, step, clock)
            if (step + 1) % ROUNDS_A_DAY == 0:
                yield Day((step + 1) // ROUNDS_A_DAY, resident_bytes(broker), resident_bytes(collect))


def _wait(clock: AcceleratedClock, until_s: float) -> None:
    time.sleep(max(0.0, clock.real(until_s - clock.now())))


def _round(devices: list[Device], step: int, clock: AcceleratedClock) -> None:
    for device in devices:
        if step % ROUNDS_A_DAY == device.number % ROUNDS_A_DAY:
            device.connect()
    there = [device for device in devices if device.socket is not None]
    for device in there:
        topic, payload = spoken(device.number, step, clock.now())
        device.say(topic, payload, retain=device.number % 10 == 0)
    for device in there:
        device.wait()


if __name__ == "__main__":
    for day in live(Path(sys.argv[1]), int(sys.argv[2])):
        print(day, flush=True)
