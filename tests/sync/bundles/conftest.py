"""Kits and a city core with real stores that meet only on a stick."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kit.clock import ManualClock
from kit.home import Home
from kit.identity import Identity, load_or_create_identity
from kit.run.bundles import core_exchange, kit_exchange, note_welcome
from kit.run.schema import open_unit_store
from kit.store.database import Database
from kit.store.queue import queue
from kit.store.records import set_origin, write_record
from sync.bundles.exchange import Exchange, Exported, Imported
from sync.bundles.shelf import Stick
from sync.core.invites import make_invite
from sync.core.setup import Core, prepare_core
from sync.core.sqlite_store import store_file
from sync.join import join
from sync.protocol.records import RecordId

NOON_S = 1_790_000_000.0


class TrialKit:
    """A kit's home with its store, and a person with a stick in front of it."""

    def __init__(self, home: Home, clock: ManualClock) -> None:
        home.prepare()
        self.home, self.clock = home, clock
        self.identity: Identity = load_or_create_identity(home)
        with open_unit_store(home) as database, database.atomic() as connection:
            set_origin(connection, self.identity.unit)

    @property
    def unit(self) -> str:
        return self.identity.unit

    def write(self, body: bytes = b"x" * 100, *, kind: str = "readings", priority: int = 4) -> RecordId:
        with open_unit_store(self.home) as database, database.atomic() as connection:
            return write_record(connection, kind=kind, priority=priority, body=body, created_ms=self.now_ms)

    def write_many(self, count: int, body: bytes = b"x" * 100) -> None:
        with open_unit_store(self.home) as database, database.atomic() as connection:
            for _ in range(count):
                write_record(connection, kind="readings", priority=4, body=body, created_ms=self.now_ms)

    @property
    def now_ms(self) -> int:
        return int(self.clock.now() * 1000)

    def exchange(self) -> AbstractContextManager[Exchange]:
        return kit_exchange(self.home, self.clock, name="Orchard")

    def fill(self, stick: Stick) -> Exported:
        with self.exchange() as exchange:
            return exchange.put_on(stick)

    def empty(self, stick: Stick) -> Imported:
        with self.exchange() as exchange:
            told = exchange.take_from(stick)
        note_welcome(self.home, told)
        return told

    def queue(self) -> list[dict[str, Any]]:
        with open_unit_store(self.home) as database:
            return queue(database.connection, limit=1_000_000)

    @property
    def states(self) -> set[str]:
        return {row["state"] for row in self.queue()}

    def inbox(self) -> list[tuple[str, bytes]]:
        with open_unit_store(self.home) as database:
            rows = database.connection.execute("SELECT kind, body FROM records WHERE taken_ms IS NOT NULL")
            return [(row["kind"], bytes(row["body"])) for row in rows]


class City:
    """A core with its store, and a person with a stick in front of it."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def invite(self, name: str = "Orchard") -> str:
        return make_invite(self.core, name, days=7.0, address="")

    def read(self, stick: Stick) -> tuple[Imported, Exported]:
        with core_exchange(self.core) as exchange:
            return exchange.take_from(stick), exchange.put_on(stick)

    def bodies(self) -> list[bytes]:
        database = Database(store_file(self.core.home, self.core.settings.core), read_only=True)
        with database:
            rows = database.connection.execute("SELECT body FROM core_records WHERE outcome IS NOT NULL")
            return [bytes(row["body"]) for row in rows]

    def tell(self, unit: str, body: bytes, *, kind: str = "message") -> None:
        with self.core.open_store() as store:
            store.write(addressee=unit, kind=kind, priority=2, body=body, now_ms=self.core.now_ms())


class Valley:
    """Everything, with one clock."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock, self.rng = path, ManualClock(at_s=NOON_S), random.Random(1)
        self.city = City(replace(prepare_core(Home(path / "core")), clock=self.clock))
        self.sticks = 0

    def kit(self, name: str = "orchard", *, joined: bool = True) -> TrialKit:
        kit = TrialKit(Home(self.path / name), self.clock)
        if joined:
            join(kit.home, self.city.invite(name), clock=self.clock)
            stick = self.stick()
            kit.fill(stick)
            self.city.read(stick)
            kit.empty(stick)
        return kit

    def stick(self) -> Stick:
        self.sticks += 1
        top = self.path / f"stick-{self.sticks}"
        top.mkdir()
        return Stick(top)


@pytest.fixture
def valley(tmp_path: Path) -> Valley:
    return Valley(tmp_path)


@pytest.fixture
def copy_of() -> Callable[[Stick, Path], Stick]:
    def copy(stick: Stick, to: Path) -> Stick:
        shutil.copytree(stick.path, to)
        return Stick(to)

    return copy
