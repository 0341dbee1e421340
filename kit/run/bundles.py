"""A unit's and a core's dealings with sticks and bundle files: who we are, whom we know, and what became of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kit.clock import Clock
from kit.errors import KitError
from kit.home import Home
from kit.run.schema import open_unit_store
from kit.store.records import SqliteRecordStore
from sync import rotation
from sync.bundles.exchange import ACKNOWLEDGED_MS, ENDPOINT, LINK, SILENT_MS, Exchange, Exported, Imported
from sync.bundles.passing import Passing
from sync.bundles.shelf import BundleFile, ShelfError, Stick
from sync.join import Membership, enrolled, read_membership
from sync.protocol.enrolment import Hello, make_hello
from sync.protocol.peers import Peer
from sync.rotation import KeysInUse

if TYPE_CHECKING:
    from sync.core.setup import Core


@contextmanager
def kit_exchange(home: Home, clock: Clock, *, name: str, carry: bool = True) -> Iterator[Exchange]:
    """The kit's side; works beside a running unit.

    Raises:
        KitError: this kit belongs to no core, so that nobody could open what it seals.
    """
    membership = read_membership(home)
    if membership is None:
        raise KitError(
            "this kit has joined no city core yet, so nobody could open what it seals; type: kit join INVITE"
        )
    now_ms = int(clock.now() * 1000)
    with open_unit_store(home) as database:
        if membership.enrolled:
            rotation.advance(home, database, core=membership.invite.core, now_ms=now_ms)
        keys = rotation.keys_in_use(home)

        def heard(_unit: str, other: bool) -> None:  # noqa: FBT001 - the exchange's callback
            private = keys.other if other else keys.identity.exchange_private
            rotation.carried(home, private, now_ms=now_ms)

        yield Exchange(
            unit=keys.identity.unit,
            exchange_private=keys.identity.exchange_private,
            other_private=keys.other,
            heard=heard,
            store=SqliteRecordStore(database),
            peers=[membership.invite.peer],
            now_ms=now_ms,
            trusted=clock.trusted,
            random=os.urandom,
            passing=_passing(home, membership) if carry else None,
            hello=b"" if membership.enrolled else _hello(keys, membership, name=name),
        )


@contextmanager
def core_exchange(core: Core) -> Iterator[Exchange]:
    """The core's side; works beside a running core."""
    with core.open_store() as store:

        def enrol(hello: Hello) -> Peer | None:
            answer = store.enrol(hello, now_ms=core.now_ms(), link=LINK)
            return answer if isinstance(answer, Peer) else None

        def heard(unit: str, other: bool) -> None:  # noqa: FBT001 - the exchange's callback
            if other:
                store.speaks_under_next_key(unit)
            store.heard(unit, link=LINK, via="", now_ms=core.now_ms())

        yield Exchange(
            unit=core.identity.unit,
            exchange_private=core.identity.exchange_private,
            store=store,
            peers=store.all(),
            now_ms=core.now_ms(),
            trusted=core.clock.trusted,
            random=os.urandom,
            enrol=enrol,
            name=core.settings.core.name,
            heard=heard,
            by_hand=lambda unit: store.answers_by_hand(
                unit, stick=LINK, since_ms=core.now_ms() - ACKNOWLEDGED_MS, silent_ms=core.now_ms() - SILENT_MS
            ),
        )


def note_welcome(home: Home, told: Imported) -> bool:
    """The core has welcomed this kit by stick; whether that is news."""
    membership = read_membership(home)
    if told.welcomed is None or membership is None or membership.enrolled:
        return False
    enrolled(home, core_name=told.welcomed)
    return True


def put(exchange: Exchange, path: Path) -> Exported:
    """Put what waits on a stick (a folder) or into a file.

    Raises:
        ShelfError: it cannot be written.
    """
    if path.is_dir():
        told = exchange.put_on(Stick(path))
        if told.trouble and not told.bundles:
            raise ShelfError(told.trouble)
        return told
    file = BundleFile(path)
    told = exchange.put_into(file)
    file.finish()
    return told


def take(exchange: Exchange, path: Path) -> tuple[Imported, Exported | None]:
    """Take what is for us; on a stick the answers are put at once, so that it can be carried back.

    Raises:
        ShelfError: it cannot be read.
    """
    if not path.is_dir():
        if not path.exists():
            raise ShelfError(f"there is no {path}; name the folder at which the stick is mounted, or a bundle file")
        return exchange.take_from(BundleFile(path)), None
    stick = Stick(path)
    imported = exchange.take_from(stick)
    return imported, exchange.put_on(stick)


def _passing(home: Home, membership: Membership) -> Passing:
    return Passing(Stick(home.spool / "passing"), core=ENDPOINT.format(unit=membership.invite.core))


def _hello(keys: KeysInUse, membership: Membership, *, name: str) -> bytes:
    from zmq.utils import z85

    identity = keys.identity
    return make_hello(
        membership.invite,
        unit=identity.unit,
        exchange_private=identity.exchange_private,
        exchange_public=identity.exchange_public,
        curve_public=z85.decode(keys.curve.public),
        name=name,
    ).encode()
