from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.store import facts, links, records
from kit.store.database import Database, StoreError
from kit.store.inbox import received
from kit.store.links import LinkRow, forget_links_except, put_link
from kit.store.records import (
    SqliteRecordStore,
    note_custody,
    queue,
    queue_counts,
    retry,
    set_origin,
    start_epoch,
    write_record,
)
from sync.protocol.records import Custody, Held, Priority, Record, RecordId, digest_of

MIGRATIONS = (*facts.MIGRATIONS, *records.MIGRATIONS, *links.MIGRATIONS)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as opened:
        with opened.atomic() as connection:
            set_origin(connection, "kit-a")
        yield opened


def write(database: Database, *, priority: int = 4, kind: str = "readings", lifetime_s: int | None = None) -> RecordId:
    with database.atomic() as connection:
        return write_record(
            connection, kind=kind, priority=priority, body=b"body", created_ms=1_000, lifetime_s=lifetime_s
        )


class Undo(Exception):  # noqa: N818 - not an error: what a rolled back transaction raises here
    pass


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(fails=st.lists(st.booleans(), max_size=12))
def test_numbers_have_no_gap_even_where_transactions_were_rolled_back(database: Database, fails: list[bool]) -> None:
    for failing in fails:
        with contextlib.suppress(Undo), database.atomic() as connection:
            write_record(connection, kind="note", priority=2, body=b"", created_ms=1)
            if failing:
                raise Undo
    numbers = [row[0] for row in database.connection.execute("SELECT seq FROM records ORDER BY number")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_two_processes_that_write_at_once_share_one_row_of_numbers(database: Database) -> None:
    def work() -> None:
        with Database(database.file) as mine:
            for _ in range(30):
                write(mine)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [row[0] for row in database.connection.execute("SELECT seq FROM records ORDER BY seq")]
    assert numbers == list(range(1, 121))


def test_a_record_without_a_unit_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with Database(tmp_path / "new.db", migrations=MIGRATIONS) as fresh, pytest.raises(StoreError, match="kit run"):
        write(fresh)


def test_a_store_of_another_unit_is_not_taken_over(database: Database) -> None:
    with database.atomic() as connection:
        set_origin(connection, "kit-a")
        with pytest.raises(StoreError, match=r"belongs to kit-a .* kit-b"):
            set_origin(connection, "kit-b")


def test_a_restored_backup_starts_a_new_and_greater_epoch(database: Database) -> None:
    before = write(database)
    with database.atomic() as connection:
        epoch = start_epoch(connection)
    after = write(database)
    assert after.epoch == epoch > before.epoch
    assert after.seq == 1


@pytest.mark.parametrize("wrong", [{"kind": ""}, {"kind": "é"}, {"kind": "x" * 33}, {"priority": 6}, {"lifetime_s": 0}])
def test_a_record_that_no_session_could_carry_is_refused_when_it_is_written(
    database: Database, wrong: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        write(database, **wrong)  # type: ignore[arg-type]
    assert queue(database.connection, limit=9) == []


def test_the_most_urgent_goes_first_and_equals_go_in_the_order_they_were_written(database: Database) -> None:
    for priority in (4, 2, 0, 4, 2, 0):
        write(database, priority=priority)
    out = SqliteRecordStore(database).outgoing("core", now_ms=2_000, limit=5)
    assert [(record.priority, record.id.seq) for record in out] == [(0, 3), (0, 6), (2, 2), (2, 5), (4, 1)]


def test_what_has_expired_is_not_offered_and_not_counted(database: Database) -> None:
    write(database, lifetime_s=10)
    store = SqliteRecordStore(database)
    assert len(store.outgoing("core", now_ms=10_999, limit=5)) == 1
    assert store.outgoing("core", now_ms=11_000, limit=5) == []
    assert queue_counts(database.connection, now_ms=11_000) == {}
    assert queue_counts(database.connection) == {4: 1}


def test_custody_moves_forward_only_and_by_link(database: Database) -> None:
    first, second = write(database, priority=0), write(database)
    store = SqliteRecordStore(database)
    store.left([first], peer="core", link="lora", at_ms=5_000)
    store.left([first], peer="core", link="lora", at_ms=9_000)
    rows = queue(database.connection, limit=9)
    assert [(row["seq"], row["state"]) for row in rows] == [(1, "left"), (2, "written")]
    assert rows[0]["links"] == [{"link": "lora", "left": "1970-01-01T00:00:05Z", "accepted": None}]
    store.accepted([first], peer="core", link="cellular", at_ms=7_000)
    store.left([first], peer="core", link="lora", at_ms=9_000)
    assert queue_counts(database.connection) == {4: 1}
    assert [row["seq"] for row in queue(database.connection, limit=9)] == [2, 1]
    assert [row["seq"] for row in queue(database.connection, limit=9, waiting_only=True)] == [2]
    with database.atomic() as connection:
        note_custody(connection, [first], Custody.READ, at_ms=8_000)
    assert queue(database.connection, limit=9)[1]["state"] == "read"
    assert [record.id for record in store.outgoing("core", now_ms=0, limit=5)] == [second]


def test_a_record_from_the_core_is_taken_once_and_never_sent_back(database: Database) -> None:
    record = Record(id=RecordId("core-x", 3, 1), kind="message", priority=Priority.MESSAGE, created_ms=1, body=b"hello")
    store = SqliteRecordStore(database)
    for _ in range(2):
        store.take([record], peer="core-x", link="lora", at_ms=5)
    assert store.held([record.id, RecordId("core-x", 3, 2)]) == {record.id}
    assert [each for _, each in received(database.connection, "message", after=0, limit=9)] == [record]
    assert store.outgoing("core-x", now_ms=9, limit=9) == []
    assert queue(database.connection, limit=9) == []


def test_retry_counts_what_waits_also_where_it_was_asked_for_already(database: Database) -> None:
    with database.atomic() as connection:
        set_origin(connection, "kit-a")
        first = write_record(connection, kind="message", priority=2, body=b"x", created_ms=1)
        assert [retry(connection, "all"), retry(connection, "all"), retry(connection, [first])] == [1, 1, 1]


def test_retry_names_what_waits_once_and_passes_over_what_does_not(database: Database) -> None:
    first, second = write(database), write(database)
    store = SqliteRecordStore(database)
    store.accepted([second], peer="core", link="lora", at_ms=5)
    with database.atomic() as connection:
        assert retry(connection, [first, second, RecordId("kit-a", 1, 99)]) == 1
    assert store.take_retries() == [first]
    assert store.take_retries() == []


def test_a_session_s_state_is_kept_by_peer(database: Database) -> None:
    store = SqliteRecordStore(database)
    assert store.load_session("core") is None
    store.save_session("core", b"one")
    store.save_session("core", b"two")
    assert store.load_session("core") == b"two"


def test_a_backlog_of_a_hundred_thousand_records_is_offered_in_a_moment(database: Database) -> None:
    with database.atomic() as connection:
        for _ in range(100_000):
            write_record(connection, kind="readings", priority=4, body=b"x" * 200, created_ms=1)
        urgent = write_record(connection, kind="alert", priority=0, body=b"a", created_ms=2)
    store = SqliteRecordStore(database)
    ids = [record.id for record in store.outgoing("core", now_ms=3, limit=256)]
    started = perf_counter()
    for _ in range(10):
        out = store.outgoing("core", now_ms=3, limit=256)
        store.held(ids)
        store.left(ids, peer="core", link="lora", at_ms=4)
    assert out[0].id == urgent
    assert (perf_counter() - started) / 10 < 0.1


def test_a_link_keeps_when_it_was_last_heard_over_a_restart(database: Database) -> None:
    def row(name: str, heard_ms: int | None, updated_ms: int) -> LinkRow:
        return LinkRow(
            name=name,
            state="up",
            explain="",
            lowest_priority=4,
            last_heard_ms=heard_ms,
            last_sent_ms=None,
            airtime_left_ms=7,
            updated_ms=updated_ms,
        )

    with database.atomic() as connection:
        put_link(connection, row("lora", 5, 6))
        put_link(connection, row("lora", None, 9))
        put_link(connection, row("old", None, 9))
        forget_links_except(connection, {"lora"})
    assert links.links(database.connection) == [row("lora", 5, 9)]


def test_a_record_whose_name_is_taken_over_there_keeps_its_number_and_gets_a_name_of_a_new_epoch(
    database: Database,
) -> None:
    store = SqliteRecordStore(database)
    first, second, third = write(database), write(database, kind="note"), write(database)
    store.left([second], peer="core", link="lora", at_ms=5)
    store.accepted([third], peer="core", link="lora", at_ms=6)
    number = {row["seq"]: row["number"] for row in database.connection.execute("SELECT number, seq FROM records")}
    theirs = Held(first, digest_of("readings", b"what another unit wrote"))
    ours = [Held(second, digest_of("note", b"body")), Held(third, digest_of("readings", b"body"))]
    store.rename([theirs, *ours], peer="core", at_ms=7)
    names = {row["number"]: (row["epoch"], row["seq"]) for row in database.connection.execute("SELECT * FROM records")}
    assert names[number[1]] == first[1:], "only the one that was meant"
    assert names[number[3]] == third[1:], "what was accepted is accepted"
    (epoch, seq) = names[number[2]]
    assert epoch > second.epoch
    assert seq == 1
    (row,) = [row for row in queue(database.connection, limit=9) if row["kind"] == "note"]
    assert (row["state"], row["links"]) == ("written", [])
    assert write(database)[1:] == (epoch, 2), "all that follows is of the new epoch"
    assert [each.id[1:] for each in store.outgoing("core", now_ms=0, limit=9)] == [first[1:], (epoch, 1), (epoch, 2)]


def test_a_record_of_an_older_epoch_beside_one_of_this_epoch_does_not_keep_the_epoch(database: Database) -> None:
    store = SqliteRecordStore(database)
    older = write(database)
    with database.atomic() as connection:
        start_epoch(connection)
    newer = write(database)
    digest = digest_of("readings", b"body")
    store.rename([Held(older, digest), Held(newer, digest)], peer="core", at_ms=7)
    epochs = [row[0] for row in database.connection.execute("SELECT epoch FROM records ORDER BY number")]
    assert epochs[1] > newer.epoch
    assert write(database).epoch == epochs[1]


def test_what_comes_under_a_name_that_is_held_as_something_else_is_kept_out_and_told(database: Database) -> None:
    store = SqliteRecordStore(database)

    def come(*bodies: bytes) -> list[bytes]:
        some = [
            Record(id=RecordId("core-x", 1, 1), kind="note", priority=Priority.MESSAGE, created_ms=1, body=body)
            for body in bodies
        ]
        return [each.body for each in store.take(some, peer="core-x", link="lora", at_ms=5)]

    assert come(b"first", b"at once") == [b"at once"]
    assert come(b"first") == []
    assert come(b"later") == [b"later"]
    assert [each.body for _, each in received(database.connection, "note", after=0, limit=9)] == [b"first"]
