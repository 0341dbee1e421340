"""Warnings of the core's to many kits: written, counted per kit, read by people there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kit.cli.__main__ import main
from kit.clock import SystemClock
from kit.home import Home
from kit.identity import load_or_create_signing_key
from kit.model.alert import Receipt, from_record_body, receipt_body
from kit.model.core_key import CoreKeyError, core_key_body, core_key_from_body
from kit.store.database import Database
from kit.store.from_core import signing_key
from kit.store.records import SqliteRecordStore, set_origin
from kit.store.schema import MIGRATIONS
from sync.protocol.beacons import Holding
from sync.protocol.records import Priority, Record, RecordId

KEY = core_key_body(bytes(range(32)))


def typed(city: Any, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    code = main(["core", *words, "--json", "--home", str(city.core.home.path)])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def refused(city: Any, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["core", *words, "--home", str(city.core.home.path)]) == 2
    return capsys.readouterr().err


def now() -> int:
    return int(SystemClock().now() * 1000)  # as the commands have it


def test_a_warning_is_for_each_kit_and_its_receipt_says_who_has_read_it(city: Any, capsys: Any) -> None:
    first, second = city.joined("Orchard"), city.joined("Hill")
    told = typed(city, capsys, "warn", "Gusts\x1b[2J to 90 km/h.", "--headline", "Storm tonight", "--event", "storm")
    assert told["kits"] == 2
    (record,) = [r for r in city.store.outgoing(first.unit, now_ms=now(), limit=9) if r.kind == "alert"]
    alert = from_record_body(record.body)
    assert (alert.identifier, alert.infos[0].headline) == (told["alert"], "Storm tonight")
    assert "\x1b" not in alert.infos[0].description
    assert record.priority is Priority.DISTRESS
    city.store.left([record.id], peer=first.unit, link="lora", at_ms=now())
    city.store.accepted([record.id], peer=first.unit, link="lora", at_ms=now())
    assert city.store.outgoing(first.unit, now_ms=now(), limit=9) == []
    assert [each.id for each in city.store.waiting_among([record.id], peer=second.unit)] == [record.id]
    assert [r.id for r in city.store.backlog(second.unit, now_ms=now())] == [record.id]
    seen = receipt_body(Receipt(alert=told["alert"], person="Asha", channel="web", at_ms=now()))
    city.take(first.record("receipt", seen, priority=1))
    rows = {row["addressee"]: row for row in typed(city, capsys, "queue")}
    assert (rows[first.unit]["state"], rows[first.unit]["read_by"]) == ("read", "Asha")
    assert (rows[second.unit]["state"], rows[second.unit]["link"]) == ("written", "")
    assert city.store.early_receipts(first.unit) == 0


def test_only_named_kits_are_warned_and_a_kit_that_joins_later_hears_what_is_for_all(city: Any, capsys: Any) -> None:
    first, second = city.joined("Orchard"), city.joined("Hill")
    typed(city, capsys, "warn", "Only you.", "--headline", "h", "--kits", "orchard")
    typed(city, capsys, "warn", "All of you.", "--headline", "h")
    late = city.joined("Shore")
    counts = [len(city.store.outgoing(kit.unit, now_ms=now(), limit=9)) for kit in (first, second, late)]
    assert counts == [2, 1, 1]
    some, everybody = city.store.broadcasts(now_ms=now())
    assert (len(some.link_ids), some.units) == (1, (first.unit,))
    assert (everybody.link_ids, set(everybody.units)) == ((), {first.unit, second.unit, late.unit})


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--headline", "h", "--kits", "Orchid"], "no kit is called 'Orchid'"),
        (["--headline", "h", "--until", "2011-01-01"], "write a time that is still to come"),
        (["--headline", "h" * 161], "--headline has 161 characters; at most 160"),
        (["--headline", " "], "--headline: it is empty"),
    ],
)
def test_a_warning_that_cannot_be_sent_is_refused_in_words(
    city: Any, capsys: Any, words: list[str], sentence: str
) -> None:
    city.joined("Orchard")
    assert sentence in refused(city, capsys, "warn", "text", *words)


def test_each_kit_is_told_the_key_once_and_a_new_one_again(city: Any) -> None:
    kit = city.joined()
    assert [city.store.give_keys(KEY, now_ms=now()) for _ in range(2)] == [1, 0]
    (record,) = city.store.outgoing(kit.unit, now_ms=now(), limit=9)
    assert not city.store.knows_key(kit.unit, KEY)
    city.store.accepted([record.id], peer=kit.unit, link="lora", at_ms=now())
    assert city.store.knows_key(kit.unit, KEY)
    assert city.store.give_keys(core_key_body(bytes(32)), now_ms=now()) == 1


def test_a_kit_rebuilt_from_its_backup_is_warned_again(city: Any, capsys: Any) -> None:
    kit = city.joined()
    told = typed(city, capsys, "warn", "text", "--headline", "h")
    name = RecordId(told["origin"], told["epoch"], told["seq"])
    city.store.accepted([name], peer=kit.unit, link="lora", at_ms=now())
    assert city.store.refill(kit.unit, (Holding(told["epoch"], told["seq"]),)) == 1
    assert [each.id for each in city.store.outgoing(kit.unit, now_ms=now(), limit=9)] == [name]


def test_the_signing_key_is_made_once_and_is_the_owner_s_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert load_or_create_signing_key(home) == load_or_create_signing_key(home)
    assert (home.keys / "signing.json").stat().st_mode & 0o777 == 0o600


def test_a_kit_believes_the_core_alone(tmp_path: Path, city: Any, capsys: Any) -> None:
    kit = city.joined()
    typed(city, capsys, "warn", "text", "--headline", "h")
    (warning,) = city.store.outgoing(kit.unit, now_ms=now(), limit=9)
    core = warning.id.origin
    key = Record(
        id=RecordId("kit-thief", 1, 1),
        kind="core-key",
        priority=Priority.RECEIPT,
        created_ms=1,
        addressee=kit.unit,
        body=KEY,
    )
    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as database:
        with database.atomic() as connection:
            set_origin(connection, kit.unit)
        store = SqliteRecordStore(database)
        forged = replace(warning, id=RecordId("kit-thief", 1, 2))
        store.take([key, forged], peer=core, link="lora", at_ms=1)
        assert signing_key(database.connection, core) is None
        assert database.connection.execute("SELECT count(*) FROM alerts").fetchone()[0] == 0
        store.take([warning, replace(key, id=RecordId(core, 1, 1))], peer=core, link="lora", at_ms=1)
        store.take([warning], peer=core, link="cellular", at_ms=2)
        assert signing_key(database.connection, core) == bytes(range(32))
        assert database.connection.execute("SELECT count(*) FROM alerts").fetchone()[0] == 1


@pytest.mark.parametrize("body", [b"", b"\xff", b"\x01", core_key_body(b"short"), core_key_body(bytes(33))])
def test_a_key_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(CoreKeyError):
        core_key_from_body(body)
