"""A message between two villages: written, left, accepted, delivered, read by a person; and what its author is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kit.model.custody import CustodyNote, custody_body, custody_from_body
from kit.model.letters import LONGEST_TEXT, LetterError, letter_body, letter_from_body, make_letter
from kit.store import facts, records
from kit.store.database import Database
from kit.store.inbox import mark_read, received
from kit.store.queue import queue
from kit.store.records import SqliteRecordStore, set_origin, write_record
from sync.protocol.records import Record, RecordId

MINUTE_MS = 60_000


class Village:
    """A kit's real store, and the core as its peer."""

    def __init__(self, city: Any, folder: Path, name: str) -> None:
        self.city, self.kit = city, city.joined(name)
        self.database = Database(folder / f"{name}.db", migrations=(*facts.MIGRATIONS, *records.MIGRATIONS))
        self.database.open()
        with self.database.atomic() as connection:
            set_origin(connection, self.kit.unit)
        self.store = SqliteRecordStore(self.database)

    def write(self, text: str, *, to: str = "", lifetime_s: int | None = None) -> RecordId:
        with self.database.atomic() as connection:
            return write_record(
                connection,
                kind="message",
                priority=2,
                body=letter_body(make_letter(text, "Amina")),
                created_ms=self.city.now_ms,
                lifetime_s=lifetime_s,
                addressee=to,
            )

    def sync(self) -> list[Record]:
        """What a session does: everything to the core, everything from it. Returns what came."""
        now_ms = self.city.now_ms
        outgoing = self.store.outgoing("core", now_ms=now_ms, limit=99)
        ids = [each.id for each in outgoing]
        self.store.left(ids, peer="core", link="lora", at_ms=now_ms)
        if outgoing:
            self.city.store.take(outgoing, peer=self.kit.unit, link="lora", at_ms=now_ms)
            self.store.accepted(ids, peer="core", link="lora", at_ms=now_ms)
        coming: list[Record] = self.city.store.outgoing(self.kit.unit, now_ms=now_ms, limit=99)
        names = [each.id for each in coming]
        self.city.store.left(names, peer=self.kit.unit, link="lora", at_ms=now_ms)
        self.store.take(coming, peer="core", link="lora", at_ms=now_ms)
        self.city.store.accepted(names, peer=self.kit.unit, link="lora", at_ms=now_ms)
        return coming

    def row(self, record: RecordId) -> dict[str, Any]:
        rows = queue(self.database.connection, limit=99, now_ms=self.city.now_ms)
        return next(row for row in rows if (row["epoch"], row["seq"]) == (record.epoch, record.seq))

    def read(self, record: RecordId, person: str) -> bool:
        with self.database.atomic() as connection:
            return mark_read(connection, record, person=person, at_ms=self.city.now_ms)


@pytest.fixture
def two(city: Any, tmp_path: Path) -> Any:
    villages = Village(city, tmp_path, "Orchard village"), Village(city, tmp_path, "River village")
    yield villages
    for village in villages:
        village.database.close()


def test_a_message_to_another_village_is_delivered_and_read_and_its_author_knows_each_step(city: Any, two: Any) -> None:
    orchard, river = two
    message = orchard.write("The bridge holds", to=river.kit.unit)
    assert orchard.row(message)["state"] == "written"
    orchard.sync()
    assert orchard.row(message)["state"] == "accepted"

    city.clock.at_s += 60
    (came,) = river.sync()
    assert came.id == message
    orchard.sync()
    assert orchard.row(message)["state"] == "delivered", "the kit has it; nobody has read it"

    city.clock.at_s += 60
    assert river.read(message, "Juma")
    assert not river.read(message, "Neema"), "the first reader is told, once"
    river.sync()
    orchard.sync()
    row = orchard.row(message)
    assert (row["state"], row["read_by"]) == ("read", "Juma")
    assert row["delivered"] < row["read"]


def test_a_message_to_the_city_is_read_when_a_person_there_says_so(city: Any, two: Any) -> None:
    orchard, _ = two
    message = orchard.write("We need blankets")
    orchard.sync()
    (letter,) = city.store.messages(limit=9)
    assert (letter.text, letter.author, letter.for_core, letter.sent.read_ms) == (
        "We need blankets",
        "Amina",
        True,
        None,
    )
    orchard.sync()
    assert orchard.row(message)["state"] == "accepted", "accepted is no reading"
    assert city.store.mark_read(letter.number, person="Operator", now_ms=city.now_ms)
    assert not city.store.mark_read(letter.number, person="Operator", now_ms=city.now_ms)
    orchard.sync()
    assert orchard.row(message)["read_by"] == "Operator"


def test_the_citys_own_message_shows_how_far_it_has_come(city: Any, two: Any) -> None:
    orchard, _ = two
    body = letter_body(make_letter("A truck comes tomorrow", "City"))
    record = city.store.write(
        addressee=orchard.kit.unit, kind="message", priority=2, body=body, now_ms=city.now_ms, lifetime_s=3600
    )
    (own,) = city.store.own_records(limit=9)
    assert (own.id, own.left_ms, own.accepted_ms) == (record, None, None)
    orchard.sync()
    assert received(orchard.database.connection, "message", after=0, limit=9)[0][1].id == record
    assert orchard.read(record, "Amina")
    orchard.sync()
    (own,) = city.store.own_records(limit=9)
    assert own.accepted_ms is not None
    assert own.read_by == "Amina"
    assert city.store.outgoing(orchard.kit.unit, now_ms=city.now_ms, limit=9) == []


def test_what_runs_out_on_its_way_is_said_to_have_expired_on_both_sides(city: Any, two: Any) -> None:
    orchard, river = two
    stuck = orchard.write("Come tonight", to=river.kit.unit, lifetime_s=600)
    own = city.store.write(
        addressee=river.kit.unit,
        kind="message",
        priority=2,
        body=letter_body(make_letter("x")),
        now_ms=city.now_ms,
        lifetime_s=600,
    )
    city.clock.at_s += 601
    assert orchard.row(stuck)["expired"]
    assert orchard.store.outgoing("core", now_ms=city.now_ms, limit=9) == []
    assert river.sync() == []
    (told,) = city.store.own_records(limit=9)
    assert told.id == own
    assert told.expired(city.now_ms)


def test_nobody_can_say_that_a_message_for_somebody_else_was_read(city: Any, two: Any) -> None:
    orchard, river = two
    message = orchard.write("For the city only")
    orchard.sync()
    forged = CustodyNote(read=True, at_ms=city.now_ms, told=((message.epoch, message.seq),), person="Mallory")
    with river.database.atomic() as connection:
        write_record(
            connection,
            kind="custody",
            priority=1,
            body=custody_body(forged),
            created_ms=city.now_ms,
            addressee=orchard.kit.unit,
        )
    river.sync()
    orchard.sync()
    assert orchard.row(message)["state"] == "accepted"
    (refused,) = city.store.undecodable(limit=9)
    assert "no record" in refused.reason


def test_custody_is_not_told_of_custody(city: Any, two: Any) -> None:
    orchard, river = two
    message = orchard.write("Hello", to=river.kit.unit)
    for _ in range(3):
        orchard.sync()
        river.sync()
    river.read(message, "Juma")
    for _ in range(5):
        river.sync()
        orchard.sync()
    kinds = [own.kind for own in city.store.own_records(limit=99)]
    assert sorted(kinds) == ["custody", "custody", "message"], "delivered, read, and the message itself"


def test_bodies_come_back_as_they_went_and_nonsense_is_named() -> None:
    note = CustodyNote(read=True, at_ms=5, told=((1, 2), (1, 3)), person="Amina")
    assert custody_from_body(custody_body(note)) == note
    letter = make_letter("  two\r\nlines \x1b[31m ", "A\nB")
    assert (letter.text, letter.author) == ("two\nlines [31m", "A B")
    assert letter_from_body(letter_body(letter)) == letter
    for wrong in (b"", b"\x80", b"\xff", b"\x83\x01\x02\x03"):
        with pytest.raises(LetterError):
            letter_from_body(wrong)
        with pytest.raises(ValueError, match=r"body|records"):
            custody_from_body(wrong)
    with pytest.raises(LetterError, match="at most 500"):
        make_letter("x" * (LONGEST_TEXT + 1))
