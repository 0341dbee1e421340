"""The core tells its kits which villages there are, and their people what cannot be delivered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.model.letters import letter_body, make_letter
from kit.store import facts, records
from kit.store.database import Database
from kit.store.inbox import mark_read
from kit.store.queue import queue
from kit.store.records import SqliteRecordStore, set_origin, write_record
from kit.store.villages import villages
from sync.core.sqlite_store import SqliteCoreStore
from sync.core.village_rows import ANEW_MS, SETTLE_MS
from sync.protocol.records import Priority, Record, RecordId


class Kit:
    """A kit's real store beside the core's."""

    def __init__(self, city: Any, folder: Path, name: str) -> None:
        self.city, self.kit = city, city.joined(name)
        self.database = Database(folder / f"{self.kit.unit}.db", migrations=(*facts.MIGRATIONS, *records.MIGRATIONS))
        self.database.open()
        with self.database.atomic() as connection:
            set_origin(connection, self.kit.unit)
        self.store = SqliteRecordStore(self.database)

    @property
    def unit(self) -> str:
        return str(self.kit.unit)

    def hear(self) -> list[Record]:
        """Take what the core has for it, as a session would."""
        core, now_ms = self.city.core.identity.unit, self.city.now_ms
        coming: list[Record] = self.city.store.outgoing(self.unit, now_ms=now_ms, limit=99)
        self.store.take(coming, peer=core, link="lora", at_ms=now_ms)
        self.city.store.accepted([each.id for each in coming], peer=self.unit, link="lora", at_ms=now_ms)
        return coming

    def names(self) -> list[str]:
        return [each.name for each in villages(self.database.connection, self.city.core.identity.unit)]

    def write_to(self, unit: str) -> RecordId:
        with self.database.atomic() as connection:
            record = write_record(
                connection, kind="message", priority=Priority.MESSAGE, body=letter_body(make_letter("The pump?")),
                created_ms=self.city.now_ms, lifetime_s=3600, addressee=unit,
            )  # fmt: skip
        sent = self.store.outgoing("core", now_ms=self.city.now_ms, limit=99)
        self.city.take(*sent, peer=self.unit)
        self.store.accepted([each.id for each in sent], peer="core", link="lora", at_ms=self.city.now_ms)
        return record

    def row(self, record: RecordId) -> dict[str, Any]:
        rows = queue(self.database.connection, limit=99, now_ms=self.city.now_ms)
        return next(row for row in rows if row["seq"] == record.seq)


@pytest.fixture
def join(city: Any, tmp_path: Path) -> Iterator[Callable[[str], Kit]]:
    made: list[Kit] = []

    def joined(name: str) -> Kit:
        made.append(Kit(city, tmp_path, name))
        city.store.tell_villages(now_ms=city.now_ms)
        return made[-1]

    yield joined
    for each in made:
        each.database.close()


def lists(city: Any) -> int:
    rows = city.store._database.connection.execute("SELECT count(*) FROM core_records WHERE kind = 'villages'")
    return int(rows.fetchone()[0])


def test_every_kit_hears_of_all_once_there_are_two_and_nothing_is_said_again(city: Any, join: Any) -> None:
    orchard = join("Orchard village")
    assert lists(city) == 0, "a village alone has nobody to hear of"
    river = join("River village")
    (told,) = orchard.hear()
    assert (told.kind, told.priority) == ("villages", Priority.SUMMARY)
    assert orchard.names() == ["Orchard village", "River village"]
    assert [each.kind for each in river.hear()] == ["villages"]
    city.clock.at_s += 86_400
    city.store.tell_villages(now_ms=city.now_ms)
    assert lists(city) == 1
    city.clock.at_s += ANEW_MS / 1000
    city.store.tell_villages(now_ms=city.now_ms)
    assert lists(city) == 2, "for kits that join later"


def test_kits_that_join_on_one_morning_are_told_of_together(city: Any, join: Any) -> None:
    orchard = join("A")
    for name in "BCDE":
        join(name)
    assert lists(city) == 1
    city.clock.at_s += SETTLE_MS / 1000
    city.store.tell_villages(now_ms=city.now_ms)
    assert lists(city) == 2
    assert [each.kind for each in orchard.hear()] == ["villages"], "the list before is not sent any more"
    assert orchard.names() == list("ABCDE")
    assert all(not each.expired(city.now_ms) for each in city.store.own_records(limit=99))


def test_a_removed_village_leaves_the_list_and_what_waits_for_it_is_said_to_be_lost(city: Any, join: Any) -> None:
    orchard, river, hill = join("Orchard"), join("River"), join("Hill")
    city.clock.at_s += SETTLE_MS / 1000
    city.store.tell_villages(now_ms=city.now_ms)
    orchard.hear()
    stuck, arrived = orchard.write_to(river.unit), orchard.write_to(hill.unit)
    hill.hear()
    city.store.write(
        addressee=river.unit, kind="message", priority=2, body=letter_body(make_letter("x")), now_ms=city.now_ms
    )
    assert city.store.remove_kit(river.unit, now_ms=city.now_ms)
    city.store.tell_villages(now_ms=city.now_ms)
    orchard.hear()
    assert orchard.names() == ["Hill", "Orchard"]
    assert orchard.row(stuck)["undeliverable"]
    assert orchard.row(arrived)["undeliverable"] is None
    assert orchard.row(arrived)["state"] == "delivered"
    letters = {(each.sent.id.origin, each.sent.addressee): each.sent for each in city.store.messages(limit=9)}
    assert letters[orchard.unit, river.unit].undeliverable
    assert letters[city.core.identity.unit, river.unit].undeliverable, "its own are marked, too"
    late = orchard.write_to(river.unit)
    orchard.hear()
    assert orchard.row(late)["undeliverable"], "whoever has not heard of it yet is told, too"


def test_what_was_delivered_after_all_stays_delivered(city: Any, join: Any) -> None:
    orchard, river = join("Orchard"), join("River")
    orchard.hear()
    message = orchard.write_to(river.unit)
    river.hear()
    orchard.hear()
    with river.database.atomic() as connection:
        assert mark_read(connection, message, person="Juma", at_ms=city.now_ms)
    city.store.remove_kit(river.unit, now_ms=city.now_ms)
    orchard.hear()
    assert (orchard.row(message)["state"], orchard.row(message)["undeliverable"]) == ("delivered", None)


def test_only_the_cores_own_newest_list_counts(city: Any, join: Any) -> None:
    orchard, river = join("Orchard"), join("River")
    old, *_ = orchard.hear()
    core = city.core.identity.unit
    again = Record(
        id=RecordId(core, old.id.epoch, old.id.seq + 9), kind="villages", priority=Priority.SUMMARY,
        created_ms=0, body=b"\x01",
    )  # fmt: skip
    forged = Record(
        id=RecordId(river.unit, 2**40, 1), kind="villages", priority=Priority.SUMMARY, created_ms=0, body=old.body,
    )  # fmt: skip
    orchard.store.take([forged, again], peer=core, link="lora", at_ms=0)
    assert orchard.names() == [], "an empty list is a list"
    orchard.store.take([old], peer=core, link="lora", at_ms=1)
    assert orchard.names() == [], "an older one that comes later changes nothing"
    assert len(villages(orchard.database.connection, river.unit)) == 2, "what another says is another core's"


def test_a_core_that_was_restored_says_its_list_anew(city: Any, join: Any) -> None:
    join("Orchard")
    join("River")
    store: SqliteCoreStore = city.store
    with store._database.atomic() as connection:
        connection.execute("UPDATE core_own SET epoch = epoch + 5, last_seq = 0")
    store.tell_villages(now_ms=city.now_ms)
    assert lists(city) == 2
