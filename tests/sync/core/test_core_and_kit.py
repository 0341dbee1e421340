"""A kit and the city core, engines and stores as in the field: by the real cellular link, and over a lossy radio."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zmq.utils import z85

from hardware.drivers.modem_always import AlwaysOnModem
from kit.clock import SystemClock, accelerate
from kit.identity import load_or_create_curve_keys
from kit.store import facts, records
from kit.store.database import Database
from kit.store.records import SqliteRecordStore, set_origin, write_record
from sync.core.invites import make_invite
from sync.engine import SyncEngine
from sync.links.cellular import CellularKitLink
from sync.links.cellular_core import CellularCoreLink
from sync.protocol.enrolment import Invite, curve_keys_from_token
from sync.protocol.peers import SinglePeerBook


class Town:
    """The kit's half: its store and its engine."""

    def __init__(self, city: Any, home: Any, clock: Any) -> None:
        self.city, self.kit, self.clock = city, city.kit(), clock
        self.database = Database(home / "kit.db", migrations=(*facts.MIGRATIONS, *records.MIGRATIONS))
        self.database.open()
        with self.database.atomic() as connection:
            set_origin(connection, self.kit.unit)
        self.store = SqliteRecordStore(self.database)
        self.enrolled = False

    def write(self, kind: str, body: bytes, priority: int) -> None:
        with self.database.atomic() as connection:
            now_ms = int(self.clock.now() * 1000)
            write_record(connection, kind=kind, priority=priority, body=body, created_ms=now_ms)

    def engine(self, invite: Invite, links: list[Any], rng: random.Random) -> SyncEngine:
        def welcomed(_event: Any) -> None:
            self.enrolled = True

        return SyncEngine(
            identity=self.kit.identity,
            store=self.store,
            peers=SinglePeerBook(invite.peer, pending=not self.enrolled),
            links=links,
            clock=self.clock,
            rng=rng,
            on_links=lambda _: None,
            invite=None if self.enrolled else invite,
            curve_public=self.kit.curve_public,
            on_enrolled=welcomed,
        )

    @property
    def waiting(self) -> int:
        (count,) = self.database.connection.execute("SELECT count(*) FROM records WHERE pending = 1").fetchone()
        return int(count)


def core_engine(city: Any, links: list[Any], clock: Any, rng: random.Random) -> SyncEngine:
    return SyncEngine(
        identity=city.core.identity,
        store=city.store,
        peers=city.store,
        links=links,
        clock=clock,
        rng=rng,
        on_links=lambda _: None,
        changed=city.store.changed,
        name="Nakuru",
    )


def live(engines: list[SyncEngine], until: Callable[[], bool]) -> bool:
    waiter = threading.Event()
    for _ in range(400):
        for engine in engines:
            engine.step(0.005)
        if until():
            return True
        waiter.wait(0.005)
    return False


class Network:
    """The mobile network of one kit: the core's end and the kit's, over a real socket each."""

    def __init__(self, city: Any, home: Any, clock: Any, rng: random.Random) -> None:
        self.city, self.clock, self.rng = city, clock, rng
        self.curve = load_or_create_curve_keys(city.core.home)
        self.core_link = self._listening_at("tcp://127.0.0.1:0")
        self.invite = Invite.decode(make_invite(city.core, "Orchard village", days=1, address=self.core_link.address))
        self.town = Town(city, home, clock)
        self.public, self.secret = zmq.curve_keypair()
        self.town.kit.curve_public = z85.decode(self.public)

    def _listening_at(self, listen: str) -> CellularCoreLink:
        def allowed(public: bytes) -> bool:
            with self.city.core.open_store() as store:
                return bool(store.may_connect(z85.decode(public), now_ms=self.city.now_ms))

        link = CellularCoreLink(listen=listen, public=self.curve.public, secret=self.curve.secret, allowed=allowed)
        link.open()
        return link

    def restart_core(self) -> SyncEngine:
        """Another process at the same address."""
        self.core_link.close()
        self.core_link = self._listening_at(self.invite.address)
        return self.core()

    def core(self) -> SyncEngine:
        return core_engine(self.city, [self.core_link], self.clock, self.rng)

    def kit_link(self, *, knocks: bool = False) -> CellularKitLink:
        """Under the key from the token, or under the kit's own."""
        public, secret = self.public, self.secret
        if knocks:
            knock = curve_keys_from_token(self.invite.token)
            public, secret = z85.encode(knock.public), z85.encode(knock.secret)
        return CellularKitLink(
            core=self.invite.address,
            server_public=self.curve.public,
            public=public,
            secret=secret,
            modem=AlwaysOnModem(),
            clock=self.clock,
            rng=self.rng,
        )

    def join(self) -> None:
        link = self.kit_link(knocks=True)
        joined = live([self.core(), self.town.engine(self.invite, [link], self.rng)], lambda: self.town.enrolled)
        link.close()
        assert joined, "never enrolled"


def test_a_kit_knocks_with_its_invite_joins_and_its_warning_and_receipt_arrive(city: Any, tmp_path: Any) -> None:
    clock, rng = SystemClock(), random.Random(1)
    city.clock.at_s = clock.now()
    network = Network(city, tmp_path, clock, rng)
    town = network.town
    town.write("alert", city.alert(town.kit).body, 0)
    town.write("receipt", city.receipt(town.kit, "Amina").body, 1)
    network.join()
    assert [kit.name for kit in city.store.kits()] == ["Orchard village"]

    link = network.kit_link()  # from now on under its own key
    try:
        engines = [network.core(), town.engine(network.invite, [link], rng)]
        assert live(engines, lambda: town.waiting == 0), "never accepted"
    finally:
        link.close()
        network.core_link.close()
    (state,) = city.store.alerts(town.kit.unit, until_after_ms=0)
    assert [receipt.person for receipt in state.receipts] == ["Amina"]
    (known,) = city.store.kits()
    assert known.last_heard is not None
    assert known.last_heard.link == "cellular"
    town.database.close()


def test_a_core_rebuilt_from_its_backup_is_refilled_by_an_idle_kit_as_soon_as_it_connects_again(
    city: Any, tmp_path: Any
) -> None:
    # fast, and yet each wait of the network's is a real one
    clock, rng = accelerate(tmp_path / "clock.json", start_s=city.clock.now(), speed=20.0), random.Random(1)
    network = Network(city, tmp_path, clock, rng)
    town = network.town
    network.join()
    link = network.kit_link()
    kit, core = town.engine(network.invite, [link], rng), network.core()
    backup = sqlite3.connect(":memory:")
    city.store._database.connection.backup(backup)
    for number in range(3):
        town.write("readings", city.readings(town.kit, {number * 1000 + 1: float(number)}).body, 4)
    assert live([core, kit], lambda: town.waiting == 0), "never accepted"
    backup.backup(city.store._database.connection)
    assert not list(city.store.taken(unit=town.kit.unit))
    core, began_s = network.restart_core(), clock.monotonic()
    try:
        assert live([core, kit], lambda: len(list(city.store.taken(unit=town.kit.unit))) == 3), "never refilled"
        # an idle kit asks for a sign of life only every five minutes
        assert clock.monotonic() - began_s < 280.0
    finally:
        link.close()
        network.core_link.close()
    town.database.close()


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_over_a_radio_that_loses_and_doubles_frames_everything_arrives_once(
    city: Any, make_world: Any, tmp_path_factory: Any, seed: int
) -> None:
    world = make_world(seed, joined=False)
    city.clock.at_s = world.clock.now()
    world.air.faults.loss, world.air.faults.duplicate, world.air.faults.reorder = 0.3, 0.1, 0.1
    town = Town(city, tmp_path_factory.mktemp("town"), world.clock)
    invite = Invite.decode(make_invite(city.core, "Orchard village", days=30, address=""))
    world.core.engine = core_engine(city, world.core.links, world.clock, world.rng)
    world.kit.engine = town.engine(invite, world.kit.links, world.rng)
    town.write("alert", city.alert(town.kit).body, 0)
    for number in range(10):
        town.write("readings", city.readings(town.kit, {number * 1000 + 1: float(number)}).body, 4)
    town.write("receipt", city.receipt(town.kit, "Amina").body, 1)
    world.live(12 * 3600, step_s=1.0, until=lambda: town.enrolled and town.waiting == 0)
    taken = list(city.store.taken(unit=town.kit.unit))
    assert sorted(record.id.seq for record in taken) == list(range(1, 13))
    assert {record.outcome.value for record in taken} == {"applied"}
    (series,) = city.store.series(town.kit.unit)
    assert series.count == 10
    assert city.store.refused(limit=5) == []
    town.database.close()
