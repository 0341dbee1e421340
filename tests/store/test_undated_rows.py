"""Packed many to a row, undated readings move, wait and are forgotten exactly as if each were noted by itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.model.readings import Quality
from kit.store.boots import BootRow, boot_number, boots, last_written, note_ends, settle_boot
from kit.store.database import Database
from kit.store.ingest_state import load_token, save_token
from kit.store.packed_value import DECIMAL_BITS, KEYS_AT_ONCE, unpack_keys
from kit.store.pouring import queue_again
from kit.store.salvage import salvage
from kit.store.schema import MIGRATIONS
from kit.store.undated import bound_undated, count_undated, forget_undated, move_readings, release_readings
from kit.store.undated_rows import MANY_ROWS, note_undated, pick

FIRST_GUESS_MS = 1_800_000_000_000
SHIFTED = int(Quality.TIME_SHIFTED)
Key = tuple[int, int]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with Database(tmp_path_factory.mktemp("undated") / "kit.db", migrations=MIGRATIONS) as opened:
        yield opened


def anew(database: Database) -> BootRow:
    """A store without readings, with one boot."""
    connection = database.connection
    for table in ("readings", "unsynced", "undated_readings", "boots", "time_moves"):
        connection.execute(f"DELETE FROM {table}")
    boot_number(connection, "boot", mono_ms=0, offset_ms=FIRST_GUESS_MS)
    return boots(connection)[0]


def store(connection: sqlite3.Connection, row: BootRow, keys: list[Key], *, held: bool, offset_ms: int) -> None:
    """Readings of one transaction."""
    connection.executemany("INSERT INTO readings VALUES (?, ?, 0, 0)", keys)
    flat = [number for key in keys for number in key]
    note_undated(connection, boot=row.number, offset_ms=offset_ms, held=held, keys=flat)


def noted(connection: sqlite3.Connection, boot: int) -> list[tuple[int, int, int, int, int]]:
    return [each[:5] for each in pick(connection, boot, "1", limit=1_000_000).taken]


@dataclass
class OneByOne:
    """What should happen: a note for each reading, and no packing."""

    readings: dict[Key, int] = field(default_factory=dict)
    notes: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    """(ms since boot, series, Unix ms, moved, held)"""
    queue: list[Key] = field(default_factory=list)

    def move(self, offset_ms: int, limit: int) -> int:
        waiting = [note for note in self.notes if not note[3]]
        up = any(note[0] + offset_ms > note[2] for note in waiting)
        waiting = sorted(waiting, reverse=up)[:limit]
        for mono_ms, series, time_ms, _, held in waiting:
            to_ms = mono_ms + offset_ms
            while to_ms != time_ms and (series, to_ms) in self.readings:
                to_ms += 1
            flags = self.readings.pop((series, time_ms))
            self.readings[series, to_ms] = flags | (SHIFTED if to_ms != mono_ms + offset_ms else 0)
            self.queue = [(series, to_ms) if key == (series, time_ms) else key for key in self.queue]
            self.notes.remove((mono_ms, series, time_ms, 0, held))
            self.notes.append((mono_ms, series, to_ms, 1, held))
        return len(waiting)

    def release(self, limit: int, before_ms: int | None) -> int:
        due = [note for note in self.notes if note[4] and (note[3] if before_ms is None else note[0] < before_ms)]
        due = sorted(due)[:limit]
        for note in due:
            self.queue.append(note[1:3])
            self.notes[self.notes.index(note)] = (*note[:4], 0)
        return len(due)


SPANS = st.lists(st.tuples(st.integers(1, 3), st.integers(-60, 0)), min_size=1, max_size=12, unique=True)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("note"), SPANS, st.booleans(), st.integers(-1, 1)),
        st.tuples(st.just("note"), SPANS, st.booleans(), st.integers(-1, 1)),
        st.tuples(st.just("dated"), SPANS),
        st.tuples(st.just("settle"), st.integers(-40, 40)),
        st.tuples(st.just("move"), st.integers(1, 15)),
        st.tuples(st.just("release"), st.integers(1, 15), st.none() | st.integers(-60, 400)),
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_readings_in_rows_go_where_each_by_itself_would_go(database: Database, steps: list[tuple]) -> None:  # type: ignore[type-arg]  # of many kinds
    row, connection, expected = anew(database), database.connection, OneByOne()
    offset_ms, now_ms = FIRST_GUESS_MS, 0
    for what, *told in steps:
        if what == "note":
            now_ms += 20
            by_ms = offset_ms + told[2]  # two clocks that are read one after the other differ by a millisecond
            keys = [(series, now_ms + ago_ms + offset_ms) for series, ago_ms in told[0]]
            keys = [key for key in keys if key not in expected.readings]
            expected.readings |= dict.fromkeys(keys, 0)
            expected.notes += [(time_ms - by_ms, series, time_ms, 0, int(told[1])) for series, time_ms in keys]
            expected.queue += [] if told[1] else keys
            store(connection, row, keys, held=told[1], offset_ms=by_ms)
            if not told[1]:
                queue_again(connection, keys, at_ms=0)
        elif what == "dated":
            keys = [(series, now_ms + ago_ms + offset_ms) for series, ago_ms in told[0]]
            keys = [key for key in keys if key not in expected.readings]
            expected.readings |= dict.fromkeys(keys, 0)
            connection.executemany("INSERT INTO readings VALUES (?, ?, 0, 0)", keys)
        elif what == "settle":
            offset_ms = FIRST_GUESS_MS + told[0]
            marks = last_written(connection)
            if offset_ms != row.offset_ms:
                expected.notes = [(*note[:3], 0, note[4]) for note in expected.notes]
            settle_boot(connection, row, offset_ms=offset_ms, source="core", known=False, firm=False, marks=marks)
            row = boots(connection)[0]
        elif what == "move":
            assert move_readings(connection, row, limit=told[0]) == expected.move(row.offset_ms, told[0])
        else:
            released = release_readings(connection, row, limit=told[0], before_mono_ms=told[1])
            assert released == expected.release(*told)
        found = connection.execute("SELECT series, time_ms, code FROM readings").fetchall()
        assert {(series, time_ms): code >> DECIMAL_BITS for series, time_ms, code in found} == expected.readings
        assert sorted(noted(connection, row.number)) == sorted(expected.notes)
        rows = connection.execute("SELECT keys FROM unsynced ORDER BY id").fetchall()
        assert [key for (keys,) in rows for key in unpack_keys(keys)] == expected.queue


def test_where_each_reading_is_a_transaction_its_rows_are_joined_but_for_what_waits(database: Database) -> None:
    row, connection = anew(database), database.connection
    for number in range(MANY_ROWS):
        store(connection, row, [(1, FIRST_GUESS_MS + number)], held=number % 5 == 0, offset_ms=FIRST_GUESS_MS)
    before = noted(connection, row.number)
    assert bound_undated(connection) == 0
    assert noted(connection, row.number) == before
    assert connection.execute("SELECT count(*) FROM undated_readings").fetchone()[0] == MANY_ROWS // 5 + 1
    assert bound_undated(connection) == 0
    assert move_readings(connection, row, limit=10) == 10
    assert count_undated(connection, row.number, unmoved_only=True) == MANY_ROWS - 10


def test_where_readings_are_in_their_place_already_no_writer_forgets_what_it_remembers(database: Database) -> None:
    row, connection = anew(database)._replace(known=1), database.connection
    save_token(connection, b"a writer")
    keys = [(1, FIRST_GUESS_MS + 10 * number) for number in range(20)]
    store(connection, row, keys, held=False, offset_ms=FIRST_GUESS_MS)
    before = connection.total_changes
    assert move_readings(connection, row, limit=100) == 20
    assert connection.total_changes == before + 1, "that they are in their place"
    assert load_token(connection) == b"a writer"
    connection.execute("UPDATE undated_readings SET moved = 0")
    guessed = int(Quality.TIME_GUESSED) << DECIMAL_BITS
    connection.execute("UPDATE readings SET code = ? WHERE time_ms = ?", (guessed, FIRST_GUESS_MS))
    assert move_readings(connection, row, limit=100) == 20
    assert connection.execute("SELECT max(code) FROM readings").fetchone()[0] == 0
    assert load_token(connection) != b"a writer"


def test_of_too_many_the_oldest_stay_where_they_are_but_none_that_waits(database: Database) -> None:
    row, connection = anew(database), database.connection
    for transaction in range(6):
        keys = [(1, FIRST_GUESS_MS + 100 * transaction + number) for number in range(10)]
        store(connection, row, keys, held=transaction == 1, offset_ms=FIRST_GUESS_MS)
    assert bound_undated(connection, at_most=60) == 0
    assert bound_undated(connection, at_most=35) == 30
    assert {mono_ms // 100 for mono_ms, *_ in noted(connection, row.number)} == {1, 4, 5}
    assert count_undated(connection, row.number) == 30


def test_a_boot_lasted_until_its_last_reading_and_forgets_only_what_is_final(database: Database) -> None:
    row, connection = anew(database), database.connection
    store(connection, row, [(1, FIRST_GUESS_MS + 70), (2, FIRST_GUESS_MS + 90)], held=False, offset_ms=FIRST_GUESS_MS)
    store(connection, row, [(1, FIRST_GUESS_MS + 60)], held=True, offset_ms=FIRST_GUESS_MS)
    note_ends(connection)
    assert boots(connection)[0].last_ms == 90
    assert move_readings(connection, row, limit=2) == 2
    assert forget_undated(connection, row) == 1
    assert [each[:3] for each in noted(connection, row.number)] == [
        (60, 1, FIRST_GUESS_MS + 60),
        (90, 2, FIRST_GUESS_MS + 90),
    ]


def test_a_transaction_of_very_many_readings_takes_several_rows(database: Database) -> None:
    row, connection = anew(database), database.connection
    keys = [(1, FIRST_GUESS_MS + number) for number in range(2 * KEYS_AT_ONCE + 1)]
    store(connection, row, keys, held=True, offset_ms=FIRST_GUESS_MS)
    sizes = [size for (size,) in connection.execute("SELECT length(keys) / 16 FROM undated_readings ORDER BY id")]
    assert sizes == [KEYS_AT_ONCE, KEYS_AT_ONCE, 1]
    assert release_readings(connection, row, limit=5_000, before_mono_ms=1_500) == 1_500
    assert [key for (packed,) in connection.execute("SELECT keys FROM unsynced") for key in unpack_keys(packed)] == (
        keys[:1_500]
    )
    assert move_readings(connection, row, limit=5_000) == 2 * KEYS_AT_ONCE + 1
    assert release_readings(connection, row, limit=5_000) == KEYS_AT_ONCE // 2 + 1


def test_what_is_undated_is_salvaged_from_a_damaged_store(tmp_path: Path) -> None:
    damaged, into = tmp_path / "damaged.db", tmp_path / "new.db"
    with Database(into, migrations=MIGRATIONS):
        pass
    with Database(damaged, migrations=MIGRATIONS) as opened:
        row = anew(opened)
        for number in range(500):
            keys = [(series, FIRST_GUESS_MS + 100 * number) for series in range(20)]
            store(opened.connection, row, keys, held=True, offset_ms=FIRST_GUESS_MS)
        (page_bytes,) = opened.connection.execute("PRAGMA page_size").fetchone()
        (pages,) = opened.connection.execute("PRAGMA page_count").fetchone()
    content = bytearray(damaged.read_bytes())
    spoiled = next(
        number
        for number in range(pages // 2, pages)
        if content[number * page_bytes] == 13
        and FIRST_GUESS_MS.to_bytes(6, "big") in content[number * page_bytes :][:page_bytes]
    )
    content[spoiled * page_bytes : (spoiled + 1) * page_bytes] = bytes(page_bytes)
    damaged.write_bytes(content)
    told = {table.name: table for table in salvage(damaged, into)}["undated_readings"]
    assert not told.whole
    with Database(into, migrations=MIGRATIONS) as opened:
        assert 450 <= told.rows < 500
        assert move_readings(opened.connection, boots(opened.connection)[0], limit=10_000) == 20 * told.rows
