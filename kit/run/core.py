"""`kit core run`: the city core in the foreground, and its two services."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from kit.clock import SystemClock
from kit.errors import KitError
from kit.home import Home, find_home
from kit.identity import load_or_create_curve_keys, load_or_create_signing_key
from kit.log import log_to_home
from kit.run.adapters import rng
from kit.run.together import every, run_together
from kit.run.unit import only_one, page_address, reachable, say
from kit.run.unit_process import Ready
from kit.run.waiting import say_aside, when_there_is_room
from kit.settings import listen_address
from kit.supervise import ServiceSpec, Supervisor, become_supervised, python_command, stop_on_signals
from sync.core.setup import Core, open_core, prepare_core

if TYPE_CHECKING:
    from pathlib import Path

    from kit.store.database import Database
    from sync.core.sqlite_store import SqliteCoreStore
    from sync.engine.multicasting import Broadcasting
    from sync.links.port import Link


SERVICES = ("sync", "web")

ROOM_LOOK_S = 1.0
"""Real seconds between two looks at the disk."""


def run(arguments: argparse.Namespace) -> int:
    """The core with its services, until told to stop; or, with `--service`, one of them."""
    if getattr(arguments, "service", None):
        return serve(arguments)
    ready = become_supervised()
    stop = stop_on_signals()
    home = find_home(arguments.home)
    started = when_there_is_room(
        lambda: _begin(home), home, first=not (home.keys / "unit.json").exists(), stop=stop, say=say_aside
    )
    if started is None:
        return 0
    core, held = started
    with held:
        specs = [
            ServiceSpec(
                name=name,
                command=python_command("core", "run", "--service", name, "--home", str(home.path)),
                ready_file=home.run / f"{name}.ready",
                error_file=home.log / f"{name}.err",
            )
            for name in SERVICES
        ]

        def all_ready(facts: Mapping[str, Mapping[str, Any]]) -> None:
            web, sync = facts["web"]["address"], facts["sync"].get("address", "")
            say(f"City core's page    {page_address(web)}")
            say(f"Kits connect to     {core.settings.core.public or reachable(sync)}")
            say("Invite a kit with: kit core invite NAME. Ctrl-C stops everything.")
            ready({"web": web, "address": sync})

        Supervisor(specs, state_file=home.services_file, time=SystemClock()).run(stop, on_ready=all_ready)
    return 0


def _begin(home: Home) -> tuple[Core, ExitStack]:
    """The core, and the home's lock, held."""
    with ExitStack() as held:
        held.enter_context(only_one_core(home))
        return prepare_core(home), held.pop_all()


def only_one_core(home: Home) -> AbstractContextManager[None]:
    """Hold the home's lock; the home is made first, because the lock is in it."""
    home.prepare()
    return only_one(home)


def serve(arguments: argparse.Namespace) -> int:
    """One service of the core."""
    ready = become_supervised()
    stop = stop_on_signals()
    core = open_core(find_home(arguments.home))
    log_to_home(core.home, arguments.service, core.clock)
    {"sync": serve_sync, "web": serve_web}[arguments.service](core, stop, ready)
    return 0


def serve_sync(core: Core, stop: threading.Event, ready: Ready) -> None:
    """Take what the kits send, and send what is for them."""
    from kit.run.sticks import core_sticks
    from kit.run.syncing import tell_links
    from kit.store.database import Database
    from kit.store.links import MIGRATIONS as LINKS
    from sync.core.sqlite_store import store_file
    from sync.engine import SyncEngine
    from sync.links.cellular_core import CellularCoreLink
    from sync.links.port import LinkError

    curve = load_or_create_curve_keys(core.home)
    host, port = listen_address(core.settings.core.listen, key="[core] listen")
    cellular = CellularCoreLink(
        listen=f"tcp://{host}:{port}",
        public=curve.public,
        secret=curve.secret,
        allowed=partial(may_connect, core),
    )
    file = store_file(core.home, core.settings.core)
    with ExitStack() as opened:
        opening = partial(_open_stores, core, file)
        stores = when_there_is_room(opening, core.home, first=False, stop=stop, say=say_aside)
        if stores is None:
            return
        store, told = stores[0], stores[1]
        opened.push(stores[2])
        store.apply_what_was_not(at_ms=core.now_ms())
        engine = SyncEngine(
            identity=core.identity,
            store=store,
            peers=store,
            links=_links(core, cellular),
            clock=core.clock,
            rng=rng(),
            on_links=lambda reports: tell_links(told, reports, core.clock),
            changed=store.changed,
            name=core.settings.core.name,
            broadcasting=broadcasting(core, store),
            heard_by=store.heard_by,
        )
        try:
            cellular.open()  # a port in use is said now, not every thirty seconds in a log
        except LinkError as error:
            raise KitError(f"[core] listen: {error}") from error
        ready({"address": cellular.address.removeprefix("tcp://")})
        sticks = partial(core_sticks, core, Database(file, migrations=LINKS))
        run_together({"links": engine.run, "sticks": sticks, "room": partial(keep_room, core, file)}, stop)


def _links(core: Core, cellular: Any) -> list[Any]:
    """Every way to the core that its settings name, and the one through kits that carry for others."""
    from kit.run.syncing import lora_link
    from sync.links.relay import RelayLink

    relay = RelayLink()
    links: list[Any] = [relay.exit_of(cellular)]
    if core.settings.core.https:
        links.append(relay.exit_of(https_link(core)))
    if core.settings.core.links.lora.radio:
        links.append(lora_link(core.home, core.settings.core.links.lora, core.clock, number=1))
    return [*links, relay]


def keep_room(core: Core, file: Path, stop: threading.Event) -> None:
    """Look after the room on the disk, and inside the store, until `stop`."""
    from kit.store.database import Database

    room = core.room()
    with Database(file) as database:
        every(ROOM_LOOK_S, lambda: room.keep(database), at_once=True)(stop)


def _open_stores(core: Core, file: Path) -> tuple[SqliteCoreStore, Database, ExitStack]:
    """The store, a second connection for what is told of the links, and what closes both."""
    from kit.store.database import Database
    from kit.store.links import MIGRATIONS as LINKS

    with ExitStack() as opened:
        store = opened.enter_context(core.open_store())
        told = opened.enter_context(Database(file, migrations=LINKS))
        return store, told, opened.pop_all()


def broadcasting(core: Core, store: SqliteCoreStore) -> Broadcasting:
    """What the core says to all of its kits by radio, signed with its own key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from sync.engine.multicasting import Broadcasting

    private = Ed25519PrivateKey.from_private_bytes(load_or_create_signing_key(core.home))
    return Broadcasting(
        store,
        core_public=core.identity.exchange_public,
        signing_public=private.public_key().public_bytes_raw(),
        sign=private.sign,
    )


def https_link(core: Core) -> Link:
    """Where kits come whose network blocks the other port."""
    from sync.links.https_core import HttpsCoreLink

    host, port = listen_address(core.settings.core.https, key="[core] https")
    return HttpsCoreLink(
        host=host,
        port=port,
        keys=core.home.keys,
        exchange_private=core.identity.exchange_private,
        allowed=partial(may_come_in, core),
        clock=core.clock,
    )


def may_come_in(core: Core, link_id: int, exchange_public: bytes) -> bool:
    """Whether a kit with that link id and key may connect; one that was invited and is not enrolled may say hello."""
    with core.open_store() as store:
        peer = store.by_link_id(link_id)
        if peer is not None:
            return exchange_public in (peer.exchange_public, peer.next_public)
        return any(invite.link_id == link_id for invite in store.open_invites(now_ms=core.now_ms()))


def may_connect(core: Core, curve_public_z85: bytes) -> bool:
    """Whether a kit with that CURVE key may connect; asked on a thread of the link's own."""
    from zmq.utils import z85

    with core.open_store() as store:
        return store.may_connect(z85.decode(curve_public_z85), now_ms=core.now_ms())


def serve_web(core: Core, stop: threading.Event, ready: Ready) -> None:
    """The core's page."""
    from kit.settings import WebSettings
    from sync.core.page import make_app
    from village_apps.web.server import serve_until

    serve_until(
        make_app(core),
        WebSettings(listen=core.settings.core.web),
        stop,
        listening=lambda host, port: ready({"address": f"{host}:{port}"}),
        key="[core] web",
    )
