"""Inserting many rows with few statements: a row among fifty costs two thirds of one by itself.

Say `INSERT OR FAIL` or `OR REPLACE`: a plain `INSERT` of many rows copies every page that it changes, for the case that
a later row is refused, and what is gained is lost. A refused row is an error that ends the transaction anyway.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

SIZES = (50, 20, 10)
"""Rows in one statement. Few sizes, so that the connection keeps each prepared; the rest goes one by one."""


def insert_rows(connection: sqlite3.Connection, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows of one length, in their order.

    Args:
        connection: inside the caller's transaction.
        into: what stands before VALUES, a constant of ours: "INSERT INTO readings".
        rows: a value for each column.
    """
    if rows:
        insert_flat(connection, into, list(chain.from_iterable(rows)), columns=len(rows[0]))


def insert_flat(connection: sqlite3.Connection, into: str, values: Sequence[Any], *, columns: int) -> None:
    """`insert_rows` of rows whose values stand one behind the other."""
    at = 0
    for size in SIZES:
        step = size * columns
        while len(values) - at >= step:
            connection.execute(_statement(into, columns, size), values[at : at + step])
            at += step
    if at < len(values):
        left = (values[place : place + columns] for place in range(at, len(values), columns))
        connection.executemany(_statement(into, columns, 1), left)


@lru_cache(maxsize=64)
def _statement(into: str, columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"{into} VALUES {', '.join([row] * rows)}"
