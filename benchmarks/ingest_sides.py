"""The ways from a device to the disk that `bench_ingest.py` compares, each in processes of its own.

- `kit`: the kit's broker with its whole ingest: sign-in, access rules, SenML, judgement, readings, queue for the core,
  power-cut ledger. `unled` is the same without the ledger.
- `chain`: Mosquitto (passwords, ACL) → paho with manual acknowledgement → a table in SQLite, `synchronous=FULL`,
  everything that is queued in one transaction. It parses the JSON and keeps a row for each record; nothing else.
- `external`: Mosquitto → paho → the kit's whole ingest, as `[broker] kind = "external"` has it: the same work behind
  another broker.
- `bare`: an asyncio listener that finds PUBLISH packets, commits their payloads, and answers. It knows no passwords, no
  topics and no SenML: what is possible at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kit.broker.committer import tune_interpreter
from kit.broker.external import ExternalBroker
from kit.broker.protocol.packets import Connack
from kit.broker.protocol.writer import encode
from kit.broker.server import Broker
from kit.clock import SystemClock
from kit.collect.ingest import Ingest
from kit.store import devices, mqtt, schema
from kit.store.database import Database
from kit.store.device_users import DeviceUsers
from kit.store.ledger import Ledger


def payload(number: int) -> bytes:
    """About 100 bytes, two readings, no time of its own: the kit dates it and must tell repetitions from new ones.

    The air warms and cools in steps of hundredths of a degree, its humidity with it: values and lengths differ.
    """
    step = abs(number % 1_000 - 500)
    said = (-500 + 2 * step) / 100, (999 - step) / 10
    return (
        b'[{"bn":"urn:dev:mac:0024befffe804ff1:","n":"temperature","u":"Cel","v":%.4g},{"n":"humidity","v":%.3g}]'
        % said
    )


RECORDS = 2
DEVICES = 200
SERVER = Path(__file__)
BEHIND_MOSQUITTO = ("chain", "external")


class Side:
    """One of the ways. `start` and `kill` may alternate; what is on disk stays."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder, self.file = kind, folder, folder / "kit.db"
        self.port = free_port()
        self.passwords: dict[str, str] = {}
        with Database(self.file, migrations=schema.MIGRATIONS) as database:
            for number in range(DEVICES):
                made = devices.add_device(database.connection, f"device-{number}", now_ms=0)
                self.passwords[made.username] = made.password
            for table, columns in (
                ("chain_readings", "device, name, unit, value, at_ms"),
                ("bare_messages", "payload"),
            ):
                database.connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {columns})")
        self.processes: list[subprocess.Popen[str]] = []
        if kind in BEHIND_MOSQUITTO:
            self._configure_mosquitto()

    def start(self) -> None:
        if self.kind in BEHIND_MOSQUITTO:
            command = ["mosquitto", "-c", str(self.folder / "mosquitto.conf")]
            self.processes.append(subprocess.Popen(command, text=True, stderr=subprocess.DEVNULL))
            wait_for_port(self.port)
        command = [sys.executable, str(SERVER), self.kind, str(self.file), str(self.port)]
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
        """Messages on disk."""
        counted = {
            "kit": f"SELECT count(*) / {RECORDS} FROM readings",
            "unled": f"SELECT count(*) / {RECORDS} FROM readings",
            "external": f"SELECT count(*) / {RECORDS} FROM readings",
            "chain": f"SELECT max(id) / {RECORDS} FROM chain_readings",
            "bare": "SELECT max(id) FROM bare_messages",
        }
        with Database(self.file, read_only=True) as database:
            return int(database.connection.execute(counted[self.kind]).fetchone()[0] or 0)

    def memory_bytes(self) -> int:
        """Resident memory of its Python process."""
        status = Path(f"/proc/{self.processes[-1].pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))

    def _configure_mosquitto(self) -> None:
        passwords, access = self.folder / "passwords", self.folder / "acl"
        passwords.write_text("".join(f"{n}:{p}\n" for n, p in [*self.passwords.items(), ("kit-collect", "kit")]))
        subprocess.run(["mosquitto_passwd", "-U", passwords], check=True, capture_output=True)
        access.write_text("pattern readwrite sensors/%u/#\nuser kit-collect\ntopic readwrite #\n")
        (self.folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nacl_file {access}\n"
            "user root\nmax_queued_messages 0\nset_tcp_nodelay true\n"
        )


@contextmanager
def sides(*kinds: str) -> Iterator[dict[str, Side]]:
    with tempfile.TemporaryDirectory() as folder:
        made = {}
        for kind in kinds:
            if kind in BEHIND_MOSQUITTO and not shutil.which("mosquitto"):
                continue
            (Path(folder) / kind).mkdir()
            made[kind] = Side(kind, Path(folder) / kind)
        try:
            yield made
        finally:
            for side in made.values():
                side.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def wait_for_port(port: int) -> None:
    for _ in range(6000):  # a minute
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")


# --- what runs in the processes


async def serve_kit(file: Path, port: int, *, ledger: bool = True) -> None:
    clock = SystemClock()
    kept = Ledger(file.parent / "ledger", "broker", clock=clock, real_s=clock.monotonic) if ledger else None
    with Database(file, ledger=kept, hurried=True) as store, Database(file) as table:
        journal = mqtt.MqttJournal(store, ingest=Ingest(clock))
        users = DeviceUsers(table, services={})
        broker = Broker(host="127.0.0.1", port=port, users=users, journal=journal, clock=clock)
        await broker.serve(asyncio.Event(), ready=lambda _: print("ready", flush=True))


async def serve_external(file: Path, port: int) -> None:
    clock = SystemClock()
    kept = Ledger(file.parent / "ledger", "broker", clock=clock, real_s=clock.monotonic)
    with Database(file, ledger=kept, hurried=True) as store:
        broker = ExternalBroker(
            host="127.0.0.1",
            port=port,
            username="kit-collect",
            password="kit",
            client_id="kit-collect",
            journal=mqtt.MqttJournal(store, ingest=Ingest(clock)),
            clock=clock,
        )
        await broker.serve(asyncio.Event(), ready=lambda _: print("ready", flush=True))


def open_table(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def subscribe(client: Any, *_: Any) -> None:
    client.subscribe("sensors/#", qos=1)


def serve_chain(file: Path, port: int) -> None:
    from paho.mqtt.client import Client, MQTTMessage
    from paho.mqtt.enums import CallbackAPIVersion

    came: queue.SimpleQueue[MQTTMessage] = queue.SimpleQueue()
    client = Client(CallbackAPIVersion.VERSION2, client_id="kit-collect", clean_session=False, manual_ack=True)
    client.username_pw_set("kit-collect", "kit")
    client.on_connect = subscribe
    client.on_subscribe = lambda *_: print("ready", flush=True)
    client.on_message = lambda _client, _userdata, message: came.put(message)
    client.connect("127.0.0.1", port)
    threading.Thread(target=client.loop_forever, daemon=True).start()
    connection = open_table(file)
    while True:
        batch = [came.get()]
        with contextlib.suppress(queue.Empty):
            while len(batch) < 1000:
                batch.append(came.get_nowait())
        connection.execute("BEGIN IMMEDIATE")
        rows = [row for message in batch for row in chain_rows(message.topic, bytes(message.payload))]
        connection.executemany(
            "INSERT INTO chain_readings (device, name, unit, value, at_ms) VALUES (?, ?, ?, ?, ?)", rows
        )
        connection.execute("COMMIT")
        for message in batch:
            client.ack(message.mid, message.qos)


def chain_rows(topic: str, payload: bytes) -> list[tuple[Any, ...]]:
    device, at_ms = topic.partition("/")[2], int(time.time() * 1000)
    return [(device, one.get("n"), one.get("u"), one.get("v"), at_ms) for one in json.loads(payload)]


class BareListener(asyncio.Protocol):
    """Answers PUBLISH at QoS 1 after a commit; everything that came in one turn of the loop is one transaction."""

    def __init__(self, connection: sqlite3.Connection, waiting: list[tuple[BareListener, bytes, bytes]]) -> None:
        self._connection, self._waiting, self._buffer = connection, waiting, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        data, at = self._buffer + data, 0
        while len(data) - at >= 2:
            size, head = data[at + 1] & 0x7F, 2
            if data[at + 1] & 0x80:
                size, head = size | data[at + 2] << 7, 3
            start, end = at + head, at + head + size
            if end > len(data):
                break
            if data[at] >> 4 == 1:
                self.transport.write(encode(Connack(session_present=False, code=0)))
            elif data[at] >> 4 == 3:
                topic_end = start + 2 + int.from_bytes(data[start : start + 2], "big")
                if not self._waiting:
                    asyncio.get_running_loop().call_soon(self.commit)
                self._waiting.append((self, data[topic_end : topic_end + 2], data[topic_end + 2 : end]))
            at = end
        self._buffer = data[at:]

    def commit(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(
            "INSERT INTO bare_messages (payload) VALUES (?)", [(payload,) for _, _, payload in self._waiting]
        )
        self._connection.execute("COMMIT")
        answers: dict[BareListener, bytes] = {}
        for listener, packet_id, _ in self._waiting:
            answers[listener] = answers.get(listener, b"") + b"\x40\x02" + packet_id
        for listener, answer in answers.items():
            listener.transport.write(answer)
        self._waiting.clear()


async def serve_bare(file: Path, port: int) -> None:
    connection, waiting = open_table(file), []  # type: ignore[var-annotated]  # BareListener says of what
    server = await asyncio.get_running_loop().create_server(
        lambda: BareListener(connection, waiting), "127.0.0.1", port, backlog=512
    )
    print("ready", flush=True)
    await server.serve_forever()


def main() -> None:
    if sys.argv[1] != "chain":
        tune_interpreter()  # as the kit's service does
    kind, file, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if kind == "chain":
        serve_chain(file, port)
    elif kind in {"bare", "external"}:
        asyncio.run({"bare": serve_bare, "external": serve_external}[kind](file, port))
    else:
        asyncio.run(serve_kit(file, port, ledger=kind == "kit"))


if __name__ == "__main__":
    main()
