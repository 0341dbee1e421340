"""A kit that renews its keys at a city core: real homes, stores and engines, on one virtual clock and media in memory.

Either side can be killed at any write, set back to an earlier copy of its disk, or copied.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from zmq.utils import z85

from kit.backup.restoring import renew
from kit.clock import ManualClock
from kit.home import Home
from kit.identity import load_or_create_curve_keys, load_or_create_identity, write_secret
from kit.run.rotating import KeyTurn, Rotating
from kit.run.schema import open_unit_store
from kit.store.database import Database
from kit.store.records import SqliteRecordStore, set_origin, write_record
from sync import rotation
from sync.core.invites import make_invite
from sync.core.setup import open_core, prepare_core
from sync.core.sqlite_store import SqliteCoreStore
from sync.engine import SyncEngine
from sync.join import enrolled, join, read_membership
from sync.protocol.enrolment import make_hello
from sync.protocol.peers import Peer, SinglePeerBook
from sync.rotation import read_rotation

NOON_S = 1_790_000_000.0
STEP_S = 0.5


class PowerCut(BaseException):
    """The process is gone, here and now."""


class Wiring:
    """Counts what a side writes down, and cuts its power before or after one of these writes."""

    def __init__(self) -> None:
        self.count = 0
        self.cut: tuple[int, bool] = (0, False)
        self.names: list[str] = []

    def around(self, name: str, write: Callable[[], Any]) -> Any:
        self.count += 1
        self.names.append(name)
        number, after = self.cut
        if self.count == number and not after:
            raise PowerCut
        told = write()
        if self.count == number and after:
            raise PowerCut
        return told


class WiredStore:
    """A real store in a house with bad wiring."""

    WRITES = frozenset({"take", "accepted", "left", "save_session", "speaks_under_next_key"})

    def __init__(self, store: Any, wiring: Wiring) -> None:
        self._store, self._wiring = store, wiring

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in self.WRITES:
            return method
        return lambda *args, **more: self._wiring.around(name, lambda: method(*args, **more))


class Cored:
    """The city core."""

    def __init__(self, world: Any, home: Path) -> None:
        self.world, self.home, self.wiring = world, Home(home), Wiring()
        self.links: list[Any] = []
        self.open()

    def open(self) -> None:
        self.core = replace(open_core(self.home), clock=self.world.clock)
        self.store: SqliteCoreStore = self.core.open_store().__enter__()
        self.start()

    def start(self) -> None:
        wired: Any = WiredStore(self.store, self.wiring)
        self.engine = SyncEngine(
            identity=self.core.identity,
            store=wired,
            peers=wired,
            links=self.links,
            clock=self.world.clock,
            rng=self.world.rng,
            on_links=lambda _: None,
            changed=self.store.changed,
            name="Nakuru",
        )

    def step(self) -> None:
        self.engine.step()

    def close(self) -> None:
        self.store.__exit__(None, None, None)

    def send(self, body: bytes, *, to: str) -> None:
        self.store.write(addressee=to, kind="note", priority=2, body=body, now_ms=self.world.now_ms)
        self.engine._offering.anew()

    def bodies(self, unit: str, kind: str = "note") -> list[bytes]:
        rows = self.store._database.connection.execute(
            "SELECT body FROM core_records WHERE origin = ? AND kind = ? ORDER BY number", (unit, kind)
        )
        return [bytes(body) for (body,) in rows]

    def key_of(self, unit: str) -> bytes:
        return next(peer.exchange_public for peer in self.store.all() if peer.unit == unit)

    def next_of(self, unit: str) -> bytes:
        return next(peer.next_public for peer in self.store.all() if peer.unit == unit)


class Kitted:
    """A kit, with the part of its sync service that looks after keys."""

    def __init__(self, world: Any, home: Path) -> None:
        self.world, self.home, self.wiring = world, Home(home), Wiring()
        self.links: list[Any] = []
        self.database: Database = open_unit_store(self.home).__enter__()
        self.rotating: Rotating
        self.turn: KeyTurn | None = None
        self.start()

    @property
    def unit(self) -> str:
        return load_or_create_identity(self.home).unit

    @property
    def core_unit(self) -> str:
        membership = read_membership(self.home)
        assert membership is not None
        return membership.invite.core

    def start(self) -> None:
        """The process begins: nothing but the disk is known."""
        self.rotating = Rotating(
            self.home,
            self.world.clock,
            write=lambda file, value: self.wiring.around(file.name, lambda: write_secret(file, value)),
        )
        self.turn = None

    def step(self) -> None:
        if self.turn is None or self.turn.is_over(lambda: self.database):
            self._begin_turn()
        self.engine.step()

    def _begin_turn(self) -> None:
        membership = read_membership(self.home)
        assert membership is not None
        self.turn = KeyTurn(self.rotating, core=membership.invite.core, enrolled=membership.enrolled)
        store = SqliteRecordStore(self.database)
        wired: Any = WiredStore(store, self.wiring)
        self.engine = SyncEngine(
            identity=self.turn.keys.identity,
            store=wired,
            peers=SinglePeerBook(membership.invite.peer, pending=not membership.enrolled),
            links=self.links,
            clock=self.world.clock,
            rng=self.world.rng,
            on_links=self.turn.note_links,
            invite=None if membership.enrolled else membership.invite,
            curve_public=z85.decode(self.turn.keys.curve.public),
            changed=lambda: self.database.connection.total_changes,
            on_enrolled=self._welcomed,
            pairs=self.turn if self.turn.keys.other else None,
        )

    def _welcomed(self, event: Any) -> None:
        enrolled(self.home, core_name=event.name)
        self.turn = None  # as the service's watcher would see it

    def rotate(self) -> None:
        """`kit sync rotate-keys`."""
        rotation.begin(self.home, core=self.core_unit, now_ms=self.world.now_ms)

    def write(self, body: bytes) -> None:
        with self.database.atomic() as connection:
            write_record(connection, kind="note", priority=2, body=body, created_ms=self.world.now_ms)

    @property
    def stage(self) -> str:
        told = read_rotation(self.home)
        return "" if told is None else told.stage.value

    @property
    def waiting(self) -> int:
        (count,) = self.database.connection.execute("SELECT count(*) FROM records WHERE pending = 1").fetchone()
        return int(count)

    def bodies(self, kind: str = "note") -> list[bytes]:
        rows = self.database.connection.execute(
            "SELECT body FROM records WHERE taken_ms IS NOT NULL AND kind = ? ORDER BY number", (kind,)
        )
        return [bytes(body) for (body,) in rows]

    @property
    def public(self) -> bytes:
        return load_or_create_identity(self.home).exchange_public

    def close(self) -> None:
        self.database.__exit__(None, None, None)


class World:
    """A core and its kits."""

    def __init__(self, folder: Path, medium: Any, radio: Any) -> None:
        self.folder, self.clock, self.rng = folder, ManualClock(at_s=NOON_S), random.Random(5)
        self.medium = medium(self.clock, self.rng)
        self._radio = radio
        self.core = Cored(self, folder / "core")
        self.kit = Kitted(self, folder / "kit")
        self.sides: list[Any] = [self.core, self.kit]
        self.power_cuts = self._copies = 0

    @property
    def now_ms(self) -> int:
        return int(self.clock.now() * 1000)

    def link(self, side: Any, *, address: str, radio: bool = False) -> None:
        if radio:
            side.links.append(self._radio(self.medium, address))
            return
        link = self._radio(self.medium, address)
        link.name, link.mtu_bytes, link.lowest_priority = "cellular", 60_000, 5
        link._frame_s = lambda size: 0.01 + size / 1_000_000
        side.links.append(link)

    def live(self, seconds: float, until: Callable[[], bool] = lambda: False, *, step_s: float = STEP_S) -> bool:
        """Let time pass, until something is so; whether it became so."""
        passed = 0.0
        while passed < seconds:
            if until():
                return True
            self.clock.advance(step_s)
            passed += step_s
            for side in self.sides:
                try:
                    side.step()
                except PowerCut:
                    self.power_cuts += 1
                    side.start()
        return until()

    @property
    def renewed(self) -> bool:
        """Both sides know the new keys and no others, and nothing waits."""
        return not self.kit.stage and self.kit.waiting == 0 and self.core.key_of(self.kit.unit) == self.kit.public

    def copy_of(self, side: Any) -> Path:
        """The side's whole disk, as it is now."""
        self._copies += 1
        target = self.folder / f"copy-{self._copies}"
        shutil.copytree(side.home.path, target, ignore=shutil.ignore_patterns("*.db*"))
        database = side.store._database if isinstance(side, Cored) else side.database
        name = side.home.core_database.name if isinstance(side, Cored) else side.home.database.name
        with sqlite3.connect(target / name) as copy:
            database.connection.backup(copy)
        copy.close()
        return target

    def set_back(self, side: Any, copy: Path) -> None:
        """That side's disk dies, and is replaced by the copy, as a restored backup would."""
        side.close()
        shutil.rmtree(side.home.path)
        shutil.copytree(copy, side.home.path)
        if isinstance(side, Cored):
            side.open()
            return
        renew(side.home.database)
        side.database = open_unit_store(side.home).__enter__()
        side.start()

    def invite(self, name: str = "Orchard", *, unit: str = "") -> str:
        return make_invite(self.core.core, name, days=7, address="tcp://127.0.0.1:1", unit=unit)

    def end(self) -> None:
        """Let go of the files; again changes nothing."""
        for side in self.sides:
            side.close()
        self.sides = []


def _seed(folder: Path) -> None:
    """A kit that has joined a core long ago; made once, copied for each world."""
    clock = ManualClock(at_s=NOON_S)
    core = replace(prepare_core(Home(folder / "core")), clock=clock)
    home = Home(folder / "kit")
    home.prepare()
    identity, curve = load_or_create_identity(home), load_or_create_curve_keys(home)
    with open_unit_store(home) as database, database.atomic() as connection:
        set_origin(connection, identity.unit)
    membership = join(home, make_invite(core, "Orchard", days=7, address="tcp://127.0.0.1:1"), clock=clock)
    hello = make_hello(
        membership.invite,
        unit=identity.unit,
        exchange_private=identity.exchange_private,
        exchange_public=identity.exchange_public,
        curve_public=z85.decode(curve.public),
    )
    with core.open_store() as store:
        assert isinstance(store.enrol(hello, now_ms=int(NOON_S * 1000), link="cellular"), Peer)
    enrolled(home, core_name="Nakuru")


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rotation")
    _seed(folder)
    return folder


@pytest.fixture
def make_world(tmp_path: Path, seed: Path, air_of_radios: tuple[Any, Any]) -> Iterator[Callable[..., World]]:
    """Worlds of one joined kit and its core."""
    worlds: list[World] = []

    def make(*, radio: bool = False) -> World:
        folder = tmp_path / f"world-{len(worlds)}"
        shutil.copytree(seed, folder)
        world = World(folder, *air_of_radios)
        worlds.append(world)
        world.link(world.core, address="#core", radio=radio)
        world.link(world.kit, address="#kit", radio=radio)
        world.core.start()
        return world

    yield make
    for world in worlds:
        world.end()
