"""A core with many kits and one stick: who is answered by hand, and that no body is read for it."""

from __future__ import annotations

from typing import Any

from kit.run.bundles import core_exchange
from kit.store.database import Database
from sync.bundles.exchange import ACKNOWLEDGED_MS, SILENT_MS
from sync.core.sqlite_store import store_file
from sync.protocol.records import Held, Priority, Record, RecordId, digest_of

DAY_S = 86_400.0


def fill(city: Any, stick: Any) -> Any:
    with core_exchange(city.core) as exchange:
        return exchange.put_on(stick)


def heard_by_mobile_network(valley: Any, unit: str) -> None:
    with valley.city.core.open_store() as store:
        store.heard(unit, link="cellular", via="a key", now_ms=valley.city.core.now_ms())


def take(valley: Any, unit: str, count: int, *, link: str = "cellular", epoch: int = 900) -> list[Record]:
    records = [
        Record(
            id=RecordId(unit, epoch, seq), kind="note", priority=Priority.READING, created_ms=1, body=b"note %d" % seq
        )
        for seq in range(1, count + 1)
    ]
    with valley.city.core.open_store() as store:
        store.take(records, peer=unit, link=link, at_ms=valley.city.core.now_ms())
    return records


def test_a_kit_that_a_link_reaches_is_not_answered_on_every_stick_until_it_falls_silent(valley: Any) -> None:
    kit, other = valley.kit(), valley.kit("river")
    valley.clock.advance(ACKNOWLEDGED_MS / 1000.0 + 60.0)  # the stick with which both joined is long forgotten
    take(valley, kit.unit, 5)
    take(valley, other.unit, 3)
    heard_by_mobile_network(valley, kit.unit)
    stick = valley.stick()
    assert fill(valley.city, stick).acknowledged == 3, "no link has heard the other one"
    valley.clock.advance(SILENT_MS / 1000.0 + 60.0)
    heard_by_mobile_network(valley, other.unit)
    told = fill(valley.city, stick)
    assert told.acknowledged == 5, "its last answer may have been lost with its link"
    assert len(list(stick.folder.glob("*.bp7"))) == 1, "what was said to the other one is taken off again"


def test_a_kit_that_brings_a_stick_is_answered_on_it_though_a_link_hears_it_too(valley: Any) -> None:
    kit, stick = valley.kit(), valley.stick()
    kit.write(b"a photo that is too large for the radio")
    heard_by_mobile_network(valley, kit.unit)
    kit.fill(stick)
    valley.city.read(stick)
    assert kit.empty(stick).accepted == 1
    for _ in range(3):
        valley.clock.advance(20 * DAY_S)
        heard_by_mobile_network(valley, kit.unit)
        assert fill(valley.city, valley.stick()).acknowledged == 1, "the stick with the answer may have been lost"


def test_what_is_held_is_told_without_the_bodies_and_a_core_that_is_updated_knows_it_too(valley: Any) -> None:
    kit = valley.kit()
    records = take(valley, kit.unit, 20)
    expected = {Held(each.id, digest_of(each.kind, each.body)) for each in records}

    def held(since_ms: int = 0) -> set[Held]:
        with valley.city.core.open_store() as store:
            return set(store.held_from(kit.unit, since_ms=since_ms))

    assert held() == expected
    database = Database(store_file(valley.city.core.home, valley.city.core.settings.core))
    with database, database.atomic() as connection:  # as it was before the digests were kept
        connection.execute("DROP TABLE core_digests")
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = '0060_digests'")
    assert held() == expected
    valley.clock.advance(60.0)
    later_ms = valley.city.core.now_ms()
    more = take(valley, kit.unit, 2, epoch=901)
    assert {each.id for each in held(since_ms=later_ms)} == {each.id for each in more}
    with database:
        plan = database.connection.execute(
            "EXPLAIN QUERY PLAN SELECT epoch, seq, digest FROM core_digests WHERE origin = ? AND received_ms >= ?",
            (kit.unit, 0),
        ).fetchall()
    assert [row["detail"] for row in plan] == ["SEARCH core_digests USING PRIMARY KEY (origin=? AND received_ms>?)"]


def test_another_village_s_letter_that_lies_on_the_stick_already_is_not_put_there_again(valley: Any) -> None:
    kit, other, stick = valley.kit(), valley.kit("river"), valley.stick()
    letter = Record(
        id=RecordId(other.unit, 900, 1), kind="note", priority=Priority.MESSAGE, created_ms=1, body=b"come on Sunday",
        addressee=kit.unit,
    )  # fmt: skip
    with valley.city.core.open_store() as store:
        store.take([letter], peer=other.unit, link="stick", at_ms=valley.city.core.now_ms())
    assert fill(valley.city, stick).records == 1
    told = fill(valley.city, stick)
    assert (told.records, told.already) == (0, 1)
