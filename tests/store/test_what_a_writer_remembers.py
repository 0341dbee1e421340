"""What a writer of readings keeps in memory is what the store holds, however a transaction ends and whoever writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kit.store import boots, facts, ingest_state, readings
from kit.store.database import Database
from kit.store.ingest_state import load_token
from kit.store.reading_writer import HEARD_EVERY_MS, Outcome, ReadingWriter
from kit.store.readings import find_readings, sensors
from kit.store.transactions import Lifetime
from kit.store.undated import count_undated
from kit.store.undated_rows import pick

NOON = 1_460_462_400_000
MINUTE, HOUR = 60_000, 3_600_000
MIGRATIONS = (*readings.MIGRATIONS, *ingest_state.MIGRATIONS)


class PowerCutError(Exception):
    """Whatever ends a transaction early."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as opened:
        yield opened


@pytest.fixture
def writer() -> ReadingWriter:
    return ReadingWriter()


def write(connection: sqlite3.Connection, writer: ReadingWriter, *rows: tuple[str, int, float]) -> list[Outcome]:
    """(device, Unix ms, value) each, in the caller's transaction."""
    writer.begin(connection)
    outcomes = []
    for device, time_ms, value in rows:
        series = writer.series(connection, device, "temperature", "Cel")
        assert series is not None
        outcomes.append(
            writer.add(
                connection,
                series,
                time_ms=time_ms,
                value=value,
                quality=0,
                raw=None,
                arrived_ms=time_ms,
                own_time=True,
            )
        )
        writer.saw(device, time_ms)
    writer.flush(connection)
    return outcomes


def commit(database: Database, writer: ReadingWriter, *rows: tuple[str, int, float]) -> list[Outcome]:
    with database.atomic() as connection:
        return write(connection, writer, *rows)


def cut_short(database: Database, act: Callable[[sqlite3.Connection], object]) -> None:
    """Do it in a transaction, or a savepoint of one, that is rolled back then."""

    def act_and_fail() -> None:
        with database.atomic() as connection:
            act(connection)
            raise PowerCutError

    with pytest.raises(PowerCutError):
        act_and_fail()


def stored(database: Database) -> list[tuple[str, float]]:
    return [(row.device, row.value) for row in find_readings(database.connection)]


def by_an_exception(database: Database, writer: ReadingWriter) -> None:
    cut_short(database, lambda inside: write(inside, writer, ("new", NOON, 1), ("old", NOON + MINUTE, 2)))


def by_a_savepoint(database: Database, writer: ReadingWriter) -> None:
    with database.atomic():
        cut_short(database, lambda inside: write(inside, writer, ("new", NOON, 1), ("old", NOON + MINUTE, 2)))
        database.connection.execute("REPLACE INTO rollup_dirty VALUES (1, 1)")  # the rest of it is committed


def by_hand(database: Database, writer: ReadingWriter) -> None:
    database.connection.execute("BEGIN IMMEDIATE")
    write(database.connection, writer, ("new", NOON, 1), ("old", NOON + MINUTE, 2))
    database.connection.execute("ROLLBACK")
    with database.atomic() as connection:  # a commit that has nothing to do with it
        connection.execute("REPLACE INTO rollup_dirty VALUES (1, 1)")


def by_a_commit_that_fails(database: Database, writer: ReadingWriter) -> None:
    (pages,) = database.connection.execute("PRAGMA page_count").fetchone()
    database.connection.execute(f"PRAGMA max_page_count={pages}")
    many = [("new", NOON + n, 1.0) for n in range(900)]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        commit(database, writer, ("old", NOON + MINUTE, 2), *many)
    database.connection.execute("PRAGMA max_page_count=1000000")


@pytest.mark.parametrize("undone", [by_an_exception, by_a_savepoint, by_hand, by_a_commit_that_fails])
def test_what_was_rolled_back_is_taken_when_it_comes_again(
    database: Database, writer: ReadingWriter, undone: Callable[[Database, ReadingWriter], None]
) -> None:
    commit(database, writer, ("old", NOON, 1))
    undone(database, writer)
    assert stored(database) == [("old", 1)]
    assert [age.device for age in sensors(database.connection, NOON)] == ["old"], "nor was the new one heard"
    assert commit(database, writer, ("new", NOON, 1), ("old", NOON + MINUTE, 2)) == [Outcome.STORED, Outcome.STORED]
    assert stored(database) == [("new", 1), ("old", 1), ("old", 2)]
    assert [age.device for age in sensors(database.connection, NOON)] == ["new", "old"]


def test_a_writer_on_another_connection_is_noticed(database: Database, writer: ReadingWriter) -> None:
    commit(database, writer, ("a", NOON, 1))
    with Database(database.file) as second:
        commit(second, ReadingWriter(), ("a", NOON + MINUTE, 2), ("b", NOON, 3))
    again = commit(database, writer, ("a", NOON + MINUTE, 2), ("b", NOON, 3), ("b", NOON + MINUTE, 4))
    assert again == [Outcome.REPEATED, Outcome.REPEATED, Outcome.STORED]


def test_writers_that_take_turns_keep_each_reading_once(database: Database) -> None:
    with Database(database.file) as second:
        sides = [(database, ReadingWriter()), (second, ReadingWriter())]
        for number in range(6):
            outcomes = [commit(*side, ("a", NOON + number * MINUTE, number)) for side in sides]
            assert outcomes == [[Outcome.STORED], [Outcome.REPEATED]], "the second says what the first has said"
    assert len(stored(database)) == 6


def test_a_writer_whose_turn_was_rolled_back_does_not_miss_the_others(database: Database) -> None:
    one, other = ReadingWriter(), ReadingWriter()
    commit(database, one, ("a", NOON, 1))
    commit(database, other, ("a", NOON + MINUTE, 2))
    cut_short(database, lambda inside: write(inside, one, ("a", NOON + 2 * MINUTE, 3)))
    assert commit(database, other, ("a", NOON + 2 * MINUTE, 3)) == [Outcome.STORED]
    assert commit(database, one, ("a", NOON + 2 * MINUTE, 3)) == [Outcome.REPEATED]


def test_a_writer_that_is_moved_to_another_store_remembers_nothing_of_the_first(
    database: Database, writer: ReadingWriter, tmp_path: Path
) -> None:
    commit(database, writer, ("x", NOON, 1), ("a", NOON, 1))
    with Database(tmp_path / "other.db", migrations=MIGRATIONS) as other:
        commit(other, writer, ("a", NOON, 1))
        assert stored(other) == [("a", 1)]
        commit(database, writer, ("a", NOON + MINUTE, 2))
        assert commit(other, writer, ("a", NOON + MINUTE, 2)) == [Outcome.STORED]
        assert stored(other) == [("a", 1), ("a", 2)]


def test_a_writer_that_is_alone_does_not_write_who_it_is_again(database: Database, writer: ReadingWriter) -> None:
    changes = []
    database.connection.set_trace_callback(
        lambda statement: changes.append(statement) if "INTO ingest_token" in statement else None
    )
    for number in range(5):
        commit(database, writer, ("a", NOON + number * MINUTE, number))
    assert len(changes) == 1
    assert load_token(database.connection) is not None


def test_a_device_that_speaks_often_is_noted_once_a_second(database: Database, writer: ReadingWriter) -> None:
    def seen_ms() -> int:
        return sensors(database.connection, NOON)[0].last_seen_ms

    commit(database, writer, ("a", NOON, 1))
    commit(database, writer, ("a", NOON + HEARD_EVERY_MS - 1, 2))
    assert seen_ms() == NOON
    commit(database, writer, ("a", NOON + HEARD_EVERY_MS, 3))
    assert seen_ms() == NOON + HEARD_EVERY_MS
    commit(database, writer, ("a", NOON - MINUTE, 4))
    assert seen_ms() == NOON - MINUTE, "the kit's clock was set back"


def test_a_burst_that_goes_on_after_a_restart_is_kept_whole_without_looking_through_it_each_time(
    database: Database,
) -> None:
    """Two messages in a millisecond run ahead of the clock; whoever starts then finds no gap to put the next in."""

    def burst(writer: ReadingWriter, count: int) -> None:
        with database.atomic() as connection:
            writer.begin(connection)
            series = writer.series(connection, "a", "temperature", "Cel")
            assert series is not None
            for number in range(count):
                writer.add(
                    connection,
                    series,
                    time_ms=NOON,
                    value=float(number),
                    quality=0,
                    raw=None,
                    arrived_ms=NOON,
                    own_time=False,
                )
            writer.flush(connection)

    burst(ReadingWriter(), 3_000)
    looked: list[str] = []
    database.connection.set_trace_callback(looked.append)
    burst(ReadingWriter(), 100)
    assert len([statement for statement in looked if "FROM readings WHERE series" in statement]) < 10
    times = [row.time_ms for row in find_readings(database.connection)]
    assert times == list(range(NOON, NOON + 3_100))


def test_memory_lasts_only_as_far_as_its_transaction_reached(database: Database) -> None:
    connection = database.connection
    with database.atomic():
        inside = Lifetime(connection)
        assert inside.lasts(connection), "while it runs"
    assert inside.lasts(connection), "and when it is on the disk"
    with Database(database.file) as other:
        assert not inside.lasts(other.connection)
    undone: list[Lifetime] = []
    cut_short(database, lambda inside: undone.append(Lifetime(inside)))
    assert not undone[0].lasts(connection)
    assert inside.lasts(connection), "what was committed before stays true"
    with sqlite3.connect(database.file) as foreign:
        assert not Lifetime(foreign).lasts(foreign), "nobody says what becomes of such a transaction"


@pytest.mark.parametrize("older", [1, 2])
def test_what_an_older_kit_held_undated_one_by_one_is_held_in_few_rows(tmp_path: Path, older: int) -> None:
    file = tmp_path / "kit.db"
    before = (*facts.MIGRATIONS, *readings.MIGRATIONS, *boots.MIGRATIONS[:older])
    # waiting and released, moved and not, dated by several offsets, one that had to make way; more than fit in a row
    rows = [(2, 5, 1, NOON + MINUTE, 1, 0), (1, 60_000, 1, NOON - 10_000, 0, 1), (1, 60_000, 2, NOON - 9_999, 0, 1)]
    rows += [(1, 70_000 + number, 2 + number % 2, NOON + number, 1, 0) for number in range(2_500)]
    rows += [(1, 90_000 + number, 3, NOON + HOUR + number, number % 2, number // 2 % 2) for number in range(40)]
    with Database(file, migrations=before) as old:
        old.connection.executemany(
            "INSERT INTO undated_readings (boot, mono_ms, series, time_ms, held, moved) VALUES (?, ?, ?, ?, ?, ?)", rows
        )
    with Database(file, migrations=(*before, *boots.MIGRATIONS[older:])) as new:
        kept = [
            (boot, noted.mono_ms, noted.series, noted.time_ms, noted.held, noted.moved)
            for boot in (1, 2)
            for noted in pick(new.connection, boot, "1", limit=10_000).taken
        ]
        assert sorted(kept) == sorted(rows)
        assert count_undated(new.connection, 1) == 2_542
        assert count_undated(new.connection, 1, unmoved_only=True) == 2_520
        assert new.connection.execute("SELECT count(*) FROM undated_readings").fetchone()[0] == 10
