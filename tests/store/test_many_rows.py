"""Many rows go in by few statements, each of them once and in order, or none at all."""

from __future__ import annotations

import sqlite3

import pytest

from kit.store.many_rows import SIZES, insert_rows

INTO = "INSERT OR FAIL INTO kept"


@pytest.fixture
def connection() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.execute("CREATE TABLE kept (number INTEGER PRIMARY KEY, word TEXT NOT NULL)")
    return made


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 49, 50, 51, 60, 67, 100, 213])
def test_every_row_arrives_once(connection: sqlite3.Connection, count: int) -> None:
    rows = [(number, f"w{number}") for number in range(count)]
    insert_rows(connection, INTO, rows)
    assert connection.execute("SELECT * FROM kept ORDER BY number").fetchall() == rows


def test_few_statements_are_enough_and_few_are_to_be_prepared(connection: sqlite3.Connection) -> None:
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    insert_rows(connection, INTO, [(number, "w") for number in range(3 * SIZES[0] + 2 * SIZES[1])])
    assert len(statements) == 3 + 2


@pytest.mark.parametrize("refused", [0, 30, 57, 63])
def test_a_refused_row_takes_its_whole_transaction_with_it(connection: sqlite3.Connection, refused: int) -> None:
    connection.execute("INSERT INTO kept VALUES (?, 'before')", (refused,))
    connection.execute("BEGIN")
    with pytest.raises(sqlite3.IntegrityError):
        insert_rows(connection, INTO, [(number, "w") for number in range(65)])
    assert connection.in_transaction, "whoever began it ends it"
    connection.execute("ROLLBACK")
    assert connection.execute("SELECT * FROM kept").fetchall() == [(refused, "before")]
