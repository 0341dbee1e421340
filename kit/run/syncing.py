"""The sync service of a unit: its links, its one peer, and what a technician is told of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from kit.clock import Clock
from kit.health.words import zone_of
from kit.home import Home
from kit.run import adapters
from kit.run.schema import open_unit_store
from kit.settings import LoraSettings
from kit.store.database import Database
from kit.store.links import LinkRow, forget_links_except, put_link
from kit.store.records import storing
from sync.links.data_budget import DataBudget
from sync.links.fallback import Fallback
from sync.protocol.path import SLOW_MTU_BYTES
from sync.protocol.records import CannotStoreNow

if TYPE_CHECKING:
    from kit.run.mesh_telemetry import MeshTelemetry
    from kit.run.rotating import KeyTurn
    from kit.run.unit_process import UnitProcess
    from sync.engine import LinkReport
    from sync.join import Membership
    from sync.links.port import Link
    from sync.rotation import KeysInUse

HTTPS_PORTS = (443, 7443)
"""Every network lets the first through; the second is where a core listens unless it is told otherwise."""

STICK = "stick"
"""Told by `kit.run.sticks`, not by the engine."""

JOIN_LOOK_S = 0.5
"""Real seconds between two looks whether the unit has joined a core, or another one, or is to use other keys."""


def serve_unit_sync(unit: UnitProcess, stop: threading.Event, ready: Callable[[Mapping[str, Any]], None]) -> None:
    """Sync with the core that the unit has joined; wait for one as long as it has not."""
    from kit.run.rotating import KeyTurn, Rotating
    from sync.join import read_membership

    ready({})
    rotating = Rotating(unit.home, unit.clock)
    while not stop.is_set():
        membership = read_membership(unit.home)
        if membership is None:
            _hear_only(unit, stop)
            continue
        # `kit join` may be called at any time, an enrolled kit goes on under its own keys, and these may be renewed:
        # then all is set up anew
        turn = KeyTurn(rotating, core=membership.invite.core, enrolled=membership.enrolled)
        until_changed = threading.Event()
        watcher = threading.Thread(target=_watch, args=(unit.home, membership, turn, stop, until_changed), daemon=True)
        watcher.start()
        _sync(unit, membership, turn, until_changed)
        watcher.join()


def _hear_only(unit: UnitProcess, stop: threading.Event) -> None:
    """Without a core the radio has nothing to say, but the sensors of the mesh are heard."""
    from sync.join import read_membership

    with _mesh(unit) as mesh:
        link = None
        if mesh is not None:
            link = _own_radio(unit, mesh)
            link.open()
        try:
            while not stop.is_set() and read_membership(unit.home) is None:
                stop.wait(JOIN_LOOK_S)
                if link is not None:
                    link.receive(0.0)  # frames for somebody else's core must not fill the inbox
        finally:
            if link is not None:
                link.close()


@contextmanager
def _mesh(unit: UnitProcess) -> Iterator[MeshTelemetry | None]:
    """Takes in what the mesh measures, if there is a radio and it is wanted."""
    lora = unit.settings.links.lora
    if not (lora.radio and lora.telemetry):
        yield None
        return
    from kit.run.mesh_telemetry import MeshTelemetry

    with open_unit_store(unit.home) as database:
        mesh = MeshTelemetry(database, unit.clock)
        with mesh.working():
            yield mesh


def _watch(home: Home, membership: Membership, turn: KeyTurn, stop: threading.Event, changed: threading.Event) -> None:
    from sync.join import read_membership

    with ExitStack() as stack:
        opened: list[Database] = []

        def store() -> Database:
            """Of this thread; opened when a rotation is under way, which is seldom."""
            if not opened:
                opened.append(stack.enter_context(open_unit_store(home)))
            return opened[0]

        try:
            while not stop.wait(JOIN_LOOK_S) and read_membership(home) == membership and not turn.is_over(store):
                pass
        finally:
            changed.set()


def _sync(unit: UnitProcess, membership: Membership, turn: KeyTurn, stop: threading.Event) -> None:
    from zmq.utils import z85

    from kit.store.from_core import signing_key
    from kit.store.records import SqliteRecordStore
    from sync.engine import SyncEngine
    from sync.engine.multicasting import Listening
    from sync.join import enrolled
    from sync.protocol.peers import SinglePeerBook

    with open_unit_store(unit.home) as database, open_unit_store(unit.home) as told, _mesh(unit) as mesh:
        store = SqliteRecordStore(database)
        links = _links(unit, membership, turn.keys, mesh)
        peer = membership.invite.peer

        def show(reports: Sequence[LinkReport]) -> None:
            turn.note_links(reports)
            tell_links(told, reports, unit.clock)

        SyncEngine(
            identity=turn.keys.identity,
            store=store,
            peers=SinglePeerBook(peer, pending=not membership.enrolled),
            links=links,
            clock=unit.clock,
            rng=adapters.rng(),
            on_links=show,
            invite=None if membership.enrolled else membership.invite,
            changed=store.changed,
            due_now=store.take_retries,
            name=unit.settings.unit.name,
            curve_public=z85.decode(turn.keys.curve.public),
            on_time=partial(_core_told, told, unit.clock),
            on_enrolled=lambda welcomed: enrolled(unit.home, core_name=welcomed.name),
            listening=Listening(
                peer, signing_key=lambda: signing_key(database.connection, peer.unit), rng=adapters.rng()
            ),
            pairs=turn if turn.keys.other else None,
        ).run(stop)


def _own_radio(unit: UnitProcess, mesh: MeshTelemetry | None) -> Link:
    return lora_link(
        unit.home,
        unit.settings.links.lora,
        unit.clock,
        number=0,
        timezone=unit.settings.unit.timezone,
        on_telemetry=None if mesh is None else mesh.heard,
        on_gps_time=partial(_radio_told, unit),
    )


def _radio_told(unit: UnitProcess, unix_s: float) -> None:
    """The radio's own GPS knows the time. Called on the library's thread, every quarter of an hour or so."""
    offset_s = unix_s - unit.clock.monotonic()

    def tell() -> None:
        from kit.collect.timekeeper import tell_time

        now_s = offset_s + unit.clock.monotonic()
        if not (unit.clock.firm and abs(unit.clock.now() - now_s) < CORE_DIFFERS_S):
            with open_unit_store(unit.home) as database:
                tell_time(database, unit.clock, source="radio", who="lora", wall_s=now_s)

    threading.Thread(target=tell, name="radio-time", daemon=True).start()


CORE_DIFFERS_S = 10.0
"""A beacon crosses the radio in seconds; a smaller difference is the way it took."""


def _core_told(database: Database, clock: Clock, time_ms: int, trusted: bool) -> None:  # noqa: FBT001 - the engine's callback
    """The core said what time it is; a kit that knows it already need not write that down."""
    from kit.collect.timekeeper import core_is_unsure, tell_time

    with suppress(CannotStoreNow), storing():  # on a full disk it is said again with the next beacon
        if not trusted:
            core_is_unsure(database, clock)
        elif not (clock.firm and abs(clock.now() - time_ms / 1000) < CORE_DIFFERS_S):
            tell_time(database, clock, source="core", who="core", wall_s=time_ms / 1000)


def _links(unit: UnitProcess, membership: Membership, keys: KeysInUse, mesh: MeshTelemetry | None) -> list[Link]:
    links = _own_links(unit, membership, keys, mesh)
    told = unit.settings.sync
    radio = next((each for each in links if each.mtu_bytes <= SLOW_MTU_BYTES), None)
    if radio is None or len(links) == 1 or not told.carry_for_others:
        return links
    from sync.links.carrying import Carrier, NarrowEnd, WideEnd

    carrier = Carrier(
        own_link_id=membership.invite.link_id,
        clock=unit.clock,
        daily_bytes=told.carry_daily_bytes,
        file=unit.home.spool / "carried.json",
    )
    return [NarrowEnd(each, carrier) if each is radio else WideEnd(each, carrier) for each in links]


def _own_links(unit: UnitProcess, membership: Membership, keys: KeysInUse, mesh: MeshTelemetry | None) -> list[Link]:
    links: list[Link] = []
    if unit.settings.links.lora.radio:
        links.append(_own_radio(unit, mesh))
    core = unit.settings.links.cellular.core or membership.invite.address
    if not core:
        return links
    budget = _data_budget(unit)
    urls = https_urls(unit.settings.links.cellular.https, core)
    needed: Callable[[], bool] = lambda: True  # noqa: E731 - without a direct connection it is the only one
    if membership.invite.curve_public:
        direct = _direct(unit, membership, keys, core, budget)
        links.append(direct)
        needed = Fallback(direct, unit.clock).needed
    if urls:
        from sync.links.https_kit import HttpsKitLink

        links.append(
            HttpsKitLink(
                urls=urls,
                link_id=membership.invite.link_id,
                core_public=membership.invite.core_public,
                exchange_private=keys.identity.exchange_private,
                exchange_public=keys.identity.exchange_public,
                needed=needed,
                clock=unit.clock,
                rng=adapters.rng(),
                budget=budget,
            )
        )
    return links


def _direct(unit: UnitProcess, membership: Membership, keys: KeysInUse, core: str, budget: DataBudget) -> Link:
    from zmq.utils import z85

    from sync.links.cellular import CellularKitLink
    from sync.protocol.enrolment import curve_keys_from_token

    public, secret = keys.curve.public, keys.curve.secret
    if not membership.enrolled:
        knock = curve_keys_from_token(membership.invite.token)
        public, secret = z85.encode(knock.public), z85.encode(knock.secret)
    return CellularKitLink(
        core=core,
        server_public=z85.encode(membership.invite.curve_public),
        public=public,
        secret=secret,
        modem=adapters.modem(unit),
        clock=unit.clock,
        rng=adapters.rng(),
        budget=budget,
    )


def _data_budget(unit: UnitProcess) -> DataBudget:
    zone = zone_of(unit.settings.unit.timezone)
    return DataBudget(
        unit.settings.links.cellular.daily_bytes,
        unit.clock,
        lambda now_s: datetime.fromtimestamp(now_s, zone).date().isoformat(),
        ledger=unit.home.spool / "mobile-data.json",
    )


def https_urls(told: str, core: str) -> list[str]:
    """Where to try HTTPS: as set, or at the ports of the core's host that are blocked last."""
    if told != "auto":
        return [told] if told else []
    host = core.removeprefix("tcp://").rpartition(":")[0]
    return [f"https://{host}:{port}" for port in HTTPS_PORTS]


def lora_link(
    home: Home,
    settings: LoraSettings,
    clock: Clock,
    *,
    number: int,
    timezone: str = "UTC",
    on_telemetry: Callable[[int, bytes], None] | None = None,
    on_gps_time: Callable[[float], None] | None = None,
) -> Link:
    """The LoRa link that the settings name; `number` is 0 on a kit and 1 on the core (for simulated radios)."""
    from sync.links.meshtastic import MeshtasticLink

    return MeshtasticLink(
        radio=adapters.radio_address(home, settings, number=number),
        region=settings.region,
        preset=settings.preset,
        hop_limit=settings.hop_limit,
        clock=clock,
        lowest_priority=settings.lowest_priority,
        ledger=home.spool / "airtime.json",
        on_telemetry=on_telemetry,
        channel=settings.channel,
        until_midnight_s=partial(seconds_until_midnight, timezone),
        on_gps_time=on_gps_time,
    )


def seconds_until_midnight(timezone: str, now_s: float) -> float:
    """How long the day in that time zone still lasts."""
    now = datetime.fromtimestamp(now_s, zone_of(timezone))
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.timestamp() - now_s


def tell_links(database: Database, reports: Sequence[LinkReport], clock: Clock) -> None:
    """Write down what `kit status` shows of the links.

    Raises:
        CannotStoreNow: the disk is full.
    """
    with storing(), database.atomic() as connection:
        forget_links_except(connection, {STICK, *(report.name for report in reports)})
        for report in reports:
            put_link(
                connection,
                LinkRow(
                    name=report.name,
                    state=report.state.value,
                    explain=report.explain,
                    lowest_priority=report.lowest_priority,
                    last_heard_ms=report.last_heard_ms,
                    last_sent_ms=report.last_sent_ms,
                    airtime_left_ms=report.airtime_left_ms,
                    updated_ms=int(clock.now() * 1000),
                    fault=report.fault,
                    facts=report.facts,
                ),
            )
