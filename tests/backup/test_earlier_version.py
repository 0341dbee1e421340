"""A damaged store where the newest good backup, or the store itself, is by an earlier version: served at once, too."""

from __future__ import annotations

import os
import sqlite3
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from bringing_back import FEW, finish, rest_of
from earlier import earlier_backup, earlier_migrations, earlier_store

from kit.backup.damage import look_over, recover
from kit.backup.making import backup_secret
from kit.backup.newest import emptied
from kit.backup.picking import pick_small
from kit.backup.report import reports
from kit.home import Home
from kit.run.schema import open_unit_store, unit_migrations
from kit.store.packed_value import QUALITY_SQL, VALUE_SQL, unpack_keys

BEGIN_MS, NOW_MS = 1_800_000_000_000, 1_800_000_900_000
SERIES, ROWS = 4, 3_000
PAGE = 1024


@pytest.fixture
def earlier(tmp_path: Path) -> Home:
    """A unit that was updated and has not been started since; with a backup by the earlier version."""
    home = Home(tmp_path / "unit")
    earlier_store(home, series=SERIES, rows=ROWS, begin_ms=BEGIN_MS)
    earlier_backup(home, now_ms=NOW_MS - 1)
    return home


def values(home: Home) -> list[tuple[int, int, float, int]]:
    return asked(home, f"SELECT series, time_ms, {VALUE_SQL}, {QUALITY_SQL} FROM readings ORDER BY 1, 2")


def as_measured() -> list[tuple[int, int, float, int]]:
    return [(n, BEGIN_MS + place * 1000, place / 10, 1) for n in range(1, SERIES + 1) for place in range(ROWS)]


def waiting(home: Home) -> list[tuple[int, int]]:
    return sorted(key for (keys,) in asked(home, "SELECT keys FROM unsynced") for key in unpack_keys(keys))


def asked(home: Home, question: str) -> list[Any]:
    connection = sqlite3.connect(home.database)
    try:
        return connection.execute(question).fetchall()
    finally:
        connection.close()


def destroy(home: Home) -> None:
    home.database.write_bytes(b"nothing of a store" * 1_000)


def spoil_root(home: Home, table: str) -> None:
    ((number,),) = asked(home, f"SELECT rootpage FROM sqlite_schema WHERE name = '{table}'")
    with home.database.open("r+b") as stream:
        stream.seek((number - 1) * PAGE)
        stream.write(os.urandom(PAGE))


def spoil_leaf(home: Home, table: str) -> None:
    """A page in the middle of the table."""
    ((number,),) = asked(home, f"SELECT rootpage FROM sqlite_schema WHERE name = '{table}'")
    with home.database.open("r+b") as stream:
        while True:
            stream.seek((number - 1) * PAGE)
            page = stream.read(PAGE)
            if page[0] != 0x02:
                break
            cell = int.from_bytes(page[14:16], "big")
            number = int.from_bytes(page[cell : cell + 4], "big")
        stream.seek((number - 1) * PAGE)
        stream.write(os.urandom(PAGE))


def begin(home: Home, *, at_once_bytes: int = 0) -> None:
    report = recover(
        home, "malformed", migrations=unit_migrations(), now_ms=NOW_MS, at_once_bytes=at_once_bytes, newest=FEW
    )
    assert report is not None


def test_its_small_tables_are_there_before_the_unit_serves_and_its_readings_follow(earlier: Home) -> None:
    destroy(earlier)
    begin(earlier)
    with open_unit_store(earlier) as store:  # of today's schema
        assert len(store.connection.execute("SELECT * FROM series").fetchall()) == SERIES
        assert tuple(store.connection.execute("SELECT count(*) FROM readings").fetchone()) == (0,)
    for steps in (5, 9):  # killed twice
        with rest_of(earlier) as rest:
            assert sum(1 for _ in islice(rest.steps(), steps)) == steps
    assert 0 < len(values(earlier)) < SERIES * ROWS
    finish(earlier)
    assert values(earlier) == as_measured()
    assert set(waiting(earlier)) == {(series, time_ms) for series, time_ms, _, _ in as_measured()}
    assert look_over(earlier.database, full=True) is None
    (report,) = reports(earlier)
    assert "filled in" in report["sentence"]


def test_hours_that_it_did_not_keep_are_computed(earlier: Home) -> None:
    destroy(earlier)
    begin(earlier)
    finish(earlier)
    hours = {(series, time_ms // 3_600_000) for series, time_ms, _, _ in as_measured()}
    assert set(asked(earlier, "SELECT series, hour FROM rollup_dirty")) == hours


def test_only_what_cannot_be_read_is_taken_from_it(earlier: Home) -> None:
    """The unit has been updated and has gone on measuring; then a page of readings goes."""
    with open_unit_store(earlier) as store, store.atomic() as connection:
        connection.execute("INSERT INTO readings VALUES (1, ?, 77, 8)", (BEGIN_MS - 1000,))
    connection = sqlite3.connect(earlier.database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    spoil_root(earlier, "readings")
    begin(earlier)
    finish(earlier)
    kept = values(earlier)
    assert set(as_measured()) <= set(kept)
    assert len(kept) == len({row[:2] for row in kept})


@pytest.mark.parametrize("at_once_bytes", [0, 10**9])
def test_a_damaged_file_by_an_earlier_version_loses_nothing_that_can_be_read(earlier: Home, at_once_bytes: int) -> None:
    """The card is spoiled while the unit is updated: what first meets the damage is the new version."""
    spoil_root(earlier, "heard_devices")
    begin(earlier, at_once_bytes=at_once_bytes)
    if not at_once_bytes:
        assert len(values(earlier)) == SERIES * 10
        finish(earlier)
    assert values(earlier) == as_measured()
    assert waiting(earlier) == [(series, time_ms) for series, time_ms, _, _ in as_measured()]
    (report,) = reports(earlier)
    assert set(report["incomplete"]) == {"heard_devices"}


def test_a_damaged_page_of_readings_in_such_a_file_costs_the_rows_on_it(earlier: Home) -> None:
    (backup,) = earlier.backups.iterdir()
    backup.unlink()
    spoil_leaf(earlier, "readings")
    begin(earlier)
    finish(earlier)
    kept = values(earlier)
    assert set(kept) < set(as_measured())
    assert len(kept) > SERIES * ROWS - 150
    (report,) = reports(earlier)
    assert report["incomplete"]["readings"]


def test_the_small_tables_of_an_earlier_backup_are_picked_out_of_it_whole(earlier: Home, tmp_path: Path) -> None:
    (file,) = earlier.backups.iterdir()
    folder = emptied(tmp_path / "picked")
    small = pick_small(file, backup_secret(earlier), folder)
    assert small is not None
    connection = sqlite3.connect(small)
    applied = set(connection.execute("SELECT migration_set, name FROM _sqlite_migrations"))
    undated = connection.execute("SELECT count(*) FROM ingest_undated").fetchone()
    connection.close()
    assert applied == {(each.part, each.name) for each in earlier_migrations()}
    assert undated == (SERIES,)
    assert sorted(each.name for each in folder.iterdir()) == ["kit.tables", "small.db"]


def test_a_backup_whose_small_tables_cannot_be_told_apart_is_unpacked_whole(earlier: Home, tmp_path: Path) -> None:
    """A table with rows like a reading's."""
    connection = sqlite3.connect(earlier.database)
    with connection:
        connection.execute(
            "CREATE TABLE alike (a INTEGER, b INTEGER, c REAL, d INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID"
        )
        connection.executemany("INSERT INTO alike VALUES (1, ?, 0.5, 1)", [(number,) for number in range(500)])
    connection.close()
    file = earlier_backup(earlier, now_ms=NOW_MS)
    assert pick_small(file, backup_secret(earlier), emptied(tmp_path / "picked")) is None
    destroy(earlier)
    begin(earlier)
    assert values(earlier) == as_measured()
    assert asked(earlier, "SELECT count(*) FROM alike") == [(500,)]
    finish(earlier)
    assert values(earlier) == as_measured()
