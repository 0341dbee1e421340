"""Sync of many records: two processes over loopback cellular, and a kit with a backlog of a hundred thousand."""

from __future__ import annotations

import multiprocessing
import random
import resource
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import zmq

from hardware.drivers.modem_always import AlwaysOnModem
from kit.clock import Clock, ManualClock, SystemClock
from kit.home import Home
from kit.identity import unit_id
from kit.run.schema import open_unit_store
from kit.store.database import Database
from kit.store.records import SqliteRecordStore, set_origin, write_record
from sync.core.sqlite_store import SqliteCoreStore
from sync.engine import SyncEngine
from sync.links.cellular import CellularKitLink
from sync.links.cellular_core import CellularCoreLink
from sync.links.port import Arrival, LinkState
from sync.protocol import keys
from sync.protocol.frames import LORA_FRAME_BYTES
from sync.protocol.peers import Peer, Role, SinglePeerBook

BODY_BYTES = 100
BATCH = 1000
ALERTS = 20


@dataclass(frozen=True)
class Who:
    """An identity made for the run."""

    unit: str
    exchange_private: bytes
    exchange_public: bytes


def somebody(seed: int) -> Who:
    """Always the same one."""
    private = random.Random(seed).randbytes(32)
    public = keys.public_of(private)
    return Who(unit_id(public), private, public)


KIT, CORE = somebody(1), somebody(2)


def unit_store(home: Path) -> Database:
    """A kit's store with its whole schema."""
    home.mkdir(parents=True, exist_ok=True)
    database = open_unit_store(Home(home))
    database.open()
    with database.atomic() as connection:
        set_origin(connection, KIT.unit)
    return database


def fill(database: Database, count: int, *, priority: int = 4) -> float:
    """Write records as apps do, a thousand per transaction; returns how many per second that makes."""
    body, start_s = bytes(BODY_BYTES - 8), time.perf_counter()
    for first in range(0, count, BATCH):
        with database.atomic() as connection:
            for number in range(first, min(first + BATCH, count)):
                write_record(
                    connection, kind="note", priority=priority, body=number.to_bytes(8, "big") + body,
                    created_ms=1_790_000_000_000,
                )  # fmt: skip
    return count / (time.perf_counter() - start_s)


def floor(file: Path, count: int) -> float:
    """Rows per second of the bare `executemany`, a thousand per transaction, FULL, into the same columns."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
        "CREATE TABLE records (origin TEXT, epoch INTEGER, seq INTEGER, "
        "kind TEXT, priority INTEGER, created_ms INTEGER, lifetime_s INTEGER, addressee TEXT, body BLOB, "
        "UNIQUE (origin, epoch, seq))"
    )
    start_s = time.perf_counter()
    for first in range(0, count, BATCH):
        rows = [
            (KIT.unit, 7, n, "note", 4, 1_790_000_000_000, None, "", bytes(BODY_BYTES))
            for n in range(first, first + BATCH)
        ]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        connection.execute("COMMIT")
    took_s = time.perf_counter() - start_s
    connection.close()
    return count / took_s


def serve_core(home: Path, curve: tuple[bytes, bytes], pipe: Connection) -> None:
    """The city core, in a process of its own."""
    import logging

    logging.disable()
    stop = threading.Event()
    link = CellularCoreLink(listen="tcp://127.0.0.1:0", public=curve[0], secret=curve[1], allowed=lambda _key: True)
    with SqliteCoreStore(home / "core.db", CORE) as store:  # type: ignore[arg-type]
        with store._database.atomic() as connection:  # noqa: SLF001 - as if it had joined long ago
            connection.execute(
                "INSERT INTO core_kits (unit, name, link_id, exchange_public, curve_public, enrolled_ms, enrolled_by) "
                "VALUES (?, 'bench', 7, ?, x'', 0, 'bench')",
                (KIT.unit, KIT.exchange_public),
            )
        link.open()
        pipe.send(link.address)
        threading.Thread(target=_wait_for_the_end, args=(pipe, stop), daemon=True).start()
        SyncEngine(
            identity=CORE, store=store, peers=store, links=[link], clock=SystemClock(), rng=random.Random(3),
            on_links=lambda _reports: None, changed=store.changed,
        ).run(stop)  # fmt: skip
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_utime)


def _wait_for_the_end(pipe: Connection, stop: threading.Event) -> None:
    pipe.recv()
    stop.set()


def over_cellular(home: Path, count: int) -> tuple[float, float]:
    """The best of three runs on a machine that is not ours alone: records per second, and the bare floor beside it."""
    return max((_over_cellular(home / str(run), count) for run in range(3)), key=lambda each: each[0])


@contextmanager
def a_core(home: Path, curve: tuple[bytes, bytes]) -> Iterator[str]:
    """A city core in a process of its own; gives its address, and prints what processor time it took."""
    home.mkdir(parents=True)
    here, there = multiprocessing.Pipe()
    core = multiprocessing.get_context("spawn").Process(target=serve_core, args=(home, curve, there))
    core.start()
    start_s = time.perf_counter()
    yield here.recv()
    took_s = time.perf_counter() - start_s
    here.send("stop")
    print(f"    core's processor time {here.recv():.1f} s, of {took_s:.1f} s")
    core.join()


def _over_cellular(home: Path, count: int) -> tuple[float, float]:
    """Records per second from the start of the kit's engine to the last acknowledgement written; and the bare floor."""
    database = unit_store(home / "kit")
    fill(database, count)
    core_keys = zmq.curve_keypair()
    with a_core(home / "core", core_keys) as address:
        engine, link = connected(database, address, core_keys[0], SystemClock())
        start_s = time.perf_counter()
        while waits(database):
            engine.step(0.005)
        took_s = time.perf_counter() - start_s
        link.close()
    database.close()
    return count / took_s, floor(home / "floor.db", count)


def connected(database: Database, address: str, core_public: bytes, clock: Clock) -> tuple[SyncEngine, CellularKitLink]:
    """The kit's engine, with a cellular link that stands."""
    public, secret = zmq.curve_keypair()
    link = CellularKitLink(
        core=address, server_public=core_public, public=public, secret=secret, modem=AlwaysOnModem(), clock=clock,
        rng=random.Random(5),
    )  # fmt: skip
    engine = kit_engine(database, [link], clock)
    while link.state() is not LinkState.UP:
        engine.step(0.01)
    return engine, link


def waits(database: Database) -> bool:
    """Whether a record has not been accepted."""
    return database.connection.execute("SELECT 1 FROM records WHERE pending = 1 LIMIT 1").fetchone() is not None


def kit_engine(database: Database, links: Sequence[Any], clock: Any) -> SyncEngine:
    """The kit's engine, as its service starts it."""
    store = SqliteRecordStore(database)
    peer = Peer(unit=CORE.unit, link_id=7, exchange_public=CORE.exchange_public, role=Role.CORE)
    return SyncEngine(
        identity=KIT, store=store, peers=SinglePeerBook(peer), links=links, clock=clock, rng=random.Random(4),
        on_links=lambda _reports: None, changed=store.changed, due_now=store.take_retries,
    )  # fmt: skip


class DeafRadio:
    """Takes a frame whenever it has room, and hears nothing."""

    name, mtu_bytes, lowest_priority = "lora", LORA_FRAME_BYTES, 4

    def __init__(self) -> None:
        self.took: list[int] = []
        self.took_at_s = 0.0
        self.room = 2

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def state(self) -> LinkState:
        return LinkState.UP if self.room else LinkState.BUSY

    def explain(self) -> str:
        return ""

    def send(self, frame: bytes, *, priority: int, to: str | None = None) -> bool:
        del frame, to
        if not self.room and priority:
            return False
        self.room -= priority > 0
        self.took.append(priority)
        self.took_at_s = time.perf_counter()
        return True

    def receive(self, timeout_s: float) -> Sequence[Arrival]:
        del timeout_s
        return ()


def behind_a_backlog(home: Path, count: int) -> dict[str, float]:
    """How long a kit with so many queued records takes to start, its memory, and how long an alert waits.

    The kit is a process of its own, so that what it holds is its own, and not what writing the records took.
    """
    database = unit_store(home)
    fill(database, count)
    database.close()
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_start_with_a_backlog, home).result()


def _start_with_a_backlog(home: Path) -> dict[str, float]:
    database = unit_store(home)
    clock, radio = ManualClock(at_s=1_790_000_000.0), DeafRadio()
    start_s = time.perf_counter()
    engine = kit_engine(database, [radio], clock)
    engine.step()
    started_s = time.perf_counter() - start_s
    waits_ms = []
    with Database(home / "kit.db") as app:
        for number in range(ALERTS):
            clock.advance(3.0)
            radio.room = 1
            engine.step()
            with app.atomic() as connection:
                write_record(connection, kind="alert", priority=0, body=bytes(130), created_ms=int(clock.now() * 1000))
            frames = len(radio.took)
            start_s = time.perf_counter()
            engine.step()
            waits_ms.append(1000.0 * (radio.took_at_s - start_s))
            assert radio.took[frames] == 0, number
    told = {
        "start_s": started_s,
        "worst_ms": max(waits_ms),
        "median_ms": sorted(waits_ms)[ALERTS // 2],
        "rss_mib": _own_memory_mib("VmRSS"),
        "peak_mib": _own_memory_mib("VmHWM"),
    }
    database.close()
    return told


def _own_memory_mib(what: str) -> float:
    """From Linux: `VmRSS`, what this process holds now, or `VmHWM`, the most it has held."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024.0
