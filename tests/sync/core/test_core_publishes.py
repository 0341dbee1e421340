"""Files that the core publishes, as kits keep them."""

from __future__ import annotations

import json
import sqlite3
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.backup.restoring import renew
from kit.cli.__main__ import main
from kit.clock import ManualClock, SystemClock
from kit.health.content_view import content_rows
from kit.home import Home
from kit.model.published import (
    MAX_FILE_BYTES,
    PublishedError,
    PublishedFile,
    Withdrawal,
    file_name,
    published_body,
    published_from_body,
    read_published,
    withdrawal_body,
)
from kit.run.received import ReceivedFiles
from kit.store.database import Database
from kit.store.records import SqliteRecordStore, set_origin
from kit.store.schema import MIGRATIONS
from sync.protocol.records import Record, RecordId
from village_apps.learning.lesson_file import lesson_from_bytes
from village_apps.learning.library import LESSONS
from village_apps.learning.publishing import ready_lesson


@given(st.text(max_size=60), st.binary(max_size=3000))
def test_a_published_file_comes_out_as_it_went_in(name: str, content: bytes) -> None:
    kept = file_name(name)[:30].strip()
    if not kept:
        return
    file = PublishedFile(name=kept, content=content)
    assert published_from_body(published_body(file)) == file
    assert "/" not in kept
    assert not kept.startswith(".")


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "a\nb", "\x1b[2J", "x" * 121, " a"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(PublishedError):
        PublishedFile(name=name, content=b"")
    for body in ([1, name, False, b"x"], [2, name]):
        with pytest.raises(PublishedError):
            read_published(cbor2.dumps(body))


def test_a_bomb_is_no_file() -> None:
    press = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = press.compress(bytes(50 * MAX_FILE_BYTES)) + press.flush()
    for body in (cbor2.dumps([1, "a", True, bomb]), cbor2.dumps([1, "a", True, b"\xff\xff"]), b"", cbor2.dumps([2])):
        with pytest.raises(PublishedError):
            published_from_body(body)


class Shelf:
    """A kit's home and store, into which records fall."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path)
        self.database = Database(path / "kit.db", migrations=MIGRATIONS)
        self.database.open()
        with self.database.atomic() as connection:
            set_origin(connection, "kit-a")
        self.clock = ManualClock(at_s=1_790_000_000.0)

    def take(self, record: Record) -> None:
        SqliteRecordStore(self.database).take([record], peer="core-a", link="lora", at_ms=1)

    def look(self) -> int:
        return ReceivedFiles(self.home, self.database, self.clock).look()


def test_a_file_published_at_the_core_stands_below_content_and_a_newer_one_replaces_it(
    city: Any, capsys: Any, tmp_path: Path
) -> None:
    kit, source = city.joined(), tmp_path / "irrigation.txt"
    shelf = Shelf(tmp_path)
    for words in (b"Water!\n\n" + b"water at dusk\n" * 40, b"Water!\n\n" + b"water at dawn\n" * 40):
        source.write_bytes(words)
        code = main(["core", "publish", str(source), "--kind", "advice", "--json", "--home", str(city.core.home.path)])
        assert code == 0
        told = json.loads(capsys.readouterr().out)
        assert told["kits"] == 1
        (record,) = city.store.outgoing(kit.unit, now_ms=int(SystemClock().now() * 1000), limit=5)
        city.store.accepted([record.id], peer=kit.unit, link="lora", at_ms=1)
        shelf.take(record)
        assert (shelf.look(), shelf.look()) == (1, 0)
        assert (shelf.home.content / "advice" / "irrigation.txt").read_bytes() == words
    (row,) = content_rows(shelf.database.connection)
    assert row["by"] == city.core.settings.core.name
    assert (row["kind"], row["name"], row["bytes"]) == ("advice", "irrigation.txt", 568)
    assert main(["core", "queue", "--home", str(city.core.home.path)]) == 0
    assert "not read" not in capsys.readouterr().out
    shelf.database.close()


def test_a_file_that_was_overtaken_by_its_newer_one_does_not_replace_it(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for seq, words in ((5, b"new"), (2, b"old")):
        body = published_body(PublishedFile(name="a.txt", content=words))
        shelf.take(Record(id=RecordId("core-a", 1, seq), kind="file", priority=5, created_ms=1, body=body))  # type: ignore[arg-type] # as from the wire
        shelf.look()
    assert (shelf.home.content / "file" / "a.txt").read_bytes() == b"new"
    body = published_body(PublishedFile(name="a.txt", content=b"another core's"))
    shelf.take(Record(id=RecordId("core-b", 1, 1), kind="file", priority=5, created_ms=1, body=body))  # type: ignore[arg-type] # as from the wire
    assert shelf.look() == 1, "a kit that has joined another core believes that one"
    shelf.database.close()


def test_a_unit_brought_back_from_a_backup_writes_what_the_city_published_again(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    body = published_body(PublishedFile(name="a.txt", content=b"a"))
    shelf.take(Record(id=RecordId("core-a", 1, 1), kind="file", priority=5, created_ms=1, body=body))  # type: ignore[arg-type] # as from the wire
    shelf.look()
    came = content_rows(shelf.database.connection)
    shelf.database.close()
    (shelf.home.content / "file" / "a.txt").unlink()
    renew(tmp_path / "kit.db")
    shelf.clock.advance(86_400)
    shelf.database.open()
    assert shelf.look() == 1
    assert (shelf.home.content / "file" / "a.txt").read_bytes() == b"a"
    assert content_rows(shelf.database.connection) == came, "and it is no news"
    shelf.database.close()


def test_a_withdrawn_file_goes_and_comes_back_only_when_it_is_published_anew(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    file = PublishedFile(name="a.txt", content=b"a")

    def say(seq: int, told: PublishedFile | Withdrawal, origin: str = "core-a") -> list[str]:
        body = withdrawal_body(told) if isinstance(told, Withdrawal) else published_body(told)
        shelf.take(Record(id=RecordId(origin, 1, seq), kind="file", priority=2, created_ms=1, body=body))  # type: ignore[arg-type] # as from the wire
        shelf.look()
        return [row["name"] for row in content_rows(shelf.database.connection)]

    assert say(4, file) == ["a.txt"]
    assert say(9, Withdrawal("a.txt"), origin="kit-thief") == ["a.txt"], "only a core takes a core's file back"
    assert say(6, Withdrawal("a.txt")) == []
    assert not (shelf.home.content / "file" / "a.txt").exists()
    assert say(5, file) == [], "an older one that comes later stays away"
    assert say(7, file) == ["a.txt"]
    (shelf.home.content / "file" / "mine.txt").write_text("put there by hand")
    assert say(8, Withdrawal("mine.txt")) == ["a.txt"]
    assert (shelf.home.content / "file" / "mine.txt").exists()
    assert say(10, Withdrawal("b.txt")) == ["a.txt"]
    assert say(9, replace(file, name="b.txt")) == ["a.txt"], "it was taken back before it came"
    shelf.database.close()


def test_another_kit_cannot_publish_and_what_cannot_be_read_stops_nothing(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    good = Record(
        id=RecordId("core-a", 1, 2),
        kind="file",
        priority=5,  # type: ignore[arg-type] # as it comes from the wire
        created_ms=1,
        body=published_body(PublishedFile(name="a.txt", content=b"a")),
    )
    shelf.take(replace(good, id=RecordId("kit-thief", 1, 1)))
    shelf.take(replace(good, id=RecordId("core-a", 1, 1), body=b"\xff"))
    assert shelf.look() == 0
    shelf.take(good)
    assert shelf.look() == 1
    assert [file.name for file in (shelf.home.content / "file").iterdir()] == ["a.txt"]
    shelf.database.close()


def test_a_kit_killed_before_it_noted_the_file_writes_it_again(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    body = published_body(PublishedFile(name="a.txt", content=b"a"))
    shelf.take(Record(id=RecordId("core-a", 1, 1), kind="file", priority=5, created_ms=1, body=body))  # type: ignore[arg-type] # as from the wire
    files = ReceivedFiles(shelf.home, shelf.database, shelf.clock)

    # what it would have noted is undone, as after a kill
    shelf.database.connection.execute(
        "CREATE TEMP TRIGGER death BEFORE INSERT ON main.facts BEGIN SELECT raise(ABORT, 'killed'); END"
    )
    with pytest.raises(sqlite3.IntegrityError, match="killed"):
        files.look()
    shelf.database.connection.execute("DROP TRIGGER death")
    assert shelf.look() == 1
    assert (shelf.home.content / "file" / "a.txt").read_bytes() == b"a"
    shelf.database.close()


def test_a_lesson_is_published_under_its_key_with_its_figures_inside(city: Any, capsys: Any) -> None:
    kit = city.joined()
    home = str(city.core.home.path)
    command = ["core", "publish", str(LESSONS / "frost" / "lesson.toml"), "--kind", "lesson", "--home", home]
    assert main([*command, "--name", "frost.txt"]) == 2
    assert "must be called something that ends in .toml" in capsys.readouterr().err
    assert main([*command, "--by", "Asha"]) == 0
    (record,) = city.store.outgoing(kit.unit, now_ms=int(SystemClock().now() * 1000), limit=5)
    file = published_from_body(record.body)
    assert (file.name, file.by) == ("frost.toml", "Asha")
    assert set(lesson_from_bytes(file.content, source="x").figures) == {
        "before.svg", "clear-night.svg", "during.svg", "valley.svg"
    }  # fmt: skip


def test_a_lesson_whose_questions_changed_needs_a_higher_version(city: Any, capsys: Any, tmp_path: Path) -> None:
    city.joined()
    text = ready_lesson(LESSONS / "frost" / "lesson.toml").file.content.decode()
    file = tmp_path / "mine.toml"

    def publish(change: tuple[str, str], version: int) -> tuple[int, str]:
        file.write_text(text.replace(*change).replace("version = 1", f"version = {version}"), encoding="utf-8")
        code = main(["core", "publish", str(file), "--kind", "lesson", "--home", str(city.core.home.path)])
        return code, capsys.readouterr().err

    assert publish(("", ""), 2)[0] == 0
    assert publish(("Why frost comes", "Why it freezes"), 2)[0] == 0
    code, why = publish(("A windy night", "A night with wind"), 2)
    assert (code, "with other questions before; write version = 3" in why) == (1, True)
    code, why = publish(("", ""), 1)
    assert (code, "version 2 of the lesson 'frost' was published before; write version = 3" in why) == (1, True)
    assert publish(("A windy night", "A night with wind"), 3)[0] == 0


def test_a_file_that_cannot_be_published_is_refused_in_words(city: Any, capsys: Any, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(MAX_FILE_BYTES + 1))
    home = str(city.core.home.path)
    (tmp_path / "lesson.toml").write_text('key = "water"\nversion = 1\n')
    (tmp_path / "advice.txt").write_text("only a title")
    for words, sentence in (
        ([str(tmp_path / "lesson.toml"), "--kind", "lesson"], "lesson.toml: parts is missing"),
        ([__file__, "--kind", "lesson"], "is not valid TOML"),
        ([str(tmp_path / "none.toml"), "--kind", "lesson"], "none.toml cannot be read"),
        ([str(tmp_path / "advice.txt"), "--kind", "advice"], "write a title in the first line"),
        ([str(large), "--kind", "advice"], "is larger than 262144 bytes"),
        ([__file__, "--by", "x" * 61], "--by has 61 characters"),
        ([str(large)], "is larger than 262144 bytes"),
        ([str(tmp_path / "none")], "cannot be read"),
        ([__file__, "--name", "../x"], "is no name for a published file"),
    ):
        assert main(["core", "publish", *words, "--home", home]) != 0
        assert sentence in capsys.readouterr().err
