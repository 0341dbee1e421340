"""Warnings of the core's that are corrected or ended before their time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kit.cli.__main__ import main
from kit.clock import SystemClock
from kit.model.alert import MsgType, Receipt, Severity, from_record_body, receipt_body
from kit.store.alerts import active_alerts, list_alerts, standing_all_clears
from kit.store.database import Database
from kit.store.records import SqliteRecordStore, set_origin
from kit.store.schema import MIGRATIONS
from sync.protocol.records import Priority, Record


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


def waiting(city: Any, kit: Any) -> list[Record]:
    return [each for each in city.store.outgoing(kit.unit, now_ms=now(), limit=9) if each.kind == "alert"]


def heard(home: Path, core: str, records: list[Record]) -> tuple[list[str], list[str], int]:
    """At a kit that gets these records: what holds, what has ended, and how many messages it shows."""
    with Database(home / "kit.db", migrations=MIGRATIONS) as database:
        with database.atomic() as connection:
            set_origin(connection, "kit-a")
        SqliteRecordStore(database).take(records, peer=core, link="lora", at_ms=1)
        connection = database.connection
        return (
            [state.alert.identifier for state in active_alerts(connection, now())],
            [state.alert.infos[0].description for state in standing_all_clears(connection, now())],
            len(list_alerts(connection)),
        )


def test_an_ended_warning_is_told_to_all_that_it_was_for_and_goes_no_further_itself(
    city: Any, capsys: Any, tmp_path: Path
) -> None:
    first, second = city.joined("Orchard"), city.joined("Hill")
    told = typed(city, capsys, "warn", "Gusts.", "--headline", "Storm tonight")
    (warning,) = waiting(city, first)
    city.store.accepted([warning.id], peer=first.unit, link="lora", at_ms=now())
    ended = typed(city, capsys, "warn", "--end", str(told["number"]), "--reason", "The storm has turned north.")
    assert (ended["type"], ended["number"], ended["kits"]) == ("cancel", told["number"], 2)
    (end,) = waiting(city, first)
    assert waiting(city, second) == [end], "a kit that never got the warning does not get it now"
    assert end.priority is Priority.DISTRESS
    alert = from_record_body(end.body)
    assert (alert.msg_type, alert.incident) == (MsgType.CANCEL, told["alert"])
    assert alert.infos[0].headline == "Ended: Storm tonight"
    core = city.core.identity.unit
    assert heard(_made(tmp_path / "in-order"), core, [warning, end]) == ([], ["The storm has turned north."], 2)
    assert heard(_made(tmp_path / "reversed"), core, [end, warning]) == ([], [], 2)
    assert heard(_made(tmp_path / "never"), core, [end]) == ([], [], 0)
    (row,) = typed(city, capsys, "warnings")
    assert (row["state"], row["reason"], row["kits"]) == ("ended", "The storm has turned north.", 2)
    city.store.accepted([end.id], peer=first.unit, link="lora", at_ms=now())
    assert main(["core", "queue", "--home", str(city.core.home.path)]) == 0
    assert "at the kit" in capsys.readouterr().out
    assert typed(city, capsys, "warnings")[0]["accepted"] == 1


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_corrected_warning_says_what_is_new_and_keeps_the_rest(city: Any, capsys: Any, tmp_path: Path) -> None:
    kit = city.joined("Orchard")
    told = typed(
        city, capsys, "warn", "Gusts.", "--headline", "Storm", "--instruction", "Stay in.", "--severity", "moderate"
    )
    (warning,) = waiting(city, kit)
    fixed = typed(city, capsys, "warn", "Worse.", "--update", str(told["number"]), "--severity", "extreme")
    assert fixed["type"] == "update"
    (update,) = waiting(city, kit)
    alert = from_record_body(update.body)
    assert (alert.severity, alert.expires_ms) == (Severity.EXTREME, from_record_body(warning.body).expires_ms)
    assert (alert.infos[0].headline, alert.infos[0].instruction) == ("Storm", "Stay in.")
    core = city.core.identity.unit
    for name, records in (("in-order", [warning, update]), ("reversed", [update, warning]), ("alone", [update])):
        assert heard(_made(tmp_path / name), core, records)[0] == [fixed["alert"]]
    city.store.accepted([update.id], peer=kit.unit, link="lora", at_ms=now())
    seen = receipt_body(Receipt(alert=fixed["alert"], person="Asha", channel="web", at_ms=now()))
    city.take(kit.record("receipt", seen, priority=1))
    (row,) = typed(city, capsys, "warnings")
    assert (row["corrected"], row["read"], row["state"], row["headline"]) == (1, 1, "holds", "Storm")
    typed(city, capsys, "warn", "--end", fixed["alert"])
    (end,) = waiting(city, kit)
    assert heard(_made(tmp_path / "missed-one"), core, [warning, end])[:2] == ([], [""])


def test_the_end_goes_only_to_the_kits_that_were_warned(city: Any, capsys: Any) -> None:
    first, second = city.joined("Orchard"), city.joined("Hill")
    told = typed(city, capsys, "warn", "Only you.", "--headline", "h", "--kits", "Hill")
    ended = typed(city, capsys, "warn", "--end", str(told["number"]))
    assert ended["kits"] == 1
    assert (len(waiting(city, first)), len(waiting(city, second))) == (0, 1)
    late = city.joined("Shore")
    assert waiting(city, late) == []


def test_a_kit_that_joins_after_the_end_hears_nothing_of_the_warning_itself(city: Any, capsys: Any) -> None:
    city.joined("Orchard")
    told = typed(city, capsys, "warn", "Gusts.", "--headline", "h")
    typed(city, capsys, "warn", "--end", str(told["number"]))
    late = city.joined("Shore")
    assert [from_record_body(each.body).msg_type for each in waiting(city, late)] == [MsgType.CANCEL]


def test_what_cannot_be_ended_or_corrected_is_refused_in_words(city: Any, capsys: Any) -> None:
    assert "this core has given none yet" in refused(city, capsys, "warn", "--end", "1")
    city.joined("Orchard")
    number = str(typed(city, capsys, "warn", "Gusts.", "--headline", "h")["number"])
    for words, sentence in (
        (["--end", "999"], "no warning 999; kit core warnings lists them"),
        (["--end", number, "--update", number], "either ended or corrected"),
        (["--end", number, "some text"], "--end takes nothing but --reason; leave out TEXT"),
        (["--end", number, "--severity", "minor"], "leave out --severity"),
        (["--end", number, "--kits", "Orchard"], "goes to the kits that the warning went to"),
        (["--end", number, "--reason", " "], "--reason: it is empty"),
        (["--reason", "x", "text", "--headline", "h"], "it goes with --end NUMBER"),
        (["--headline", "h"], "TEXT is missing"),
        (["text"], "--headline is missing"),
        (["text", "--headline", "h", "--severity", "sever"], "severe"),
    ):
        assert sentence in refused(city, capsys, "warn", *words)
    typed(city, capsys, "warn", "--end", number)
    assert "was ended already" in refused(city, capsys, "warn", "--end", number)
    assert "warn anew" in refused(city, capsys, "warn", "x", "--update", number)


def test_a_warning_without_any_kit_says_that_it_is_kept_for_those_that_join(city: Any, capsys: Any) -> None:
    assert main(["core", "warn", "Gusts.", "--headline", "h", "--home", str(city.core.home.path)]) == 0
    assert "No kit has joined this core yet" in capsys.readouterr().out
    late = city.joined("Shore")
    assert len(waiting(city, late)) == 1
