"""The large tables of a store by an earlier version, read as if they were today's.

Small tables are brought over as they are, and migrated then. With a gigabyte of readings that would take long, and a
damaged file cannot be migrated at all. So where rows of a large table were kept in another form, they are read through
a view that puts them into today's, each in the moment it is brought over.
"""

from __future__ import annotations

import sqlite3

from kit.store.packed_value import DECIMAL_BITS, pack_keys, pack_value

_VIEWS = {
    # before 0002_whole_numbers
    ("readings", "quality"): (
        "SELECT series, time_ms, whole_value(value) AS value, "  # noqa: S608 - a number of ours
        f"quality << {DECIMAL_BITS} | whole_decimals(value) AS code FROM {{source}}"
    ),
    ("unsynced", "series"): ("SELECT id AS rowid, id, arrived_ms, one_key(series, time_ms) AS keys FROM {source}"),
}
"""By table, and a column that only the older form has."""


def as_today(connection: sqlite3.Connection, schema: str, table: str) -> str:
    """Under which name the table's rows are seen in today's form.

    Args:
        connection: that the store is open in; gets a view where one is needed.
        schema: the store's name in it.
        table: one of the large ones.
    """
    columns = {str(row[1]) for row in connection.execute(f"PRAGMA {schema}.table_info({table})")}
    for (name, only_then), select in _VIEWS.items():
        if name == table and only_then in columns:
            _know_functions(connection)
            view, today = f"today_{schema}_{table}", select.format(source=f"{schema}.{table}")
            connection.execute(f"CREATE TEMP VIEW IF NOT EXISTS {view} AS {today}")
            return f"temp.{view}"
    return f"{schema}.{table}"


def columns_of(connection: sqlite3.Connection, name: str) -> list[str]:
    """The columns of a table or view, named with its schema."""
    schema, _, table = name.partition(".")
    return [str(row[1]) for row in connection.execute(f"PRAGMA {schema}.table_info({table})")]


def _know_functions(connection: sqlite3.Connection) -> None:
    connection.create_function("whole_value", 1, lambda value: _packed(value)[0], deterministic=True)
    connection.create_function("whole_decimals", 1, lambda value: _packed(value)[1], deterministic=True)
    connection.create_function("one_key", 2, lambda series, time_ms: pack_keys([series, time_ms]), deterministic=True)


def _packed(value: str | bytes | float | None) -> tuple[str | bytes | float | None, int]:
    """A spoiled row may hold anything."""
    return pack_value(float(value)) if isinstance(value, int | float) else (value, 0)
