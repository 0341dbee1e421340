"""Real files are damaged at several places; the unit comes up with all that can be had, and says what it lost."""

from __future__ import annotations

import errno
import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stored import measure, write

from kit.backup import damage
from kit.backup.checking import table_rows
from kit.backup.damage import look_over, opens, recover
from kit.backup.making import make_backup
from kit.health.damage_view import damage_rows, damage_sentences
from kit.home import Home
from kit.run.mending import mend_unopenable
from kit.run.schema import open_unit_store, unit_migrations
from kit.store.database import suspect_file
from kit.store.migrations import FLASH_PAGE_BYTES
from kit.store.records import write_record
from kit.store.table_list import keep_list, list_file, load_list

NOW_MS = 1_800_000_900_000
PAGE = FLASH_PAGE_BYTES
BEGIN_MS = 1_800_000_000_000


@pytest.fixture
def large(unit: Home) -> Home:
    for device in range(5):
        measure(unit, f"field-{device}", *(float(number) for number in range(3_000)))
    with open_unit_store(unit) as store, store.atomic() as connection:
        for number in range(300):
            write_record(connection, kind="receipt", priority=1, body=b"%d" % number * 20, created_ms=0)
    checkpoint(unit)
    return unit


def checkpoint(home: Home) -> None:
    connection = sqlite3.connect(home.database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def root_of(home: Home, table: str) -> int:
    connection = sqlite3.connect(home.database)
    try:
        return int(connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0])
    finally:
        connection.close()


def leaf_of(home: Home, table: str, *, place: int) -> int:
    """A leaf page of the table, below the `place`-th cell of each page above it."""
    number = root_of(home, table)
    while (content := page(home, number))[0] in (0x02, 0x05):
        cells = int.from_bytes(content[3:5], "big")
        at = int.from_bytes(content[12 + 2 * (place % cells) : 14 + 2 * (place % cells)], "big")
        number = int.from_bytes(content[at : at + 4], "big")
    return number


def inner_of(home: Home, table: str) -> int:
    """A page between the root and the leaves."""
    content = page(home, root_of(home, table))
    at = int.from_bytes(content[12:14], "big")
    return int.from_bytes(content[at : at + 4], "big")


def page(home: Home, number: int) -> bytes:
    with home.database.open("rb") as stream:
        stream.seek((number - 1) * PAGE)
        return stream.read(PAGE)


def spoil(home: Home, number: int, *, offset: int = 0, count: int = PAGE) -> None:
    with home.database.open("r+b") as stream:
        stream.seek((number - 1) * PAGE + offset)
        stream.write(bytes((each * 37 + 11) % 256 for each in range(count)))


def count(home: Home, table: str) -> int:
    connection = sqlite3.connect(home.database)
    try:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    finally:
        connection.close()


def mend(home: Home) -> Any:
    problem = opens(home.database) or look_over(home.database, full=True)
    assert problem
    told = fingerprint(home.path)
    report = recover(home, problem, migrations=unit_migrations(), now_ms=NOW_MS)
    assert report is not None
    aside = fingerprint(Path(report.set_aside))
    assert {name: aside[name] for name in told} == told, "the damaged file was touched"
    assert look_over(home.database, full=True) is None
    return report


def fingerprint(folder: Path) -> dict[str, str]:
    files = [folder / name for name in ("kit.db", "kit.db-wal") if (folder / name).exists()]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_spoiled_page_of_readings_costs_the_readings_on_it_and_no_others(large: Home) -> None:
    before, records = count(large, "readings"), count(large, "records")
    spoil(large, leaf_of(large, "readings", place=20))
    report = mend(large)
    assert before - 300 < count(large, "readings") < before
    assert count(large, "records") == records
    assert set(report.incomplete) == {"readings"}
    assert report.incomplete["readings"]
    assert "readings" in report.sentence


def test_a_backup_fills_in_what_the_spoiled_page_held(large: Home) -> None:
    before = count(large, "readings")
    make_backup(large, large.backups, name="x", now_ms=NOW_MS - 1)
    measure(large, "after the backup", 1.0, 2.0)
    checkpoint(large)
    spoil(large, leaf_of(large, "readings", place=20))
    report = mend(large)
    assert count(large, "readings") == before + 2
    assert "filled in" in report.sentence


def test_a_spoiled_page_above_the_leaves_costs_what_is_below_it_unless_there_is_a_backup(large: Home) -> None:
    before = count(large, "readings")
    assert page(large, inner_of(large, "readings"))[0] == 0x02
    make_backup(large, large.backups, name="x", now_ms=NOW_MS - 1)
    measure(large, "field-4", 1.0, 2.0, begin_ms=BEGIN_MS + 10**9)
    checkpoint(large)
    spoil(large, inner_of(large, "readings"))
    mend(large)
    assert count(large, "readings") == before + 2


def test_several_spoiled_pages_cost_only_themselves(large: Home) -> None:
    before = count(large, "readings")
    for place in (5, 20, 40):
        spoil(large, leaf_of(large, "readings", place=place))
    mend(large)
    assert before - 3 * 300 < count(large, "readings") < before


def test_a_spoiled_page_of_records_leaves_the_readings_whole(large: Home) -> None:
    readings, records = count(large, "readings"), count(large, "records")
    spoil(large, leaf_of(large, "records", place=2))
    report = mend(large)
    assert count(large, "readings") == readings
    assert records - 60 < count(large, "records") < records
    assert set(report.incomplete) == {"records"}


@pytest.mark.parametrize("with_backup", [True, False])
def test_a_spoiled_header_costs_nothing(large: Home, *, with_backup: bool) -> None:
    before = count(large, "readings"), count(large, "records")
    if with_backup:
        make_backup(large, large.backups, name="x", now_ms=NOW_MS - 1)
        measure(large, "roof", 9.0, begin_ms=BEGIN_MS + 10**9)
        checkpoint(large)
        before = before[0] + 1, before[1]
    spoil(large, 1, count=100)
    assert "not a database" in str(opens(large.database))
    report = mend(large)
    assert (count(large, "readings"), count(large, "records")) == before
    assert report.incomplete == {}
    assert "everything in it was salvaged" in report.sentence


def test_a_spoiled_first_page_is_taken_from_the_backup(large: Home) -> None:
    make_backup(large, large.backups, name="x", now_ms=NOW_MS - 1)
    measure(large, "roof", 9.0, begin_ms=BEGIN_MS + 10**9)  # stays in the log
    before = count(large, "readings")
    checkpoint(large)
    spoil(large, 1)
    mend(large)
    assert count(large, "readings") == before


def test_a_spoiled_page_of_the_list_of_tables_is_taken_from_the_backup(large: Home) -> None:
    make_backup(large, large.backups, name="x", now_ms=NOW_MS - 1)
    measure(large, "roof", 9.0, begin_ms=BEGIN_MS + 10**9)
    before = count(large, "readings"), count(large, "records")
    checkpoint(large)
    first = page(large, 1)
    assert first[100] == 5, "the list is longer than its first page"
    spoil(large, int.from_bytes(first[108:112], "big"))
    report = mend(large)
    assert (count(large, "readings"), count(large, "records")) == (before[0], before[1])
    assert report.incomplete == {}


def first_leaf_of_the_list(home: Home) -> int:
    first = page(home, 1)
    assert first[100] == 5, "the list is longer than its first page"
    at = int.from_bytes(first[112:114], "big")
    return int.from_bytes(first[at : at + 4], "big")


def zeroed(home: Home) -> None:
    with home.database.open("r+b") as stream:
        stream.write(bytes(PAGE))


def counts(home: Home) -> dict[str, int]:
    connection = sqlite3.connect(home.database)
    try:
        return table_rows(connection)
    finally:
        connection.close()


SPOILED: dict[str, Callable[[Home], None]] = {
    "page 1 holds zeros": zeroed,
    "page 1 holds anything": lambda home: spoil(home, 1),
    "a page below it": lambda home: spoil(home, first_leaf_of_the_list(home)),
}


@pytest.mark.parametrize("place", SPOILED)
def test_without_a_backup_the_copy_of_the_list_of_tables_saves_everything(large: Home, place: str) -> None:
    keep_list(large.database)
    before = counts(large)
    SPOILED[place](large)
    report = mend(large)
    assert counts(large) | SETTLED == before | SETTLED
    assert report.incomplete == {}
    assert "taken from the copy beside it" in report.sentence
    assert "everything in it was salvaged" in report.sentence


SETTLED = {"mqtt_received": 0, "ingest_undated": 0, "ingest_taken": 0, "changes": 0}
"""Emptied whenever a store is used again; and what counts changes."""


@pytest.mark.parametrize("place", SPOILED)
def test_without_any_copy_the_tables_of_a_unit_that_was_never_updated_are_recognised(large: Home, place: str) -> None:
    before = counts(large)
    SPOILED[place](large)
    report = mend(large)
    assert counts(large) | SETTLED == before | SETTLED
    assert "recognised by the look of their rows" in report.sentence


def test_tables_that_moved_since_the_copy_was_made_are_found_by_their_rows_or_named_as_lost(large: Home) -> None:
    keep_list(large.database)
    before = counts(large)
    connection = sqlite3.connect(large.database)
    connection.execute("DROP TABLE record_retries")
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.execute("VACUUM")
    connection.close()
    zeroed(large)
    report = mend(large)
    after = counts(large)
    assert after["readings"] == before["readings"]
    assert after["records"] == before["records"]
    for name, rows in after.items():
        assert name in SETTLED or rows == before[name] or name in report.incomplete, name


def test_tables_that_moved_since_the_copy_was_made_are_found_where_the_store_was_only_compacted(large: Home) -> None:
    keep_list(large.database)
    before = counts(large)
    connection = sqlite3.connect(large.database)
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.execute("VACUUM")
    connection.close()
    zeroed(large)
    report = mend(large)
    assert counts(large) | SETTLED == before | SETTLED
    assert "recognised by the look of their rows" in report.sentence


def test_the_copy_of_the_list_is_made_anew_when_the_tables_move(large: Home) -> None:
    keep_list(large.database)
    before = counts(large)
    connection = sqlite3.connect(large.database)
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.execute("VACUUM")
    connection.close()
    assert keep_list(large.database), "VACUUM moves tables, and the copy notices"
    assert not keep_list(large.database)
    zeroed(large)
    assert mend(large).incomplete == {}
    assert counts(large) | SETTLED == before | SETTLED


def test_a_damaged_copy_of_the_list_is_not_used(large: Home) -> None:
    keep_list(large.database)
    file = list_file(large.database)
    file.write_text(file.read_text().replace('"readings"', '"readinks"', 1))
    assert load_list(file) is None
    before = counts(large)
    zeroed(large)
    report = mend(large)
    assert "recognised by the look of their rows" in report.sentence
    assert counts(large)["readings"] == before["readings"]


def test_a_copy_of_the_list_is_never_made_from_a_damaged_one(large: Home) -> None:
    keep_list(large.database)
    kept = list_file(large.database).read_text()
    zeroed(large)
    with pytest.raises(sqlite3.DatabaseError):
        keep_list(large.database)
    assert list_file(large.database).read_text() == kept


def test_what_stands_in_the_log_is_read_with_the_copy_of_the_list_too(large: Home) -> None:
    keep_list(large.database)
    keep_open_log(large, lambda: measure(large, "roof", 9.0, begin_ms=BEGIN_MS + 10**9))
    zeroed(large)
    mend(large)
    connection = sqlite3.connect(large.database)
    assert connection.execute("SELECT count(*) FROM readings WHERE time_ms = ?", (BEGIN_MS + 10**9,)).fetchone() == (1,)
    connection.close()


def test_a_file_of_which_nothing_can_be_recognised_gives_an_empty_unit_that_says_so(large: Home) -> None:
    with large.database.open("r+b") as stream:
        for _ in range(large.database.stat().st_size // PAGE):
            stream.write(bytes(PAGE))
    report = mend(large)
    assert count(large, "readings") == 0
    assert "every table" in report.incomplete or "readings" in report.incomplete
    assert "there was no backup" in report.sentence


def test_a_file_that_was_cut_off_gives_what_is_left(large: Home) -> None:
    before = count(large, "readings")
    with large.database.open("r+b") as stream:
        stream.truncate(large.database.stat().st_size // 2)
    mend(large)
    assert 0 < count(large, "readings") < before


def keep_open_log(home: Home, writes: Callable[[], None]) -> None:
    """Leave what `writes` wrote in the log, as a power cut does."""
    holder = sqlite3.connect(home.database)
    holder.execute("BEGIN")
    holder.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    writes()
    log = home.path / "kit.db-wal"
    kept, store = log.read_bytes(), home.database.read_bytes()
    holder.close()
    log.write_bytes(kept)
    home.database.write_bytes(store)


def test_what_stands_in_the_log_is_salvaged_with_a_damaged_file(large: Home) -> None:
    keep_open_log(large, lambda: measure(large, "roof", 9.0, begin_ms=BEGIN_MS + 10**9))
    spoil(large, leaf_of(large, "records", place=2))
    mend(large)
    connection = sqlite3.connect(large.database)
    assert connection.execute("SELECT count(*) FROM readings WHERE time_ms = ?", (BEGIN_MS + 10**9,)).fetchone() == (1,)
    connection.close()


def test_what_stands_in_the_log_is_salvaged_with_a_spoiled_header_too(large: Home) -> None:
    make_backup(large, large.backups, name="x", now_ms=NOW_MS - 1)
    keep_open_log(large, lambda: measure(large, "roof", 9.0, begin_ms=BEGIN_MS + 10**9))
    spoil(large, 1)
    mend(large)
    connection = sqlite3.connect(large.database)
    assert connection.execute("SELECT count(*) FROM readings WHERE time_ms = ?", (BEGIN_MS + 10**9,)).fetchone() == (1,)
    connection.close()


def test_a_spoiled_log_costs_its_commits_and_leaves_a_sound_store(large: Home) -> None:
    before = count(large, "readings")
    keep_open_log(large, lambda: measure(large, "roof", 9.0, begin_ms=BEGIN_MS + 10**9))
    log = large.path / "kit.db-wal"
    content = bytearray(log.read_bytes())
    content[200] ^= 0xFF
    log.write_bytes(content)
    assert opens(large.database) is None
    assert look_over(large.database, full=True) is None  # SQLite stops at the frame: the ledger is what finds the loss
    assert count(large, "readings") == before


def test_recovering_begins_a_new_epoch_and_is_told_until_the_folder_is_cleared_away(large: Home) -> None:
    connection = sqlite3.connect(large.database)
    (epoch,) = connection.execute("SELECT epoch FROM unit_epoch").fetchone()
    connection.close()
    spoil(large, leaf_of(large, "readings", place=20))
    report = mend(large)
    assert report.epoch > epoch
    (row,) = damage_rows(large)
    (sentence,) = damage_sentences([row])
    assert f"delete {report.set_aside}" in sentence
    assert json.loads((Path(report.set_aside) / "report.json").read_text())["salvaged"] == report.salvaged
    for file in Path(report.set_aside).iterdir():
        file.unlink()
    assert damage_rows(large) == []


def test_a_store_that_cannot_be_opened_is_mended_before_anything_starts(large: Home) -> None:
    spoil(large, 1, count=100)
    assert mend_unopenable(large, now_ms=NOW_MS) is not None
    assert mend_unopenable(large, now_ms=NOW_MS) is None
    with open_unit_store(large) as store:
        assert store.connection.execute("SELECT count(*) FROM readings").fetchone()[0] == 17_000


def test_a_writer_who_meets_damage_has_it_looked_into(large: Home) -> None:
    spoil(large, root_of(large, "records"))
    with pytest.raises(sqlite3.DatabaseError):
        write(large, "receipt", b"x")
    assert suspect_file(large.database).exists()


def test_a_disk_that_runs_full_while_a_store_is_mended_leaves_the_damaged_one_in_its_place(
    large: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = count(large, "readings")
    large.database.write_bytes(b"x" * 100 + large.database.read_bytes()[100:])
    spoiled = large.database.read_bytes()

    def without_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(damage, "_newest", without_room)
        with pytest.raises(OSError, match="No space left"):
            mend_unopenable(large, now_ms=NOW_MS)
    assert large.database.read_bytes() == spoiled
    assert list(large.set_aside.glob("*/*.json")) == []
    report = mend_unopenable(large, now_ms=NOW_MS)
    assert report is not None
    assert count(large, "readings") == readings


def test_a_full_disk_is_no_damage(large: Home) -> None:
    with open_unit_store(large) as store:
        store.connection.execute("PRAGMA max_page_count=1")
    assert opens(large.database) is None
    assert not suspect_file(large.database).exists()
