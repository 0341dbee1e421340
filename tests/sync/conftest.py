"""A kit, a city core and the air between them, on one virtual clock: seconds pass in microseconds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kit.clock import ManualClock
from kit.store import facts, records
from kit.store.database import Database
from kit.store.records import SqliteRecordStore, set_origin, write_record
from sync.engine import LinkReport, SyncEngine
from sync.engine.talks import LIFE_S
from sync.links.port import Arrival, LinkState
from sync.protocol import keys
from sync.protocol.airtime import frame_airtime_ms
from sync.protocol.enrolment import Hello, Invite, proof_is_right
from sync.protocol.peers import Peer, Refusal, RefusalReason, Role, SinglePeerBook

NOON_S = 1_790_000_000.0


@dataclass
class Faults:
    """How the air misbehaves."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    bit_error: float = 0.0
    eaten: set[int] = field(default_factory=set)


class Medium:
    """Carries frames between all links on it."""

    def __init__(self, clock: ManualClock, rng: random.Random) -> None:
        self.clock, self.rng, self.faults = clock, rng, Faults()
        self.links: list[MemoryLink] = []
        self.flying: list[tuple[float, MemoryLink, Arrival]] = []
        self.log: list[tuple[float, str, int, bytes]] = []

    def carry(self, sender: MemoryLink, frame: bytes, at_s: float, priority: int) -> None:
        number = len(self.log)
        self.log.append((at_s, sender.address, priority, frame))
        for link in self.links:
            if link is not sender and link.plugged and sender.plugged:
                self._to(link, sender, frame, at_s, number)

    def _to(self, link: MemoryLink, sender: MemoryLink, frame: bytes, at_s: float, number: int) -> None:
        faults, rng = self.faults, self.rng
        if rng.random() < faults.loss or number in faults.eaten:
            return
        if rng.random() < faults.bit_error:
            hit = rng.randrange(len(frame) * 8)
            frame = bytes(byte ^ (1 << hit % 8 if index == hit // 8 else 0) for index, byte in enumerate(frame))
        late_s = 20.0 * rng.random() if rng.random() < faults.reorder else 0.0
        self.flying.append((at_s + late_s, link, Arrival(frame, sender.address)))
        if rng.random() < faults.duplicate:
            self.flying.append((at_s + late_s + 3.0, link, Arrival(frame, sender.address)))


class MemoryLink:
    """A link with airtime: two frames wait at most, each takes its time."""

    def __init__(
        self,
        name: str,
        medium: Medium,
        *,
        address: str,
        mtu_bytes: int,
        lowest_priority: int,
        frame_s: Callable[[int], float],
    ) -> None:
        self.name, self.mtu_bytes, self.lowest_priority = name, mtu_bytes, lowest_priority
        self.address, self._medium, self._frame_s = address, medium, frame_s
        self.plugged, self.raises = True, False
        self._free_at = 0.0
        medium.links.append(self)

    def open(self) -> None:
        if self.raises:
            raise OSError("the lead is broken")

    def close(self) -> None:
        pass

    def state(self) -> LinkState:
        if not self.plugged:
            return LinkState.DOWN
        busy = self._free_at > self._medium.clock.monotonic() + 2 * self._frame_s(self.mtu_bytes)
        return LinkState.BUSY if busy else LinkState.UP

    def explain(self) -> str:
        return f"{self.name} in memory"

    def send(self, frame: bytes, *, priority: int, to: str | None = None) -> bool:
        del to  # on these media everybody hears everything
        if self.raises:
            raise OSError("the lead is broken")
        assert len(frame) <= self.mtu_bytes
        if self.state() is not LinkState.UP and priority > 0:
            return False
        self._free_at = max(self._free_at, self._medium.clock.monotonic()) + self._frame_s(len(frame))
        self._medium.carry(self, frame, self._free_at, priority)
        return True

    def receive(self, timeout_s: float) -> Sequence[Arrival]:
        del timeout_s  # no real time passes here
        if self.raises:
            raise OSError("the lead is broken")
        now, flying = self._medium.clock.monotonic(), self._medium.flying
        due = sorted((each for each in flying if each[1] is self and each[0] <= now), key=lambda each: each[0])
        self._medium.flying = [each for each in flying if not (each[1] is self and each[0] <= now)]
        return [arrival for _, _, arrival in due]


class MemoryBook:
    """The core's peers and invites, as a core's store would keep them."""

    def __init__(self, private: bytes) -> None:
        self.private = private
        self.peers: dict[int, Peer] = {}
        self.tokens: dict[int, tuple[bytes, int]] = {}
        self.heard_of: list[tuple[str, str]] = []

    def by_link_id(self, link_id: int) -> Peer | None:
        return self.peers.get(link_id)

    def enrol(self, hello: Hello, *, now_ms: int, link: str) -> Peer | Refusal:
        del link
        token, expires_ms = self.tokens.get(hello.link_id, (b"", 0))
        if not token:
            return Refusal(RefusalReason.UNKNOWN)
        if not proof_is_right(hello, token=token, exchange_private=self.private):
            return Refusal(RefusalReason.FORGED)
        known = self.peers.get(hello.link_id)
        if known is not None:
            same = known.exchange_public == hello.exchange_public
            return known if same else Refusal(RefusalReason.USED)
        if now_ms > expires_ms:
            return Refusal(RefusalReason.EXPIRED)
        peer = Peer(unit=hello.unit, link_id=hello.link_id, exchange_public=hello.exchange_public, name=hello.name)
        return self.peers.setdefault(hello.link_id, peer)

    def heard(self, unit: str, *, link: str, via: str, now_ms: int) -> None:
        del via, now_ms
        self.heard_of.append((unit, link))

    def twin_heard(self, unit: str, *, now_ms: int) -> None:
        del now_ms
        for link_id, peer in self.peers.items():
            if peer.unit == unit:
                self.peers[link_id] = replace(peer, twin=True)

    def all(self) -> Sequence[Peer]:
        return tuple(self.peers.values())


class PowerCut(BaseException):
    """The process is gone, here and now."""


class CuttingStore:
    """The real store in a house with bad wiring: the power fails before or after the calls whose numbers are given."""

    def __init__(self, store: SqliteRecordStore, before: set[int], after: set[int]) -> None:
        self._store, self._before, self._after = store, before, after
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in {"left", "accepted", "held", "take", "save_session"}:
            return method

        def call(*args: Any, **more: Any) -> Any:
            self.calls += 1
            if self.calls in self._before:
                raise PowerCut
            told = method(*args, **more)
            if self.calls in self._after:
                raise PowerCut
            return told

        return call


class Side:
    """A unit: identity, store, engine; can be killed at any moment and started again."""

    life_s = LIFE_S

    @staticmethod
    def heard_by(_unit: str) -> str:
        """As a store knows it that was just made."""
        return ""

    def __init__(self, name: str, home: Path, world: World, number: int) -> None:
        private = random.Random(number).randbytes(32)
        self.identity = SimpleNamespace(unit=name, exchange_private=private, exchange_public=keys.public_of(private))
        self.world, self.links = world, list[MemoryLink]()
        self.database = Database(home / f"{name}.db", migrations=(*facts.MIGRATIONS, *records.MIGRATIONS))
        self.database.open()
        with self.database.atomic() as connection:
            set_origin(connection, name)
        self.store: Any = SqliteRecordStore(self.database)
        self.reports: Sequence[LinkReport] = ()
        self.peers: Any = None
        self.invite: Invite | None = None
        self.engine: SyncEngine

    def start(self) -> None:
        self.engine = SyncEngine(
            identity=self.identity,
            store=self.store,
            peers=self.peers,
            links=self.links,
            clock=self.world.clock,
            rng=self.world.rng,
            on_links=self._show,
            invite=self.invite,
            changed=self._changed,
            due_now=self.store.take_retries,
            name=self.identity.unit,
            life_s=self.life_s,
            heard_by=self.heard_by,
        )

    def _changed(self) -> int:
        return self.database.connection.total_changes

    def _show(self, reports: Sequence[LinkReport]) -> None:
        self.reports = reports

    def write(self, kind: str = "readings", *, priority: int = 4, body: bytes = b"x" * 100, **more: Any) -> Any:
        with self.database.atomic() as connection:
            return write_record(
                connection, kind=kind, priority=priority, body=body, created_ms=self.world.now_ms, **more
            )

    def rows(self, where: str = "1") -> list[Any]:
        return self.database.connection.execute(f"SELECT * FROM records WHERE {where} ORDER BY number").fetchall()

    @property
    def waiting(self) -> int:
        return len(self.rows("pending = 1"))

    @property
    def taken(self) -> list[tuple[int, bytes]]:
        return sorted((row["seq"], row["body"]) for row in self.rows("taken_ms IS NOT NULL"))


class World:
    """One virtual clock, two media, a core and its kits."""

    cutting = CuttingStore
    power_cut = PowerCut

    def __init__(self, home: Path, seed: int = 1, *, life_s: float = LIFE_S) -> None:
        self.clock, self.rng = ManualClock(at_s=NOON_S), random.Random(seed)
        self.air, self.cell = Medium(self.clock, self.rng), Medium(self.clock, self.rng)
        self.core = Side("core-city", home, self, 1)
        self.core.peers = MemoryBook(self.core.identity.exchange_private)
        self.kit = Side("kit-orchard", home, self, 2)
        self.sides = [self.core, self.kit]
        for side in self.sides:
            side.life_s = life_s
        self.power_cuts = 0

    @property
    def now_ms(self) -> int:
        return int(self.clock.now() * 1000)

    def lora(self, side: Side) -> MemoryLink:
        link = MemoryLink(
            "lora", self.air, address=f"!{side.identity.unit}", mtu_bytes=214, lowest_priority=4,
            frame_s=lambda size: frame_airtime_ms(size, "LONG_FAST") / 1000.0,
        )  # fmt: skip
        side.links.append(link)
        return link

    def cellular(self, side: Side) -> MemoryLink:
        link = MemoryLink(
            "cellular", self.cell, address=f"#{side.identity.unit}", mtu_bytes=60_000, lowest_priority=5,
            frame_s=lambda size: 0.05 + size / 100_000,
        )  # fmt: skip
        side.links.append(link)
        return link

    def invite(self, link_id: int = 7, *, lasts_s: float = 86_400.0) -> Invite:
        token = self.rng.randbytes(16)
        self.core.peers.tokens[link_id] = (token, self.now_ms + int(lasts_s * 1000))
        return Invite(
            core="core-city",
            core_public=self.core.identity.exchange_public,
            link_id=link_id,
            token=token,
            expires_ms=self.now_ms + int(lasts_s * 1000),
            name="Orchard village",
        )

    def introduce(self, side: Side | None = None, link_id: int = 7) -> None:
        """As if the kit had joined long ago."""
        side = side or self.kit
        side.peers = SinglePeerBook(
            Peer(
                unit="core-city",
                link_id=link_id,
                exchange_public=self.core.identity.exchange_public,
                role=Role.CORE,
            )
        )
        self.core.peers.peers[link_id] = Peer(
            unit=side.identity.unit, link_id=link_id, exchange_public=side.identity.exchange_public
        )

    def start(self) -> None:
        for side in self.sides:
            side.start()

    def live(self, seconds: float, *, step_s: float = 0.5, until: Callable[[], bool] = lambda: False) -> float:
        """Let time pass, until something is so; returns how many seconds it took."""
        passed = 0.0
        while passed < seconds and not until():
            self.clock.advance(step_s)
            passed += step_s
            for side in self.sides:
                try:
                    side.engine.step()
                except PowerCut:
                    self.power_cuts += 1
                    side.start()
        return passed

    def close(self) -> None:
        for side in self.sides:
            side.database.close()


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(
        seed: int = 1, *, lora: bool = True, cellular: bool = False, joined: bool = True, life_s: float = LIFE_S
    ) -> World:
        home = tmp_path / f"world-{len(worlds)}"
        home.mkdir()
        world = World(home, seed, life_s=life_s)
        worlds.append(world)
        for side in world.sides:
            if lora:
                world.lora(side)
            if cellular:
                world.cellular(side)
        if joined:
            world.introduce()
            world.start()
        return world

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def air_of_radios() -> tuple[Any, Any]:
    """How to make an air (of a clock and a random source), and a LongFast radio on it (of the air and an address)."""

    def radio(medium: Medium, address: str) -> MemoryLink:
        return MemoryLink(
            "lora", medium, address=address, mtu_bytes=214, lowest_priority=4,
            frame_s=lambda size: frame_airtime_ms(size, "LONG_FAST") / 1000.0,
        )  # fmt: skip

    return Medium, radio
