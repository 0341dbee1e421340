"""A large damaged store: the unit serves at once, and the rest comes back while it does; nothing is lost or doubled."""

from __future__ import annotations

import sqlite3
from itertools import islice
from pathlib import Path

import pytest
from bringing_back import FEW, finish, rest_of
from stored import measure

from kit.backup.checking import table_rows
from kit.backup.damage import interrupted, look_over, opens, recover
from kit.backup.making import make_backup
from kit.backup.report import TASK, Report, reports, unfinished
from kit.backup.restoring import set_aside
from kit.backup.small_store import write_small
from kit.health.damage_view import damage_rows, damage_sentences, mending_row
from kit.home import Home
from kit.run.schema import open_unit_store, unit_migrations
from kit.store.packed_value import unpack_keys
from kit.store.pouring import LARGE
from kit.store.table_list import keep_list

NOW_MS = 1_800_000_900_000
BEGIN_MS = 1_800_000_000_000
PAGE = 1024


@pytest.fixture
def large(unit: Home) -> Home:
    for device in range(4):
        measure(unit, f"field-{device}", *(float(number) for number in range(3_000)))
    checkpoint(unit)
    keep_list(unit.database)
    return unit


def checkpoint(home: Home) -> None:
    connection = sqlite3.connect(home.database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def rows(home: Home) -> dict[str, int]:
    connection = sqlite3.connect(home.database)
    try:
        return table_rows(connection)
    finally:
        connection.close()


def all_readings(home: Home) -> list[tuple[int, int, float]]:
    connection = sqlite3.connect(home.database)
    try:
        return list(connection.execute("SELECT series, time_ms, value FROM readings ORDER BY 1, 2"))
    finally:
        connection.close()


def queued(home: Home) -> list[tuple[int, int]]:
    connection = sqlite3.connect(home.database)
    try:
        return sorted(key for (keys,) in connection.execute("SELECT keys FROM unsynced") for key in unpack_keys(keys))
    finally:
        connection.close()


def spoil(home: Home, number: int) -> None:
    with home.database.open("r+b") as stream:
        stream.seek((number - 1) * PAGE)
        stream.write(bytes((each * 37 + 11) % 256 for each in range(PAGE)))


def leaf(home: Home, table: str, place: int) -> int:
    connection = sqlite3.connect(home.database)
    (number,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    connection.close()
    with home.database.open("rb") as stream:
        while True:
            stream.seek((number - 1) * PAGE)
            page = stream.read(PAGE)
            if page[0] not in (0x02, 0x05):
                return int(number)
            at = 12 + 2 * (place % int.from_bytes(page[3:5], "big"))
            cell = int.from_bytes(page[at : at + 2], "big")
            number = int.from_bytes(page[cell : cell + 4], "big")


def begin(home: Home) -> Report:
    """The unit serves."""
    problem = opens(home.database) or look_over(home.database, full=True)
    assert problem
    report = recover(home, problem, migrations=unit_migrations(), now_ms=NOW_MS, at_once_bytes=0, newest=FEW)
    assert report is not None
    assert report.unfinished
    return report


def test_the_unit_serves_with_its_small_tables_and_newest_readings_and_the_rest_follows(large: Home) -> None:
    before, readings, waiting = rows(large), all_readings(large), queued(large)
    spoil(large, 1)
    began = begin(large)
    now = rows(large)
    assert now["series"] == before["series"]
    assert now["records"] == before["records"]
    assert 0 < now["readings"] < 100
    assert "the unit serves, and the older readings are brought back" in began.sentence
    assert finish(large) > 40
    assert all_readings(large) == readings
    assert queued(large) == waiting
    assert look_over(large.database, full=True) is None
    assert unfinished(large) == []
    (report,) = reports(large)
    assert report["incomplete"] == {}
    assert "everything in it was salvaged" in report["sentence"]


def test_it_goes_on_where_it_was_killed_whatever_the_moment(large: Home) -> None:
    readings, waiting = all_readings(large), queued(large)
    spoil(large, leaf(large, "records", 0))
    begin(large)
    for steps in (1, 7, 13, 2):
        with rest_of(large) as rest:
            assert sum(1 for _ in islice(rest.steps(), steps)) == steps
    finish(large)
    assert all_readings(large) == readings
    assert queued(large) == waiting


def test_what_comes_in_meanwhile_is_kept_beside_what_comes_back(large: Home) -> None:
    readings = all_readings(large)
    spoil(large, 1)
    begin(large)
    measure(large, "field-1", 7.5, begin_ms=BEGIN_MS + 10**9)
    measure(large, "a new one", 8.5, begin_ms=BEGIN_MS)
    with rest_of(large) as rest:
        for place, _ in enumerate(rest.steps()):
            if place % 9 == 0:
                measure(large, "field-2", float(place), begin_ms=BEGIN_MS + 2 * 10**9 + place * 1000)
    kept = set(all_readings(large))
    assert set(readings) <= kept
    assert {value for _, _, value in kept - set(readings)} >= {75, 85}
    assert len(queued(large)) == len(set(queued(large))) == len(kept)


def test_a_reading_that_took_the_place_of_one_that_comes_back_moves_on_and_goes_to_the_core_again(large: Home) -> None:
    readings = all_readings(large)
    spoil(large, 1)
    begin(large)
    series, time_ms, value = next(row for row in readings if row[0] == 2)
    with open_unit_store(large) as store, store.atomic() as connection:
        connection.execute("INSERT INTO readings VALUES (?, ?, 77777, 1)", (series, time_ms))
    finish(large)
    kept = all_readings(large)
    assert (series, time_ms, value) in kept
    (moved,) = (row for row in kept if row[2] == 77777)
    assert moved[:2] in queued(large)
    assert set(readings) == set(kept) - {moved}


def test_what_a_spoiled_page_of_readings_held_comes_from_the_backup_while_the_unit_serves(large: Home) -> None:
    readings = all_readings(large)
    make_backup(large, large.backups, name="x", now_ms=NOW_MS - 1)
    checkpoint(large)
    spoil(large, leaf(large, "readings", 20))
    begin(large)
    finish(large)
    assert all_readings(large) == readings
    (report,) = reports(large)
    assert set(report["incomplete"]) == {"readings"}
    assert "filled in" in report["sentence"]


def test_without_a_backup_only_the_rows_of_the_page_are_gone_and_named(large: Home) -> None:
    readings = all_readings(large)
    spoil(large, leaf(large, "readings", 20))
    begin(large)
    finish(large)
    kept = all_readings(large)
    assert set(kept) < set(readings)
    assert len(readings) - len(kept) < 300
    (report,) = reports(large)
    assert report["incomplete"]["readings"]


def test_what_stood_in_a_spoiled_page_of_the_queue_is_queued_again(large: Home) -> None:
    waiting = set(queued(large))
    spoil(large, leaf(large, "unsynced", 0))
    begin(large)
    finish(large)
    assert set(queued(large)) >= waiting


def test_a_small_table_that_is_not_whole_is_filled_from_the_backup_before_the_unit_serves(large: Home) -> None:
    before = rows(large)
    make_backup(large, large.backups, name="x", now_ms=NOW_MS - 1)
    checkpoint(large)
    spoil(large, leaf(large, "series", 0))
    begin(large)
    assert rows(large)["series"] == before["series"]
    finish(large)
    assert rows(large)["readings"] == before["readings"]


def test_it_waits_for_no_backup_however_large_and_takes_the_rest_of_what_was_lost_from_it_later(large: Home) -> None:
    before, readings = rows(large), all_readings(large)
    make_backup(large, large.backups, name="x", now_ms=NOW_MS - 1)
    checkpoint(large)
    spoil(large, leaf(large, "series", 0))
    for place in range(5):
        spoil(large, leaf(large, "readings", place))
    report = begin(large)
    now = rows(large)
    assert now["series"] == before["series"]
    assert now["readings"] < 100  # neither file was read for them
    assert report.backup is not None
    assert rows(large)["records"] == before["records"]
    finish(large)
    assert all_readings(large) == readings
    (told,) = reports(large)
    assert (told["backup"], bool(told["incomplete"]["readings"])) == (report.backup, True)


def test_it_begins_with_a_backup_of_which_only_the_beginning_can_be_read(large: Home) -> None:
    before, readings = rows(large), all_readings(large)
    file = make_backup(large, large.backups, name="x", now_ms=NOW_MS - 1).file
    with file.open("r+b") as stream:
        stream.truncate(file.stat().st_size - 1)
    checkpoint(large)
    spoil(large, leaf(large, "series", 0))
    begin(large)
    assert rows(large)["series"] == before["series"]
    finish(large)
    assert all_readings(large) == readings


def test_where_nothing_can_be_read_the_whole_backup_comes_back_while_the_unit_serves(large: Home) -> None:
    before, readings = rows(large), all_readings(large)
    make_backup(large, large.backups, name="x", now_ms=NOW_MS - 1)
    large.database.write_bytes(b"nothing of a store" * 100_000)
    begin(large)
    now = rows(large)
    assert (now["series"], now["readings"]) == (before["series"], 0)
    with rest_of(large) as rest:
        for _ in islice(rest.steps(), 20):  # killed in the middle
            pass
    assert 0 < rows(large)["readings"] < before["readings"]
    finish(large)
    assert all_readings(large) == readings
    assert set(queued(large)) >= {(series, time_ms) for series, time_ms, _ in readings}


def test_the_small_part_of_a_backup_is_a_store_of_the_same_schema(large: Home, tmp_path: Path) -> None:
    small = tmp_path / "small.db"
    with open_unit_store(large) as store, store.atomic() as connection:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5 (word)")
        connection.execute("INSERT INTO words VALUES ('kilimo')")
        connection.execute("UPDATE sqlite_sequence SET seq = 77 WHERE name = 'records'")
    checkpoint(large)
    write_small(large.database, small)
    told = []
    for file in (large.database, small):
        connection = sqlite3.connect(file)
        told.append(
            (
                connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").fetchall(),
                connection.execute("PRAGMA page_size").fetchall(),
                connection.execute("SELECT * FROM sqlite_sequence ORDER BY name").fetchall(),
                connection.execute("SELECT word FROM words WHERE words MATCH 'kilimo'").fetchall(),
                {table: count for table, count in table_rows(connection).items() if table not in LARGE},
            )
        )
        connection.close()
    assert told[0] == told[1]


def test_a_new_sensor_is_never_given_the_number_of_one_whose_name_is_lost(large: Home) -> None:
    spoil(large, leaf(large, "series", 0))
    begin(large)
    measure(large, "a new one", 8.5, begin_ms=BEGIN_MS)
    finish(large)
    connection = sqlite3.connect(large.database)
    (own,) = connection.execute("SELECT id FROM series WHERE device = 'a new one'").fetchone()
    assert connection.execute("SELECT count(*) FROM readings WHERE series = ?", (own,)).fetchone() == (1,)
    assert connection.execute("SELECT count(*) FROM series WHERE device LIKE 'lost-%'").fetchone()[0] == 5
    connection.close()


def test_hours_that_were_computed_too_early_are_computed_again(large: Home) -> None:
    spoil(large, 1)
    begin(large)
    series, time_ms, _ = next(iter(all_readings(large)))
    hour = time_ms // 3_600_000
    with open_unit_store(large) as store, store.atomic() as connection:
        connection.execute("INSERT INTO hourly VALUES (?, ?, 1, 1, 0, 0, 0, '')", (series, hour))
    finish(large)
    connection = sqlite3.connect(large.database)
    assert (series, hour) in connection.execute("SELECT series, hour FROM rollup_dirty").fetchall()
    connection.close()


def test_the_status_says_how_far_it_has_come_and_not_to_touch_the_file(large: Home) -> None:
    spoil(large, 1)
    report = begin(large)
    with rest_of(large) as rest:
        for _ in islice(rest.steps(), 12):
            pass
        connection = sqlite3.connect(large.database)
        mending = mending_row(connection)
        connection.close()
        assert mending is not None
        assert mending["words"].endswith("now readings, series 2 of 5")
        (sentence,) = damage_sentences(damage_rows(large), mending)
        assert f"leave {report.set_aside} alone until it is over" in sentence
        assert mending["words"] in sentence
    finish(large)
    connection = sqlite3.connect(large.database)
    assert mending_row(connection) is None
    connection.close()
    (sentence,) = damage_sentences(damage_rows(large))
    assert f"delete {report.set_aside}" in sentence


def test_a_recovery_that_is_cut_short_is_begun_anew(large: Home) -> None:
    """The power goes after the damaged file was moved away, before there is another."""
    readings = all_readings(large)
    spoil(large, leaf(large, "records", 0))
    large.database.with_suffix(".recovering").write_text("malformed")
    aside = set_aside(large, now_ms=NOW_MS)
    assert aside is not None
    left = large.spool / "recover-killed" / "legible" / "kit.db"
    left.parent.mkdir(parents=True)
    left.hardlink_to(aside / "kit.db")
    assert not large.database.exists()
    assert interrupted(large) == "malformed"
    assert interrupted(large) is None
    assert list(large.set_aside.iterdir()) == []
    begin(large)
    assert list(large.spool.glob("recover-*")) == []
    finish(large)
    assert all_readings(large) == readings
    assert not Path(str(reports(large)[0]["set_aside"]), TASK).exists()
