"""A modem that flaps every twenty seconds, and a port that is blocked: records still arrive, over real sockets."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from hardware.drivers.modem_always import AlwaysOnModem
from kit.clock import AcceleratedClock
from kit.store import facts, records
from kit.store.database import Database
from kit.store.records import SqliteRecordStore, set_origin, write_record
from sync.engine import SyncEngine
from sync.links.cellular import CellularKitLink
from sync.links.cellular_core import CellularCoreLink
from sync.links.fallback import Fallback
from sync.links.https_core import HttpsCoreLink
from sync.links.https_kit import HttpsKitLink
from sync.protocol import keys
from sync.protocol.peers import Peer, Role, SinglePeerBook

SPEED = 20.0
HALF_FLAP_S = 10.0
"""Kit seconds up, then as long down: it flaps every twenty."""


class FlappingProxy:
    """A port that passes bytes on while the network is there, and while it is not cuts and refuses everything."""

    def __init__(self, port: int, *, half_s: float) -> None:
        self._target, self._half_s = port, half_s
        self.up, self.flaps = True, 0
        self._stop = threading.Event()
        self._pairs: list[socket.socket] = []
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._flap), threading.Thread(target=self._accept)]
        for thread in self._threads:
            thread.start()

    def _flap(self) -> None:
        while not self._stop.wait(self._half_s):
            self.up, self.flaps = not self.up, self.flaps + 1
            if not self.up:
                self._cut()

    def _cut(self) -> None:
        pairs, self._pairs = self._pairs, []
        for each in pairs:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        assert self._listener is not None
        self._listener.settimeout(0.05)
        while not self._stop.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                continue
            if not self.up:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._target))
            self._pairs += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for each in (one, other):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._cut()
        if self._listener is not None:
            self._listener.close()


class Pair:
    """A kit and a core with their stores; each engine runs on a thread of its own, as in the field."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = AcceleratedClock(1_790_000_000.0, time.clock_gettime(time.CLOCK_BOOTTIME), SPEED)
        self.core_private, self.kit_private = bytes(range(32)), bytes(range(32, 64))
        self.core_curve, self.kit_curve = zmq.curve_keypair(), zmq.curve_keypair()
        self.direct = CellularCoreLink(
            listen="tcp://127.0.0.1:0", public=self.core_curve[0], secret=self.core_curve[1], allowed=lambda _: True
        )
        self.direct.open()
        self.https = HttpsCoreLink(
            host="127.0.0.1",
            port=0,
            keys=folder,
            exchange_private=self.core_private,
            allowed=lambda *_: True,
            clock=self.clock,
        )
        self.https.open()
        self.stores: dict[str, Database] = {}
        self.stop = threading.Event()
        self.threads: list[threading.Thread] = []

    def core_port(self) -> int:
        return int(self.direct.address.rpartition(":")[2])

    def start(self, *, port: int) -> None:
        """Both sides; the kit finds the core at that port."""
        cellular = CellularKitLink(
            core=f"tcp://127.0.0.1:{port}",
            server_public=self.core_curve[0],
            public=self.kit_curve[0],
            secret=self.kit_curve[1],
            modem=AlwaysOnModem(),
            clock=self.clock,
            rng=random.Random(1),
        )
        https = HttpsKitLink(
            urls=[f"https://127.0.0.1:{self.https.port}"],
            link_id=7,
            core_public=keys.public_of(self.core_private),
            exchange_private=self.kit_private,
            exchange_public=keys.public_of(self.kit_private),
            needed=Fallback(cellular, self.clock).needed,
            clock=self.clock,
            rng=random.Random(2),
        )
        core, kit = self._identity("core-city", self.core_private), self._identity("kit-a", self.kit_private)
        self._serve(core, kit, [self.direct, self.https], Role.KIT)
        self._serve(kit, core, [cellular, https], Role.CORE)

    def _identity(self, unit: str, private: bytes) -> Any:
        class Identity:
            exchange_private, exchange_public = private, keys.public_of(private)

        Identity.unit = unit  # type: ignore[attr-defined] # a class body does not see its function's argument twice
        return Identity

    def _serve(self, us: Any, them: Any, links: list[Any], role: Role) -> None:
        database = Database(self.folder / f"{us.unit}.db", migrations=(*facts.MIGRATIONS, *records.MIGRATIONS))
        database.open()
        with database.atomic() as connection:
            set_origin(connection, us.unit)
        self.stores[us.unit] = database
        peer = Peer(unit=them.unit, link_id=7, exchange_public=them.exchange_public, role=role)
        store = SqliteRecordStore(database)
        engine = SyncEngine(
            identity=us,
            store=store,
            peers=SinglePeerBook(peer),
            links=links,
            clock=self.clock,
            rng=random.Random(3),
            on_links=lambda _: None,
            changed=store.changed,
        )
        thread = threading.Thread(target=engine.run, args=(self.stop,))
        self.threads.append(thread)
        thread.start()

    def write(self, count: int, size: int) -> None:
        with (
            Database(self.folder / "kit-a.db") as database,
            database.atomic() as connection,
        ):
            for _ in range(count):
                now_ms = int(self.clock.now() * 1000)
                write_record(connection, kind="file", priority=5, body=bytes(size), created_ms=now_ms)

    def waiting(self) -> int:
        with Database(self.folder / "kit-a.db", read_only=True) as database:
            (count,) = database.connection.execute("SELECT count(*) FROM records WHERE pending = 1").fetchone()
            return int(count)

    def accepted_by(self) -> set[str]:
        with Database(self.folder / "kit-a.db", read_only=True) as database:
            rows = database.connection.execute("SELECT DISTINCT link FROM custody WHERE accepted_ms IS NOT NULL")
            return {str(row[0]) for row in rows}

    def close(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()
        for database in self.stores.values():
            database.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path)
    yield pair
    pair.close()


def wait_for(condition: Callable[[], Any], *, seconds: float, what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what()}"
        time.sleep(0.05)


def test_a_network_that_flaps_every_twenty_seconds_still_makes_progress(pair: Pair) -> None:
    proxy = FlappingProxy(pair.core_port(), half_s=HALF_FLAP_S / SPEED)
    try:
        pair.start(port=proxy.port)
        for _ in range(3):
            pair.write(6, 20_000)
            flaps = proxy.flaps
            wait_for(lambda flaps=flaps: proxy.flaps >= flaps + 2, seconds=10, what=lambda: proxy.flaps)  # type: ignore[misc] # mypy cannot infer a default's type
        wait_for(lambda: pair.waiting() == 0, seconds=30, what=pair.waiting)
        assert pair.accepted_by() == {"cellular"}
    finally:
        proxy.close()


def test_when_the_port_is_blocked_the_same_frames_go_by_https_and_come_back_when_it_opens(pair: Pair) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    pair.start(port=port)
    pair.write(5, 10_000)
    wait_for(lambda: pair.waiting() == 0, seconds=20, what=pair.waiting)
    assert pair.accepted_by() == {"https"}
    proxy = FlappingProxy(pair.core_port(), half_s=1000.0)
    try:
        # the same port opens: somebody has mended the firewall
        with socket.create_server(("127.0.0.1", port)) as opened:
            opened.settimeout(10)
            near, _ = opened.accept()
            far = socket.create_connection(("127.0.0.1", pair.core_port()))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=proxy._pump, args=(one, other), daemon=True).start()

            def by_the_direct_way() -> bool:
                pair.write(1, 100)
                return "cellular" in pair.accepted_by()

            wait_for(by_the_direct_way, seconds=20, what=pair.accepted_by)
            for each in (near, far):
                each.close()
    finally:
        proxy.close()
