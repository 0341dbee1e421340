"""Durable ingest: the kit's broker beside Mosquitto → paho (acknowledging by hand) → SQLite, in the same run.

Both ways end in the same `MqttJournal` with the same collector (one INSERT per reading, `synchronous=FULL`), each in a
process of its own; both brokers check user names, passwords and topics. A reading counts when it is on disk. Devices
are raw sockets with a window: 1 = wait for each PUBACK, 20 = what paho and most libraries do. Milliseconds do not
carry over to other machines; ratios do.

    .venv/bin/python benchmarks/bench_ingest.py [--seconds 4]

`--ledger` measures the kit with and without its power-cut ledger instead of beside Mosquitto.

The second table is the burst that loses readings elsewhere: a device publishes n readings at QoS 1, reads the last
PUBACK, disconnects, and the broker is killed with -9 at once; how many are missing afterwards?
"""

from __future__ import annotations

import argparse
import asyncio
import selectors
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kit.broker.external import ExternalBroker
from kit.broker.protocol.packets import Connack, Connect, Disconnect, Packet, Puback, Publish
from kit.broker.protocol.writer import encode
from kit.broker.server import Broker
from kit.clock import SystemClock
from kit.model.messages import Published
from kit.store import devices, facts, mqtt
from kit.store.database import Database
from kit.store.device_users import DeviceUsers
from kit.store.evidence import note_readings, note_series
from kit.store.ledger import Ledger
from kit.store.migrations import sql

READINGS = sql("bench", "1", "CREATE TABLE bench_readings (id INTEGER PRIMARY KEY, device TEXT, payload BLOB)")
PAYLOAD = b'[{"bn":"urn:dev:mac:0024befffe804ff1:","n":"temperature","u":"Cel","v":-1.25},{"n":"rh","v":91.5}]'
DEVICES = 20
PACKET_IDS = 1_000


def ingest(connection: sqlite3.Connection, publishes: Sequence[Published]) -> None:
    rows = [(p.username, p.payload) for p in publishes]
    connection.executemany("INSERT INTO bench_readings (device, payload) VALUES (?, ?)", rows)
    # as the collector does; without a ledger this notes nothing
    note_series(connection, 1, ("device", "temperature", "Cel"))
    note_readings(connection, [(1, p.received_ms) for p in publishes])


# --- the two sides, each a process: `bench_ingest.py --serve own|external DATABASE PORT`


async def serve(kind: str, file: Path, port: int) -> None:
    ledger = None
    if kind == "ledger":
        clock = SystemClock()
        ledger = Ledger(file.parent / "ledger", "broker", clock=clock, real_s=clock.monotonic)
    with Database(file, ledger=ledger) as store, Database(file) as table:
        journal = mqtt.MqttJournal(store, ingest=ingest)
        side: Broker | ExternalBroker
        if kind in ("own", "ledger"):
            users = DeviceUsers(table, services={})
            side = Broker(host="127.0.0.1", port=port, users=users, journal=journal, clock=SystemClock())
        else:
            side = ExternalBroker(
                host="127.0.0.1",
                port=port,
                username="kit-collect",
                password="kit",
                client_id="kit-collect",
                journal=journal,
                clock=SystemClock(),
            )
        await side.serve(asyncio.Event(), ready=lambda address: print(address[1], flush=True))


class Side:
    """One of the two ways from a device to the disk."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.file = folder / "kit.db"
        self.port = free_port()
        self.passwords: dict[str, str] = {}
        with Database(
            self.file, migrations=(*facts.MIGRATIONS, *mqtt.MIGRATIONS, *devices.MIGRATIONS, READINGS)
        ) as database:
            for number in range(DEVICES):
                made = devices.add_device(database.connection, f"device-{number}", now_ms=0)
                self.passwords[made.username] = made.password
        self.processes: list[subprocess.Popen[str]] = []
        if kind == "external":
            self._configure_mosquitto()

    def start(self) -> None:
        if self.kind == "external":
            self.processes.append(
                subprocess.Popen(
                    ["mosquitto", "-c", self.folder / "mosquitto.conf"], text=True, stderr=subprocess.DEVNULL
                )
            )
            wait_for_port(self.port)
        command = [sys.executable, __file__, "--serve", self.kind, str(self.file), str(self.port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        assert process.stdout is not None
        process.stdout.readline()

    def kill(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
        for process in self.processes:
            process.wait()
        self.processes.clear()

    def count(self) -> int:
        with Database(self.file, read_only=True) as database:
            return int(database.connection.execute("SELECT max(id) FROM bench_readings").fetchone()[0] or 0)

    def _configure_mosquitto(self) -> None:
        passwords, access = self.folder / "passwords", self.folder / "acl"
        passwords.write_text("".join(f"{n}:{p}\n" for n, p in [*self.passwords.items(), ("kit-collect", "kit")]))
        subprocess.run(["mosquitto_passwd", "-U", passwords], check=True, capture_output=True)
        access.write_text("pattern readwrite sensors/%u/#\nuser kit-collect\ntopic readwrite #\n")
        (self.folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nacl_file {access}\n"
            "user root\nmax_queued_messages 0\nset_tcp_nodelay true\n"
        )


# --- devices


class Device:
    """A client with a window, as fast as it is acknowledged."""

    def __init__(self, side: Side, number: int, window: int) -> None:
        name = f"device-{number}"
        self.topic, self.window, self.sent, self.acknowledged = f"sensors/{name}", window, 0, 0
        self.socket = socket.create_connection(("127.0.0.1", side.port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send(Connect(client_id=name, username=name, password=side.passwords[name].encode()))
        answer = self.socket.recv(4)
        assert answer == encode(Connack(session_present=False, code=0)), answer
        # made beforehand: what is measured is the broker, not this program
        self._publishes = [encode(Publish(self.topic, PAYLOAD, 1, packet_id=n)) for n in range(1, PACKET_IDS + 1)]
        self._rest = 0

    def send(self, *packets: Packet) -> None:
        self.socket.sendall(b"".join(map(encode, packets)))

    def fill_window(self) -> None:
        count = self.window - (self.sent - self.acknowledged)
        self.socket.sendall(b"".join(self._publishes[(self.sent + n) % PACKET_IDS] for n in range(count)))
        self.sent += count

    def take_acknowledgements(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionResetError("the broker closed the connection")
        complete, self._rest = divmod(self._rest + len(data), len(encode(Puback(1))))
        self.acknowledged += complete


def publish_for(side: Side, *, count: int, window: int, seconds: float) -> float:
    """Readings per second that reach the disk while `count` devices publish as fast as they may."""
    before = side.count()
    clients = [Device(side, number, window) for number in range(count)]
    started = time.perf_counter()
    with selectors.DefaultSelector() as ready:
        for client in clients:
            client.fill_window()
            ready.register(client.socket, selectors.EVENT_READ, client)
        while time.perf_counter() - started < seconds:
            for key, _ in ready.select(timeout=1):
                key.data.take_acknowledgements()
                key.data.fill_window()
    for client in clients:
        while client.acknowledged < client.sent:
            client.take_acknowledgements()
        client.socket.close()
    sent = sum(client.sent for client in clients)
    while side.count() - before < sent:
        time.sleep(0.005)
    return sent / (time.perf_counter() - started)


def burst(side: Side, size: int) -> int:
    """How many of `size` acknowledged readings are missing after kill -9 right behind the last PUBACK."""
    side.start()
    before = side.count()
    device = Device(side, 0, size)
    device.fill_window()
    while device.acknowledged < size:
        device.take_acknowledgements()
    device.send(Disconnect())
    device.socket.close()
    side.kill()
    side.start()  # whatever the broker kept may still arrive
    time.sleep(0.5)
    side.kill()
    return size - (side.count() - before)


@contextmanager
def sides(*, with_ledger: bool) -> Iterator[dict[str, Side]]:
    kinds = ["own", "external"] if shutil.which("mosquitto") else ["own"]
    if with_ledger:
        kinds = ["ledger", "own"]
    with tempfile.TemporaryDirectory() as folder:
        made = {}
        for kind in kinds:
            (Path(folder) / kind).mkdir()
            made[kind] = Side(kind, Path(folder) / kind)
        yield made
        for side in made.values():
            side.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def wait_for_port(port: int) -> None:
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="per measurement")
    parser.add_argument("--ledger", action="store_true", help="the kit with and without its ledger")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        kind, file, port = arguments.serve
        asyncio.run(serve(kind, Path(file), int(port)))
        return
    with sides(with_ledger=arguments.ledger) as both:
        for side in both.values():
            side.start()
        other = "without ledger" if arguments.ledger else "Mosquitto → paho"
        print(f"{'devices':>8}{'window':>8}{'kit, readings/s':>18}{other:>18}{'ratio':>8}")
        for count, window in ((1, 1), (1, 20), (20, 1), (20, 20)):
            rates = [publish_for(s, count=count, window=window, seconds=arguments.seconds) for s in both.values()]
            other = f"{rates[1]:18.0f}{rates[0] / rates[1]:8.2f}" if len(rates) > 1 else f"{'not installed':>18}"
            print(f"{count:8}{window:8}{rates[0]:18.0f}{other}", flush=True)
        for side in both.values():
            side.kill()
        if arguments.ledger:
            return
        print(f"\n{'burst':>8}{'kit, missing':>18}{'Mosquitto, missing':>22}")
        for size in (5, 20, 100, 400):
            missing = [burst(side, size) for side in both.values()]
            print(f"{size:8}{missing[0]:18}{missing[1] if len(missing) > 1 else '':>22}", flush=True)


if __name__ == "__main__":
    main()
