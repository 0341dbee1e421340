"""A real broker on loopback, in a thread or in a process, and clients that speak MQTT through raw sockets."""

from __future__ import annotations

import asyncio
import functools
import queue
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from kit.broker.listening import Listener
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import (
    V5,
    Connack,
    Connect,
    Message,
    Packet,
    Puback,
    Publish,
    Suback,
    Subscribe,
)
from kit.broker.protocol.reader import PacketReader
from kit.broker.protocol.writer import encode
from kit.broker.server import Broker
from kit.clock import SystemClock
from kit.home import Home
from kit.model.messages import Published
from kit.store import devices, facts, mqtt
from kit.store.database import Database
from kit.store.device_users import DeviceUsers
from kit.store.migrations import sql

SERVICE = ("kit-test", "service password")
SEEN = sql(
    "seen",
    "0001_seen",
    "CREATE TABLE seen (id INTEGER PRIMARY KEY, username, topic, payload, qos INTEGER, duplicate INTEGER)",
)
PATIENCE_S = 5.0


class Client:
    """An MQTT client that does exactly what the test says and nothing else."""

    def __init__(self, port: int, wrap: Callable[[socket.socket], Any] | None = None) -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket = plain if wrap is None else wrap(plain)
        self._reader = PacketReader(Limits(), packet_bytes=2_000_000, reads_server=True)

        self.welcome = Connack(session_present=False, code=0)

    @property
    def version(self) -> int:
        """The protocol level that is spoken; 4 is MQTT 3.1.1, 5 is MQTT 5."""
        return self._reader.version

    @version.setter
    def version(self, version: int) -> None:
        self._reader.version = version

        self.welcome = Connack(session_present=False, code=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def send(self, *packets: Packet) -> None:
        self.socket.sendall(b"".join(encode(packet, self.version) for packet in packets))

    def receive(self) -> Packet:
        """The next packet from the broker."""
        while (packet := self._reader.next_packet()) is None:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionResetError("the broker closed the connection")
            self._reader.receive_data(data)
        return packet

    def expect(self, *packets: Packet) -> None:
        for packet in packets:
            assert self.receive() == packet

    def is_closed(self) -> bool:
        """Whether the broker closes the connection, having said nothing more."""
        try:
            packet = self.receive()
        except ConnectionResetError:
            return True
        raise AssertionError(f"the broker said {packet} instead of closing")

    def hears_nothing(self, seconds: float = 0.2) -> bool:
        self.socket.settimeout(seconds)
        try:
            packet = self.receive()
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE_S)
        raise AssertionError(f"the broker said {packet}")

    def subscribe(self, *filters: str, qos: int = 1) -> tuple[int, ...]:
        self.send(Subscribe(99, tuple((f, qos) for f in filters)))
        answer = self.receive()
        assert isinstance(answer, Suback)
        return answer.codes

    def publish(self, topic: str, payload: bytes, *, packet_id: int = 1, retain: bool = False) -> None:
        """At QoS 1, waiting for the PUBACK."""
        self.send(Publish(topic, payload, 1, retain, packet_id=packet_id))
        self.expect(Puback(packet_id))


@functools.cache
def empty_store() -> bytes:
    """A store with its tables: made once, for it takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kit.db"
        with Database(file, migrations=(*facts.MIGRATIONS, *mqtt.MIGRATIONS, *devices.MIGRATIONS, SEEN)) as made:
            made.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return file.read_bytes()


@contextmanager
def another_writer(file: Path) -> Iterator[sqlite3.Connection]:
    """Somebody who has begun to write and takes a while; a real connection of its own."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
    finally:
        if other.in_transaction:
            other.execute("ROLLBACK")
        other.close()


class Unit:
    """A kit's store with a broker that can be started, stopped and killed."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.port = 0
        self.passwords: dict[str, str] = dict([SERVICE])
        self.problems: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.broker: Broker | None = None
        self.stop: Callable[[], object] = self.close
        self.wrap: Callable[[socket.socket], Any] | None = None
        self._process: subprocess.Popen[str] | None = None
        file.write_bytes(empty_store())

    def add_device(self, name: str) -> None:
        with Database(self.file) as database, database.atomic() as connection:
            self.passwords[name] = devices.add_device(connection, name, now_ms=0).password

    def remove_device(self, name: str) -> None:
        with Database(self.file) as database, database.atomic() as connection:
            devices.remove_device(connection, name)

    def rotate(self, name: str) -> None:
        with Database(self.file) as database, database.atomic() as connection:
            self.passwords[name] = devices.rotate_password(connection, name).password

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with Database(self.file, read_only=True) as database:
            return [tuple(row) for row in database.connection.execute(statement, parameters)]

    def seen(self) -> list[bytes]:
        """The payloads that reached the store, in order."""
        return [payload for (payload,) in self.rows("SELECT payload FROM seen ORDER BY id")]

    def dial(self) -> Client:
        """A client that has said nothing yet."""
        return Client(self.port, self.wrap)

    def connect(
        self,
        username: str = SERVICE[0],
        *,
        client_id: str = "",
        clean: bool = True,
        keep_alive_s: int = 0,
        will: Message | None = None,
        present: bool = False,
    ) -> Client:
        """A client that has signed in."""
        client = Client(self.port, self.wrap)
        client.send(
            Connect(
                client_id=client_id or username,
                clean_session=clean,
                keep_alive_s=keep_alive_s,
                username=username,
                password=self.passwords[username].encode(),
                will=will,
            )
        )
        client.expect(Connack(present, 0))
        return client

    def connect5(self, username: str = SERVICE[0], *, present: bool = False, **wishes: Any) -> Client:
        """A client of MQTT 5 that has signed in; `wishes` as in `Connect`."""
        client = Client(self.port, self.wrap)
        client.version = V5
        password = self.passwords[username].encode()
        wishes = {"client_id": username, **wishes}
        client.send(Connect(username=username, password=password, version=V5, **wishes))
        answer = client.receive()
        assert isinstance(answer, Connack)
        assert (answer.session_present, answer.code) == (present, 0), answer
        client.welcome = answer
        return client

    def start_process(self) -> None:
        script = Path(__file__).with_name("broker_process.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(self.file)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """SIGKILL: no goodbye, no flush."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    def close(self) -> None:
        if self._process is not None:
            self.kill()


class Thread:
    """The unit's broker on its own event loop in a thread."""

    def __init__(self, unit: Unit, ingest: Callable[..., None], limits: Limits, more: Sequence[Listener] = ()) -> None:
        self._unit, self._ingest, self._limits, self._more = unit, ingest, limits, more
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._stop: Callable[[], object] = lambda: None

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    def stop(self) -> None:
        self._stop()
        self._thread.join(PATIENCE_S * 2)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        unit, stop = self._unit, asyncio.Event()
        loop = asyncio.get_running_loop()
        unit.stop = self._stop = lambda: None if loop.is_closed() else loop.call_soon_threadsafe(stop.set)

        def ready(address: tuple[str, int]) -> None:
            unit.port = address[1]
            self._ready.set()

        with Database(unit.file, hurried=True) as store, Database(unit.file) as table:
            unit.broker = Broker(
                host="127.0.0.1",
                port=0,
                users=DeviceUsers(table, services=dict([SERVICE])),
                journal=mqtt.MqttJournal(store, ingest=self._ingest),
                clock=SystemClock(),
                more=self._more,
                limits=self._limits,
                on_problem=unit.problems.put,
            )
            await unit.broker.serve(stop, ready=ready)


def keep(connection: sqlite3.Connection, publishes: Sequence[Published]) -> None:
    rows = [(p.username, p.topic, p.payload, p.qos, p.duplicate) for p in publishes]
    connection.executemany("INSERT INTO seen (username, topic, payload, qos, duplicate) VALUES (?, ?, ?, ?, ?)", rows)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Unit]]:
    """Starts a broker with given limits and collector; may be called again on the same unit after `stop`."""
    running: list[Thread] = []

    def start(
        unit: Unit | None = None,
        *,
        ingest: Callable[..., None] = keep,
        limits: Limits | None = None,
        more: Sequence[Listener] = (),
    ) -> Unit:
        unit = unit or Unit(tmp_path / "kit.db")
        thread = Thread(unit, ingest, limits or Limits(), more)
        thread.start()
        running.append(thread)
        return unit

    yield start
    for thread in running:
        thread.stop()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A kit's home with nothing in it yet."""
    made = Home(tmp_path / "home")
    made.prepare()
    return made


@pytest.fixture
def unit(serve: Callable[..., Unit]) -> Unit:
    """A unit with a running broker and two devices, `roof` and `field`."""
    made = serve()
    made.add_device("roof")
    made.add_device("field")
    return made


@pytest.fixture
def killable(tmp_path: Path) -> Iterator[Unit]:
    """A unit whose broker runs as a process of its own; devices as in `unit`."""
    made = Unit(tmp_path / "kit.db")
    made.add_device("roof")
    made.add_device("field")
    made.start_process()
    yield made
    made.close()


def wait_until(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def eventually() -> Callable[..., bool]:
    """See `wait_until`."""
    return wait_until
