"""Writing to another village from the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kit.cli.__main__ import main
from kit.home import Home
from kit.identity import load_or_create_identity
from kit.run.schema import open_unit_store
from kit.store.records import SqliteRecordStore, set_origin
from sync.protocol.records import Record

OTHER = "kit-7gq2mzk4"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "unit")
    home.prepare()
    with open_unit_store(home) as database, database.atomic() as connection:
        set_origin(connection, load_or_create_identity(home).unit)
    return home


def queue(home: Home) -> list[Record]:
    with open_unit_store(home) as database:
        return SqliteRecordStore(database).outgoing("core", now_ms=0, limit=9)


def say(home: Home, *words: str) -> int:
    return main(["--home", str(home.path), "messages", "send", *words])


def test_a_message_to_another_village_is_addressed_to_it(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(home, OTHER, "Can you lend us the pump?", "--by", "Amina", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["to"] == OTHER
    assert told["page"].startswith("/messages/sent/")
    assert say(home, "city", "The bridge is gone", "--days", "1") == 0
    assert [each.addressee for each in queue(home)] == [OTHER, ""]


def test_what_cannot_be_sent_is_said_and_nothing_is_kept(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    own = load_or_create_identity(home).unit
    for words, why in (
        (("Meadow", "hello"), "no village is called 'Meadow'"),
        ((own, "hello"), "is this kit"),
        ((OTHER, " "), "empty"),
        ((OTHER, "hello", "--days", "0"), "above 0"),
        ((OTHER, "hello", "--days", "nan"), "above 0"),
    ):
        assert say(home, *words) == 2
        assert why in capsys.readouterr().err
    assert queue(home) == []
