"""A unit's broker and actuator service in this process, on a clock that runs fifty times as fast."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hardware.simulated.actuator import SimulatedActuator
from kit.broker.server import Broker
from kit.bus.paho_bus import PahoBus
from kit.clock import AcceleratedClock
from kit.collect.actuation.service import ActuatorService
from kit.collect.ingest import Ingest
from kit.model.grants import STATUS
from kit.store.database import Database
from kit.store.device_users import DeviceUsers
from kit.store.devices import add_device
from kit.store.mqtt import MqttJournal
from kit.store.schema import MIGRATIONS

SPEED = 50.0
SERVICE = ("kit-collect", "secret")


def within(seconds: float, true: Callable[[], Any]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.01)
    return bool(true())


@dataclass
class Unit:
    """See the module."""

    folder: Path
    clock: AcceleratedClock
    port: int = 0
    lease_s: float = 1.0
    stack: ExitStack = field(default_factory=ExitStack)
    _stop: threading.Event = field(default_factory=threading.Event)
    _service: threading.Thread | None = None
    _bus: PahoBus | None = None

    @property
    def file(self) -> Path:
        return self.folder / "kit.db"

    def open(self) -> Database:
        return Database(self.file, migrations=MIGRATIONS)

    def start_broker(self) -> None:
        ready, stops = threading.Event(), []

        async def serve() -> None:
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            stops.append(lambda: loop.call_soon_threadsafe(stop.set))

            def note(address: tuple[str, int]) -> None:
                self.port = address[1]
                ready.set()

            with self.open() as store, self.open() as devices:
                journal = MqttJournal(store, ingest=Ingest(self.clock))
                users = DeviceUsers(devices, services=dict([SERVICE]))
                broker = Broker(host="127.0.0.1", port=0, users=users, journal=journal, clock=self.clock)
                await broker.serve(stop, ready=note)

        thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        thread.start()
        assert ready.wait(20)
        self.stack.callback(thread.join, 10)
        self.stack.callback(stops[0])

    def start_service(self) -> None:
        self._stop = threading.Event()
        bus = PahoBus(
            "127.0.0.1", self.port, username=SERVICE[0], password=SERVICE[1], client_id="collect", presence=STATUS
        )
        self._bus = bus.__enter__()

        def run(stop: threading.Event) -> None:
            with self.open() as database:
                ActuatorService(database, self.clock, bus, look_s=0.02, shortest_lease_s=self.lease_s).run(stop)

        self._service = threading.Thread(target=run, args=(self._stop,), daemon=True)
        self._service.start()
        assert within(10, lambda: bus.connected)

    def kill_service(self) -> None:
        """As SIGKILL: nobody is told anything; the connection is gone without a goodbye."""
        self._stop.set()
        assert self._service is not None
        assert self._bus is not None
        self._service.join(10)
        client = self._bus._client
        assert client is not None
        sock = client.socket()
        self._bus._client = None
        client.loop_stop()
        if sock is not None:
            sock.close()

    def stop_service(self) -> None:
        self._stop.set()
        if self._service is not None:
            self._service.join(10)
        if self._bus is not None:
            self._bus.__exit__(None, None, None)

    def actuator(self, name: str = "valve") -> SimulatedActuator:
        with self.open() as database, database.atomic() as connection:
            credentials = add_device(connection, name, now_ms=0)
        device = SimulatedActuator(
            name,
            credentials.password,
            host="127.0.0.1",
            port=self.port,
            clock=self.clock,
            state_file=self.folder / f"{name}.json",
        )
        return self.stack.enter_context(device)
