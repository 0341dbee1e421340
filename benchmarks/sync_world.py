"""Two real engines with real stores, and between them the shipped simulated air, in virtual time.

The link below does what `sync.links.meshtastic` does (the same outbox, pacing at the air's speed, two frames in the
radio, broadcast until an address is known), without the socket; the radio below it is the shipped simulated one, with
its contention, collisions and half duplex.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from meshtastic.protobuf import mesh_pb2

from hardware.simulated.air import Air, Timetable, Tuning
from hardware.simulated.radio_mac import BROADCAST, OK, RadioMac
from kit.clock import ManualClock
from kit.store import facts, records
from kit.store.database import Database
from kit.store.records import SqliteRecordStore, set_origin, write_record
from sync.engine import SyncEngine
from sync.links.meshtastic import DEFAULT_LIBRARY_PRIORITY, LIBRARY_PRIORITY
from sync.links.outbox import Outbox, Outgoing
from sync.links.port import Arrival, LinkState
from sync.links.radio_arrivals import PRIVATE_APP
from sync.links.radio_watch import MAX_IN_RADIO, MAX_IN_RADIO_URGENT
from sync.protocol import keys
from sync.protocol.airtime import frame_airtime_ms
from sync.protocol.frames import LORA_FRAME_BYTES
from sync.protocol.peers import Peer, PeerBook, Role, SinglePeerBook
from sync.protocol.records import RecordId

NOON_S = 1_790_000_000.0
SLOTS = 16


class VirtualRadioLink:
    """A LoRa link on the simulated air."""

    name = "lora"
    mtu_bytes = LORA_FRAME_BYTES
    lowest_priority = 5

    def __init__(self, air: Air, *, number: int, tuning: Tuning, clock: ManualClock, rng: random.Random) -> None:
        self._clock, self._preset = clock, tuning.preset_name
        self._outbox, self._inbox = Outbox(), list[Arrival]()
        self._next_s, self._seen = 0.0, set[tuple[int, int]]()
        self.mac = RadioMac(number=number, node=1000 + number, air=air, tuning=tuning, rng=rng)
        self.mac.to_client = self._hear
        self._ids = rng
        air.join(self.mac)
        self.frames: list[int] = []
        self.airtime_s = 0.0

    @property
    def frame_s(self) -> float:
        return frame_airtime_ms(self.mtu_bytes, self._preset) / 1000.0

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def state(self) -> LinkState:
        return LinkState.UP if self._outbox.has_room(priority=1) else LinkState.BUSY

    def explain(self) -> str:
        return "a simulated radio"

    def send(self, frame: bytes, *, priority: int, to: str | None = None) -> bool:
        if not self._outbox.put(Outgoing(frame, priority, to, frame_airtime_ms(len(frame), self._preset))):
            return False
        self.frames.append(len(frame))
        return True

    def receive(self, timeout_s: float) -> Sequence[Arrival]:
        del timeout_s
        came, self._inbox = self._inbox, []
        return came

    def pump(self) -> None:
        """Hand over what the radio has room for, at the pace of the air."""
        now_s = self._clock.monotonic()
        while (first := self._outbox.first()) is not None:
            waiting = SLOTS - self.mac.free_slots
            if waiting >= (MAX_IN_RADIO_URGENT if first.priority == 0 else MAX_IN_RADIO):
                return
            if first.priority > 0 and now_s < self._next_s:
                return
            self._outbox.remove(first)
            to = BROADCAST if first.to is None else int(first.to[1:], 16)
            packet = mesh_pb2.MeshPacket(to=to, id=self._ids.randrange(1, 2**32), hop_limit=3)
            packet.decoded.portnum = PRIVATE_APP
            packet.decoded.payload = first.frame
            packet.priority = LIBRARY_PRIORITY.get(first.priority, DEFAULT_LIBRARY_PRIORITY)
            assert self.mac.submit(packet, now_s) == OK
            self.airtime_s += self.mac.tuning.preset.airtime_ms(self.mac.phy_bytes(packet)) / 1000.0
            self._next_s = max(self._next_s, now_s) + first.airtime_ms / 1000.0

    def _hear(self, packet: Any) -> None:
        sender = int(getattr(packet, "from"))
        if packet.decoded.portnum == PRIVATE_APP and (sender, packet.id) not in self._seen:
            self._seen.add((sender, packet.id))
            self._inbox.append(Arrival(bytes(packet.decoded.payload), f"!{sender:08x}"))


@dataclass
class Unit:
    """One end."""

    name: str
    identity: Any
    database: Database
    link: VirtualRadioLink
    engine: SyncEngine | None = None

    @property
    def store(self) -> SqliteRecordStore:
        return SqliteRecordStore(self.database)

    def write(
        self, clock: ManualClock, *, body: bytes, kind: str = "readings", priority: int = 4, **more: Any
    ) -> RecordId:
        with self.database.atomic() as connection:
            return write_record(
                connection, kind=kind, priority=priority, body=body, created_ms=int(clock.now()) * 1000, **more
            )

    def changes(self) -> int:
        """Writes come by the engine's own connection here, so its own counter tells of them."""
        return self.database.connection.total_changes

    @property
    def waiting(self) -> int:
        """How many of its own have not been accepted."""
        return self.count("pending = 1")

    @property
    def taken(self) -> int:
        """How many records have come from the other side."""
        return self.count("taken_ms IS NOT NULL")

    def count(self, where: str) -> int:
        return int(self.database.connection.execute(f"SELECT count(*) FROM records WHERE {where}").fetchone()[0])


class _Book:
    """The core's one kit."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def by_link_id(self, link_id: int) -> Peer | None:
        return self.peer if link_id == self.peer.link_id else None

    def heard(self, unit: str, *, link: str, via: str, now_ms: int) -> None:
        pass

    def twin_heard(self, unit: str, *, now_ms: int) -> None:
        pass

    def speaks_under_next_key(self, unit: str) -> bool:
        del unit
        return False

    def enrol(self, hello: Any, *, now_ms: int, link: str) -> Any:
        raise NotImplementedError

    def all(self) -> Sequence[Peer]:
        return (self.peer,)


@dataclass
class AirWorld:
    """A kit and a core on one air."""

    clock: ManualClock
    air: Air
    kit: Unit
    core: Unit
    step_s: float
    _units: list[Unit] = field(default_factory=list)

    def live(self, seconds: float, *, until: Callable[[], bool] = lambda: False) -> float:
        """Let time pass; returns how many seconds it took."""
        start_s = self.clock.monotonic()
        while self.clock.monotonic() - start_s < seconds and not until():
            self.clock.advance(self.step_s)
            self.air.timetable.run_until(self.clock.monotonic())
            for unit in self._units:
                assert unit.engine is not None
                unit.engine.step()
                unit.link.pump()
        return self.clock.monotonic() - start_s


@contextmanager
def air_world(home: Path, *, preset: str, loss: float, seed: int = 1) -> Iterator[AirWorld]:
    """Two units that know each other, just started."""
    rng = random.Random(seed)
    clock = ManualClock(at_s=NOON_S)
    air = Air(timetable=Timetable(), rng=rng)
    air.faults.loss = loss
    tuning = Tuning("US", preset)
    frame_s = frame_airtime_ms(LORA_FRAME_BYTES, preset) / 1000.0
    units = []
    for number, name in enumerate(("kit-orchard", "core-city")):
        home.mkdir(parents=True, exist_ok=True)
        database = Database(home / f"{name}.db", migrations=(*facts.MIGRATIONS, *records.MIGRATIONS))
        database.open()
        with database.atomic() as connection:
            set_origin(connection, name)
        private = rng.randbytes(32)
        identity = SimpleNamespace(unit=name, exchange_private=private, exchange_public=keys.public_of(private))
        link = VirtualRadioLink(air, number=number, tuning=tuning, clock=clock, rng=rng)
        units.append(Unit(name, identity, database, link))
    kit, core = units
    books: tuple[PeerBook, PeerBook] = (
        SinglePeerBook(
            Peer(unit="core-city", link_id=7, exchange_public=core.identity.exchange_public, role=Role.CORE)
        ),
        _Book(Peer(unit="kit-orchard", link_id=7, exchange_public=kit.identity.exchange_public)),
    )
    for unit, book in zip(units, books, strict=True):
        unit.engine = SyncEngine(
            identity=unit.identity, store=unit.store, peers=book, links=[unit.link], clock=clock, rng=rng,
            on_links=lambda _reports: None, changed=unit.changes,
        )  # fmt: skip
    try:
        yield AirWorld(clock, air, kit, core, frame_s / 8.0, units)
    finally:
        for unit in units:
            unit.database.close()
