"""A core whose store somebody put back from an older copy: what it says then is heard, and authors know the truth."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path
from typing import Any

from kit.model.custody import custody_from_body
from kit.store.database import Database
from kit.store.records import SqliteRecordStore, set_origin
from kit.store.schema import MIGRATIONS
from sync.engine import SyncEngine
from sync.protocol.peers import Peer, Role, SinglePeerBook
from sync.protocol.records import Held, Priority, Record, RecordId, digest_of


def write(city: Any, unit: str, body: bytes) -> RecordId:
    told: RecordId = city.store.write(addressee=unit, kind="note", priority=2, body=body, now_ms=city.now_ms)
    return told


def publish(city: Any, body: bytes) -> RecordId:
    told: RecordId = city.store.publish(kind="advice", priority=3, body=body, now_ms=city.now_ms, lifetime_s=86_400)
    return told


def test_what_a_core_that_was_put_back_says_to_one_and_to_all_is_heard(
    city: Any, make_world: Any, tmp_path: Path
) -> None:
    world = make_world(joined=False)
    city.clock.at_s = world.clock.now()
    kit = city.joined()
    core, me = city.core.identity, kit.identity
    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as database:
        with database.atomic() as connection:
            set_origin(connection, kit.unit)
        peer = city.store.all()[0]

        def heard() -> set[bytes]:
            rows = database.connection.execute("SELECT body FROM records WHERE taken_ms IS NOT NULL")
            return {bytes(body) for (body,) in rows}

        def live(*bodies: bytes) -> bool:
            world.core.engine = SyncEngine(
                identity=core, store=city.store, peers=city.store, links=world.core.links, clock=world.clock,
                rng=random.Random(1), on_links=lambda _: None, changed=city.store.changed,
            )  # fmt: skip
            world.live(3600.0, until=lambda: set(bodies) <= heard() and not city.store.waited_for_by(now_ms=0))
            return set(bodies) <= heard()

        world.kit.engine = SyncEngine(
            identity=me, store=SqliteRecordStore(database), links=world.kit.links, clock=world.clock,
            peers=SinglePeerBook(
                Peer(unit=core.unit, link_id=peer.link_id, exchange_public=core.exchange_public, role=Role.CORE)
            ),
            rng=random.Random(2), on_links=lambda _: None,
        )  # fmt: skip
        write(city, kit.unit, b"hello")
        assert live(b"hello")
        old = sqlite3.connect(":memory:")
        city.store._database.connection.backup(old)
        write(city, kit.unit, b"forgotten, for the core")
        publish(city, b"forgotten, for all")
        assert live(b"forgotten, for the core", b"forgotten, for all")
        old.backup(city.store._database.connection)
        to_one, to_all = write(city, kit.unit, b"the bridge is closed"), publish(city, b"boil the water")
        assert live(b"the bridge is closed", b"boil the water")
        rows = city.store._database.connection.execute(
            "SELECT epoch FROM core_records WHERE body IN (?, ?)", (b"the bridge is closed", b"boil the water")
        ).fetchall()
        assert all(epoch > to_one.epoch == to_all.epoch for (epoch,) in rows)
        assert len(heard()) == 5


def test_the_author_of_a_letter_whose_name_is_taken_where_it_goes_is_told_that_it_does_not_arrive(city: Any) -> None:
    author, reader = city.joined("Orchard village"), city.joined("River village")
    letter = Record(
        id=RecordId(author.unit, 7, 1), kind="message", priority=Priority.MESSAGE, created_ms=city.now_ms,
        addressee=reader.unit, body=b"see you on Sunday",
    )  # fmt: skip
    city.take(letter)
    other = Held(letter.id, digest_of("message", b"what the author did not write"))
    city.store.rename([other], peer=reader.unit, at_ms=city.now_ms)
    assert [each.id for each in city.store.outgoing(reader.unit, now_ms=city.now_ms, limit=9)] == [letter.id]
    city.store.rename([Held(letter.id, digest_of("message", letter.body))], peer=reader.unit, at_ms=city.now_ms)
    assert city.store.outgoing(reader.unit, now_ms=city.now_ms, limit=9) == []
    (told,) = city.store.outgoing(author.unit, now_ms=city.now_ms, limit=9)
    note = custody_from_body(told.body)
    assert note.undeliverable
    assert note.told == ((7, 1),)
