"""The large tables of a damaged store, brought into the running one in small steps.

A step is one short transaction, so that sensors and pages wait for it no longer than for each other; how far it has
come is written in the same transaction, so that whatever instant the process is killed at, it goes on from there.
Nothing is doubled: rows go in by their key, and one that is there already stays.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from kit.store.older_rows import as_today, columns_of
from kit.store.packed_value import KEY_BYTES, pack_keys, unpack_keys
from kit.store.rollups import HOUR_MS
from kit.store.salvage import Gap, Reader, TableSalvage, joined

LARGE = ("readings", "raw_readings", "hourly", "daily", "unsynced")
"""What grows with the years. `unsynced`, which names readings, comes last: a batch passes over what is not there."""

KEYS = {
    "readings": ("series", "time_ms"),
    "raw_readings": ("series", "time_ms"),
    "hourly": ("series", "hour"),
    "daily": ("series", "day"),
}
STEP_S = 0.04
"""How long a step is to take; a sensor waits no longer than twice that."""


@dataclass(frozen=True)
class NewestRows:
    """Of each large table, how much is there before the unit serves.

    Attributes:
        most: rows by table, shared out among the series.
        fewest: of each series, however many there are.
    """

    most: Mapping[str, int]
    fewest: int


NEWEST = NewestRows({"readings": 1_000_000, "raw_readings": 100_000, "hourly": 100_000, "daily": 100_000}, fewest=1_000)
"""Some seconds' work."""

FEWEST_ROWS, MOST_ROWS = 100, 20_000
FACT = "mending"
FILLED_BY = "+backup"
"""Behind the name of a source: what it could not tell is being taken from a backup."""

_END = 2**63 - 1


@dataclass
class Progress:
    """How far it has come; kept as the fact `mending`.

    Attributes:
        source: the folder of the damaged file.
        table: being brought back.
        series: the last one that is whole; None before the first.
        after: the key after which it goes on in the next one; None = from its beginning.
        rows: brought back so far.
        done, of: series of the table.
        gaps: by table, what could not be read.
    """

    source: str
    table: str = LARGE[0]
    series: int | None = None
    after: int | None = None
    rows: int = 0
    done: int = 0
    of: int = 0
    gaps: dict[str, list[Gap]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What the fact holds."""
        return vars(self) | {"finished": False}

    @staticmethod
    def of_json(told: dict[str, Any]) -> Progress:
        """The same back."""
        gaps = {table: [(tuple(fixed), low, high) for fixed, low, high in some] for table, some in told["gaps"].items()}
        return Progress(**{name: told[name] for name in vars(Progress("")) if name != "gaps"}, gaps=gaps)


def newest_rows(connection: sqlite3.Connection, tables: Sequence[str], newest: NewestRows = NEWEST) -> None:
    """Copy each series' newest rows of the large tables; what cannot be read is left to the steps.

    Args:
        connection: to the new store, the damaged one attached as `damaged`, in no transaction.
        tables: those that the damaged one has.
        newest: how many.
    """
    series = [int(row[0]) for row in connection.execute("SELECT id FROM main.series")]
    for table, most in newest.most.items():
        if table not in tables:
            continue
        key, listed = KEYS[table][1], ", ".join(_columns(connection, table))
        source = as_today(connection, "damaged", table)
        limit = max(newest.fewest, most // max(1, len(series)))
        for number in series:
            connection.execute("BEGIN")
            try:
                connection.execute(
                    f"INSERT OR IGNORE INTO main.{table} ({listed}) SELECT {listed} FROM {source} "  # noqa: S608 - names from the schema
                    f"WHERE series = ? ORDER BY {key} DESC LIMIT {limit}",
                    (number,),
                )
                connection.execute("COMMIT")
            except sqlite3.DatabaseError as error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if not is_damage(error):
                    raise


class Pouring:
    """Brings the large tables of one damaged store back.

    Args:
        connection: to the running store, with the damaged one attached as `damaged`; this object's alone.
        reading: to the damaged one alone: what fails here is its damage.
        progress: where to go on.
        wanted: by table, of which series; None = of all.
        real_s: seconds that never step, to tell how long a step took.
        most_rows: of one step.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        reading: sqlite3.Connection,
        progress: Progress,
        *,
        wanted: Mapping[str, Collection[int] | None],
        real_s: Callable[[], float],
        most_rows: int = MOST_ROWS,
    ) -> None:
        self._connection, self._reading, self.progress, self._real_s = connection, reading, progress, real_s
        self._wanted, self._most_rows = wanted, most_rows
        self._rows_a_step = min(2_000, most_rows)
        self._sums = True

    def steps(self) -> Iterator[None]:
        """Each `next` is one short transaction.

        Raises:
            sqlite3.DatabaseError: the running store cannot be written now; a new object goes on where this one was.
        """
        there = {str(row[0]) for row in self._reading.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        self._sums = "hourly" in there
        for table in LARGE[LARGE.index(self.progress.table) :]:
            if table != self.progress.table:
                self._next_table(table)
            if table in there and table in self._wanted:
                yield from self._queue(table) if table == "unsynced" else self._by_series(table)
            if told := self.progress.gaps.get(table):
                self.progress.gaps[table] = joined(told)
        yield

    def _next_table(self, table: str) -> None:
        progress = self.progress
        progress.table, progress.series, progress.after, progress.done, progress.of = table, None, None, 0, 0

    def _by_series(self, table: str) -> Iterator[None]:
        progress, key = self.progress, KEYS[table][1]
        told = TableSalvage(table, gaps=progress.gaps.setdefault(table, []))
        columns = _columns(self._connection, table)
        reader = Reader(self._reading, table, columns, told, seen_as=as_today(self._reading, "main", table))
        found = reader.groups()
        series, between = ([], (-_END, _END)) if found is None else found
        wanted = self._wanted[table]
        if wanted is not None:
            series, between = [number for number in series if number in wanted], None
        progress.of = len(series)
        for place, number in enumerate(series):
            if progress.series is not None and number <= progress.series:
                continue
            progress.done = place
            try:
                yield from self._ranges(table, key, ", ".join(columns), series=number)
            except _Unreadable:
                yield from self._rows(table, columns, reader.rows((number,), (_after(progress.after), _END)))
            progress.series, progress.after = number, None
        if between is not None:
            yield from self._rows(table, columns, reader.rows((), between))
        progress.done = len(series)

    def _queue(self, table: str) -> Iterator[None]:
        """What waits for the core goes to the end of the queue: numbers of rows are given anew."""
        progress = self.progress
        told = TableSalvage(table, gaps=progress.gaps.setdefault(table, []))
        try:
            yield from self._ranges(table, "id", "arrived_ms, keys", series=None)
        except _Unreadable:
            seen_as = as_today(self._reading, "main", table)
            reader = Reader(self._reading, table, ("id", "arrived_ms", "keys"), told, seen_as=seen_as)
            rows = reader.rows((), (_after(progress.after), _END))
            yield from self._rows(table, ("arrived_ms", "keys"), _each_once(rows))

    def _ranges(self, table: str, key: str, listed: str, *, series: int | None) -> Iterator[None]:
        """Range after range of keys, at SQLite's own speed."""
        progress = self.progress
        where = key if series is None else f"series = {series:d} AND {key}"
        source = as_today(self._connection, "damaged", table)
        while True:
            after = -_END if progress.after is None else progress.after
            began_s = self._real_s()
            try:
                end = self._reading.execute(
                    f"SELECT {key} FROM {table} WHERE {where} > ? ORDER BY {key} LIMIT 1 OFFSET ?",  # noqa: S608 - names of our tables
                    (after, self._rows_a_step - 1),
                ).fetchone()
                upto = _END if end is None else int(end[0])
                with self._step():
                    rows = self._connection.execute(
                        f"INSERT OR IGNORE INTO main.{table} ({listed}) SELECT {listed} FROM {source} "  # noqa: S608 - the same
                        f"WHERE {where} > ? AND {key} <= ? ORDER BY {key}",
                        (after, upto),
                    ).rowcount
                    if table == "readings" and series is not None:
                        rows += self._make_way(series, after, upto) if rows < self._rows_a_step else 0
                        self._compute_again(series, after, upto)
                    progress.rows += rows
                    progress.after = upto
            except sqlite3.DatabaseError as error:
                if not is_damage(error) or not self._is_unreadable(table, where, key, after):
                    raise
                raise _Unreadable from error
            self._adapt(self._real_s() - began_s)
            yield
            if end is None:
                return

    def _is_unreadable(self, table: str, where: str, key: str, after: int) -> bool:
        """Whether it is the damaged store, not the running one, that failed."""
        try:
            rows = self._reading.execute(
                f"SELECT * FROM {table} WHERE {where} > ? ORDER BY {key} LIMIT ?",  # noqa: S608 - names of our tables
                (after, self._rows_a_step + 1),
            )
            for _ in rows:
                pass
        except sqlite3.DatabaseError:
            return True
        return False

    def _rows(self, table: str, columns: Sequence[str], rows: Iterator[tuple[object, ...]]) -> Iterator[None]:
        """Rows one by one, where ranges cannot be read."""
        marks = ", ".join("?" * len(columns))
        statement = f"INSERT OR IGNORE INTO main.{table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - names of our tables
        while some := list(islice(rows, FEWEST_ROWS * 5)):
            before = self._connection.total_changes
            with self._step():
                self._connection.executemany(statement, some)
                self.progress.rows += self._connection.total_changes - before
                if table == "readings":
                    for series in {row[0] for row in some if isinstance(row[0], int)}:
                        times = [row[1] for row in some if row[0] == series and isinstance(row[1], int)]
                        self._compute_again(series, min(times, default=0) - 1, max(times, default=0))
            yield

    def _make_way(self, series: int, after: int, upto: int) -> int:
        """A reading that came meanwhile and took the very millisecond of another moves on, and is queued anew."""
        source = as_today(self._connection, "damaged", "readings")
        taken = self._connection.execute(
            f"SELECT m.time_ms FROM main.readings m JOIN {source} d USING (series, time_ms) "  # noqa: S608 - names of our tables
            "WHERE m.series = ? AND m.time_ms > ? AND m.time_ms <= ? AND m.value IS NOT d.value",
            (series, after, upto),
        ).fetchall()
        for (time_ms,) in taken:
            free_ms = time_ms + 1
            while self._connection.execute(
                "SELECT 1 FROM main.readings WHERE series = ?1 AND time_ms = ?2 "
                "UNION ALL SELECT 1 FROM damaged.readings WHERE series = ?1 AND time_ms = ?2",
                (series, free_ms),
            ).fetchone():
                free_ms += 1
            self._connection.execute(
                "UPDATE main.readings SET time_ms = ? WHERE series = ? AND time_ms = ?", (free_ms, series, time_ms)
            )
            self._connection.execute(
                f"INSERT INTO main.readings SELECT series, time_ms, value, code FROM {source} "  # noqa: S608 - the same
                "WHERE series = ? AND time_ms = ?",
                (series, time_ms),
            )
            queue_again(self._connection, [(series, free_ms)], at_ms=free_ms)
        return len(taken)

    def _compute_again(self, series: int, after_ms: int, upto_ms: int) -> None:
        """Hours that were computed before their readings were back, and those that still had to be."""
        span = (series, after_ms // HOUR_MS, upto_ms // HOUR_MS)
        where = "WHERE series = ? AND hour >= ? AND hour <= ?"
        self._connection.execute(
            f"INSERT OR IGNORE INTO main.rollup_dirty SELECT series, hour FROM main.hourly {where}",  # noqa: S608 - our own condition
            span,
        )
        if not self._sums:  # from before hours were kept
            self._connection.execute(
                f"INSERT OR IGNORE INTO main.rollup_dirty SELECT DISTINCT series, time_ms / {HOUR_MS} "  # noqa: S608 - a number
                "FROM main.readings WHERE series = ? AND time_ms > ? AND time_ms <= ?",
                (series, after_ms, upto_ms),
            )
        with suppress(sqlite3.DatabaseError):
            due = self._reading.execute(f"SELECT series, hour FROM rollup_dirty {where}", span).fetchall()  # noqa: S608 - the same
            self._connection.executemany("INSERT OR IGNORE INTO main.rollup_dirty VALUES (?, ?)", due)

    @contextmanager
    def _step(self) -> Iterator[None]:
        """A transaction that keeps how far it came."""
        was = vars(self.progress).copy()
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            keep_progress(self._connection, self.progress)
            self._connection.execute("COMMIT")
        except BaseException:
            vars(self.progress).update(was)
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _adapt(self, took_s: float) -> None:
        factor = min(2.0, max(0.5, STEP_S / max(took_s, 1e-4)))
        self._rows_a_step = int(min(self._most_rows, max(FEWEST_ROWS, self._rows_a_step * factor)))


class _Unreadable(Exception):  # noqa: N818 - a way out of a generator, nobody's error
    """A range of the damaged store cannot be read at SQLite's own speed."""


def keep_progress(connection: sqlite3.Connection, progress: Progress) -> None:
    """Write the fact; pages are not told at each step."""
    connection.execute(
        "INSERT INTO main.facts VALUES (?, 0, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (FACT, json.dumps(progress.as_json())),
    )


def keep_numbers(connection: sqlite3.Connection, reading: sqlite3.Connection) -> None:
    """Name the series of readings whose own row is lost `lost-7`, so that no new sensor is given their number."""
    told = TableSalvage("readings")
    found = Reader(reading, "readings", _columns(connection, "readings"), told).groups()
    numbers = [] if found is None else found[0]
    connection.executemany(
        "INSERT OR IGNORE INTO main.series (id, device, quantity, unit) VALUES (?1, 'lost-' || ?1, 'unknown', '1')",
        [(number,) for number in numbers],
    )


def queue_again(connection: sqlite3.Connection, keys: Sequence[tuple[int, int]], *, at_ms: int) -> None:
    """Put readings (series, Unix ms) into the queue for the core."""
    packed = pack_keys([number for key in keys for number in key])
    connection.execute("INSERT INTO main.unsynced (arrived_ms, keys) VALUES (?, ?)", (at_ms, packed))


def queued_since_ms(connection: sqlite3.Connection) -> int | None:
    """The time of the oldest reading in the queue for the core."""
    oldest = None
    with suppress(sqlite3.DatabaseError):
        for (keys,) in connection.execute("SELECT keys FROM unsynced ORDER BY id LIMIT 1000"):
            times = [time_ms for _, time_ms in unpack_keys(keys[: len(keys) // KEY_BYTES * KEY_BYTES])]
            oldest = min([*times, *([] if oldest is None else [oldest])], default=oldest)
    return oldest


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether it says that a store is damaged, and not that a disk is full or somebody else is writing."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    )


def _each_once(rows: Iterator[tuple[object, ...]]) -> Iterator[tuple[object, ...]]:
    """The rows less their first value, the number; read from both ends, some come twice."""
    seen: set[object] = set()
    for number, *others in rows:
        if number not in seen:
            seen.add(number)
            yield tuple(others)


def _after(key: int | None) -> int:
    return -_END if key is None else min(key + 1, _END)


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    theirs = set(columns_of(connection, as_today(connection, "damaged", table)))
    return [name for name in columns_of(connection, f"main.{table}") if name in theirs]
