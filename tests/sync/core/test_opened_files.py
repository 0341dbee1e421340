"""Who has a file that the city published, and where somebody has opened it: on the kit's word, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.cli.__main__ import main
from kit.model.custody import CustodyNote, custody_body, custody_from_body
from kit.model.published import PublishedFile, Withdrawal, published_body, read_published
from kit.store import facts, records
from kit.store.database import Database
from kit.store.inbox import mark_opened
from kit.store.records import SqliteRecordStore, set_origin
from sync.core.page import make_app
from sync.core.store import Outcome
from sync.protocol.records import Priority, Record, RecordId


class Village:
    """A kit's real store, and the core as its peer."""

    def __init__(self, city: Any, folder: Path, name: str) -> None:
        self.city, self.kit = city, city.joined(name)
        self.database = Database(folder / f"{name}.db", migrations=(*facts.MIGRATIONS, *records.MIGRATIONS))
        self.database.open()
        with self.database.atomic() as connection:
            set_origin(connection, self.kit.unit)
        self.store = SqliteRecordStore(self.database)

    def fetch(self) -> list[Record]:
        """Everything that the core has for it, accepted."""
        now_ms = self.city.now_ms
        coming: list[Record] = self.city.store.outgoing(self.kit.unit, now_ms=now_ms, limit=99)
        self.city.store.left([each.id for each in coming], peer=self.kit.unit, link="lora", at_ms=now_ms)
        self.store.take(coming, peer="core", link="lora", at_ms=now_ms)
        self.city.store.accepted([each.id for each in coming], peer=self.kit.unit, link="lora", at_ms=now_ms)
        return coming

    def say(self) -> list[Record]:
        """Everything that it has for the core."""
        outgoing = self.store.outgoing("core", now_ms=self.city.now_ms, limit=99)
        if outgoing:
            self.city.take(*outgoing, peer=self.kit.unit)
            self.store.accepted([each.id for each in outgoing], peer="core", link="lora", at_ms=self.city.now_ms)
        return list(outgoing)

    def open(self, record: RecordId) -> bool:
        with self.database.atomic() as connection:
            return mark_opened(connection, record, at_ms=self.city.now_ms)


@pytest.fixture
def two(city: Any, tmp_path: Path) -> Iterator[tuple[Village, Village]]:
    villages = Village(city, tmp_path, "Orchard village"), Village(city, tmp_path, "River village")
    yield villages
    for village in villages:
        village.database.close()


def publish(city: Any, *, kind: str = "lesson", units: list[str] | None = None) -> RecordId:
    body = published_body(PublishedFile(name="water.toml", content=b"x" * 400, by="Asha"))
    record: RecordId = city.store.publish(kind=kind, priority=Priority.BULK, body=body, now_ms=city.now_ms, units=units)
    return record


def states(city: Any) -> dict[str, str]:
    (publication,) = city.store.publications(limit=9)
    names = {kit.unit: kit.name for kit in city.store.kits()}
    return {names[copy.unit]: copy.state for copy in publication.copies}


def test_each_step_of_a_lesson_is_known_at_the_core_and_opened_only_once_somebody_has_opened_it(
    city: Any, two: tuple[Village, Village], capsys: pytest.CaptureFixture[str]
) -> None:
    orchard, river = two
    record = publish(city)
    assert set(states(city).values()) == {"written"}
    orchard.fetch()
    orchard.say()
    assert states(city) == {"Orchard village": "accepted", "River village": "written"}
    page = make_app(city.core).test_client()
    assert "Orchard village: at the kit, not known to be opened" in page.get("/").text
    assert orchard.open(record)
    assert not orchard.open(record), "the core is told once"
    (receipt,) = orchard.say()
    assert (receipt.kind, receipt.priority) == ("custody", Priority.RECEIPT)
    assert len(receipt.body) <= 24, "it is cheap on air"
    assert states(city) == {"Orchard village": "opened", "River village": "written"}
    shown = page.get("/").text
    assert "at 1 of 2 kits, opened at 1" in shown
    assert "Orchard village: opened just now · River village: waits until the kit is heard" in shown
    assert "Nobody can say from here whether it was read" in shown
    home = ["--home", str(city.core.home.path)]
    (number,) = (each.number for each in city.store.publications(limit=1))
    assert main(["core", "published", *home]) == 0
    assert "1 of 2      at 1 of 2" in capsys.readouterr().out
    assert main(["core", "published", str(number), *home]) == 0
    told = capsys.readouterr().out
    assert "Orchard village  opened there Sat 23 Apr 2016 21:00" in told
    assert "River village    waits until the kit is heard" in told
    assert "Nobody can say whether it was read." in told
    assert main(["core", "published", "--json", *home]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["kind"], row["by"]) == ("water.toml", "lesson", "Asha")
    assert {each["name"]: each["opened"] is not None for each in row["kits"]} == {
        "Orchard village": True, "River village": False,
    }  # fmt: skip
    assert main(["core", "queue", *home]) == 0
    queue = capsys.readouterr().out
    assert "opened on a page there Sat 23 Apr 2016 21:00" in queue
    assert "read" not in queue.lower()
    assert main(["core", "published", "999", *home]) == 2
    assert "nothing was published as number 999" in capsys.readouterr().err
    del river


def test_a_kit_can_only_speak_of_files_that_were_for_it(city: Any, two: tuple[Village, Village]) -> None:
    orchard, river = two
    for_river = publish(city, units=[river.kit.unit])
    letter = city.store.write(addressee=orchard.kit.unit, kind="message", priority=2, body=b"x", now_ms=city.now_ms)
    for name in (for_river, letter, RecordId(for_river.origin, for_river.epoch, 10_000)):
        note = CustodyNote(read=False, opened=True, at_ms=city.now_ms, told=((name.epoch, name.seq),))
        lie = orchard.kit.record("custody", custody_body(note), priority=1)
        city.take(Record(**{**lie.__dict__, "addressee": name.origin}))
    assert [each.outcome for each in city.store.taken(kind="custody")] == [Outcome.UNDECODABLE] * 3
    assert states(city) == {"River village": "written"}
    assert all(record.opened_ms is None and record.read_ms is None for record in city.store.own_records(limit=9))


def test_what_opened_says_comes_out_of_the_record_as_it_went_in_and_is_no_reading() -> None:
    note = CustodyNote(read=False, opened=True, at_ms=1_790_000_000_000, told=((7, 4),))
    assert custody_from_body(custody_body(note)) == note
    assert not custody_from_body(custody_body(note)).read


def test_a_core_says_nothing_of_opening_to_a_kit(city: Any, two: tuple[Village, Village]) -> None:
    orchard, _ = two
    from kit.store.custody import hear_custody
    from kit.store.records import queue, write_record

    with orchard.database.atomic() as connection:
        own = write_record(connection, kind="message", priority=2, body=b"x", created_ms=1)
        note = CustodyNote(read=False, opened=True, at_ms=5, told=((own.epoch, own.seq),))
        hear_custody(
            connection,
            Record(
                id=RecordId("core-a", 1, 1),
                kind="custody",
                priority=Priority.RECEIPT,
                created_ms=1,
                body=custody_body(note),
            ),
        )
        assert [row["state"] for row in queue(connection, limit=9)] == ["written"]
    del city


def test_a_withdrawn_lesson_goes_no_further_and_the_kits_that_have_it_are_told(
    city: Any, two: tuple[Village, Village], capsys: pytest.CaptureFixture[str]
) -> None:
    orchard, _ = two
    first = publish(city, units=[orchard.kit.unit])
    orchard.fetch()
    publish(city)
    newest, older = city.store.publications(limit=9)
    home = ["--home", str(city.core.home.path)]
    city.store.withdraw(newest.number, now_ms=city.now_ms)
    for village in two:
        (record,) = village.fetch()
        assert read_published(record.body) == Withdrawal("water.toml"), "no version goes any further"
        assert (record.kind, record.priority) == ("lesson", Priority.MESSAGE)
    assert len(city.store.publications(limit=2)) == 2, "what takes a file back is no publication"
    newest, older = city.store.publications(limit=9)
    assert older.record == first
    assert [each.gone for each in (newest, older)] == [2, 1]
    assert main(["core", "published", str(older.number), *home]) == 0
    shown = capsys.readouterr().out
    assert "withdrawn" in shown
    assert "gone there" in shown
    assert main(["core", "queue", *home]) == 0
    queue = capsys.readouterr().out
    assert "withdrawn at the kit" in queue
    assert "withdrawn before it arrived" in queue
    assert "<b>withdrawn</b>" in make_app(city.core).test_client().get("/").text
    for number, why in ((newest.number, "was withdrawn before"), (999, "nothing was published as number 999")):
        assert main(["core", "withdraw", str(number), *home]) != 0
        assert why in capsys.readouterr().err
    publish(city)
    assert [len(village.fetch()) for village in two] == [1, 1], "it can be published anew"
    (anew,) = city.store.publications(limit=1)
    assert main(["core", "withdraw", str(anew.number), "--json", *home]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["number"], told["name"], told["kind"], told["kits"]) == (anew.number, "water.toml", "lesson", 2)
