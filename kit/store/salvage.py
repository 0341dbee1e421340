"""Rows out of a damaged store: everything that SQLite can still read, table by table.

A table is first copied whole, at SQLite's own speed. Where that fails it is read from both ends, and what lies between
two failures is halved again and again, so that one bad page costs the rows on it and no others. The damaged file is
only read. Where its list of tables is what is damaged, `kit.store.overlay` shows it with another.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

ROWS_AT_ONCE = 1_000
NEAR = 8
"""Keys between two places that could not be read, below which they are told as one."""

FAILURES_PER_GROUP, MOST_FAILURES = 100, 20_000
"""Queries that may fail between two failures (and in a whole table) before what is still unread there is given up. The
widest places are looked at first: a hundred find what is larger than a fiftieth of the place."""

_LOW, _HIGH = -(2**63), 2**63 - 1


Gap = tuple[tuple[int, ...], object, object]
"""Values of the first columns of a table's key, and the next column's from and to."""


@dataclass
class TableSalvage:
    """What came out of a table.

    Attributes:
        rows: that it has now; rows of a backup, too, where it could not be read whole.
        whole: every row of it was read.
        gaps: what could not be read.
    """

    name: str
    rows: int = 0
    whole: bool = True
    gaps: list[Gap] = field(default_factory=list)


def salvage(damaged: Path, into: Path, *, but: Collection[str] = ()) -> list[TableSalvage]:
    """Copy what can be read into a sound store of the same schema.

    A table that can be read whole replaces the one there; rows of any other are added to it, and win.

    Args:
        damaged: the file, its log beside it; not changed.
        into: the store; nobody else uses it.
        but: tables that are left out.

    Raises:
        sqlite3.DatabaseError: the damaged file cannot even be opened.
    """
    with reading_damaged(damaged) as reading:
        there = {str(row[0]) for row in reading.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        pair = _Pair(damaged, into)
        return [_copy_table(pair, reading, table) for table in pair.tables() if table in there and table not in but]


@contextmanager
def reading_damaged(damaged: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads it."""
    reading = sqlite3.connect(f"file:{damaged}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
    try:
        reading.execute("PRAGMA cell_size_check=ON")
        yield reading
    finally:
        reading.close()


class _Pair:
    """The damaged store and the one that rows go into, in one connection; made anew after each failure."""

    def __init__(self, damaged: Path, into: Path) -> None:
        self._damaged, self._into = damaged, into

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, undone if it fails."""
        connection = sqlite3.connect(f"file:{self._into}?mode=rw", uri=True, isolation_level=None)
        try:
            connection.execute("PRAGMA foreign_keys=OFF")
            # it is flushed as a whole before it is used, and thrown away if this process dies
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("PRAGMA journal_mode=MEMORY")
            connection.execute("PRAGMA cell_size_check=ON")
            connection.execute("ATTACH DATABASE ? AS damaged", (f"file:{self._damaged}?mode=ro",))
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()  # what is not committed goes with it

    def tables(self) -> list[str]:
        """Those of the sound store."""
        with self.writing() as connection:
            return _tables(connection)


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
        "AND name NOT LIKE '\\_%' ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
    )
    return [str(row[0]) for row in rows]


def _copy_table(pair: _Pair, reading: sqlite3.Connection, table: str) -> TableSalvage:
    told = TableSalvage(table)
    with pair.writing() as connection:
        columns = _columns(connection, table)
    listed = ", ".join(f'"{name}"' for name in columns)
    try:
        with pair.writing() as connection:
            connection.execute(f'DELETE FROM main."{table}"')  # noqa: S608 - names from the schema
            told.rows = connection.execute(
                f'INSERT INTO main."{table}" ({listed}) SELECT {listed} FROM damaged."{table}"'  # noqa: S608 - the same
            ).rowcount
    except sqlite3.DatabaseError:
        told.whole = False
    else:
        return told
    reader = Reader(reading, table, columns, told)
    unread = [*_copy_groups(pair, reader, table, listed)]
    marks = ", ".join("?" * len(columns))
    with pair.writing() as connection:
        for rows in unread:
            _insert(connection, f'INSERT OR REPLACE INTO main."{table}" ({listed}) VALUES ({marks})', rows)  # noqa: S608 - the same
        told.rows = int(connection.execute(f'SELECT count(*) FROM main."{table}"').fetchone()[0])  # noqa: S608 - the same
    told.gaps = joined(told.gaps)
    return told


def _copy_groups(pair: _Pair, reader: Reader, table: str, listed: str) -> Iterator[Iterator[tuple[object, ...]]]:
    """Copy each group of rows (each series of readings) at SQLite's speed; yields readers of those that it cannot."""
    found = reader.groups()
    if found is None:
        yield reader.rows()
        return
    groups, between = found
    for value in groups:
        try:
            with pair.writing() as connection:
                connection.execute(
                    f'INSERT OR REPLACE INTO main."{table}" ({listed}) '  # noqa: S608 - names from the schema
                    f'SELECT {listed} FROM damaged."{table}" WHERE {reader.key} = ?',
                    (value,),
                )
        except sqlite3.DatabaseError:
            yield reader.rows((value,))
    if between is not None:
        yield reader.rows((), between)


def _insert(connection: sqlite3.Connection, statement: str, rows: Iterator[tuple[object, ...]]) -> None:
    while some := list(islice(rows, ROWS_AT_ONCE)):
        try:
            connection.executemany(statement, some)
        except sqlite3.IntegrityError:
            for row in some:
                # a row that its own table would not have taken is part of the damage
                with suppress(sqlite3.IntegrityError):
                    connection.execute(statement, row)


def joined(gaps: Sequence[Gap]) -> list[Gap]:
    """Neighbouring places as one."""
    joined: list[Gap] = []
    for fixed, low, high in sorted(gaps, key=lambda gap: (gap[0], gap[1] if isinstance(gap[1], int) else 0)):
        last = joined[-1] if joined else None
        if last and last[0] == fixed and isinstance(last[2], int) and isinstance(low, int) and low <= last[2] + NEAR:
            joined[-1] = (fixed, last[1], max(last[2], high) if isinstance(high, int) else high)
        else:
            joined.append((fixed, low, high))
    return joined


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    ours = [str(row[1]) for row in connection.execute(f'PRAGMA main.table_info("{table}")')]
    theirs = {str(row[1]) for row in connection.execute(f'PRAGMA damaged.table_info("{table}")')}
    return [name for name in ours if name in theirs]


def _key(connection: sqlite3.Connection, table: str) -> list[str]:
    rows = connection.execute(f'PRAGMA table_info("{table}")').fetchall()
    keys = [str(row[1]) for row in sorted(rows, key=lambda row: row[5]) if row[5]]
    (text,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    return [f'"{name}"' for name in keys] if "WITHOUT ROWID" in str(text).upper() else ["rowid"]


class Reader:
    """Reads one damaged table from both ends, and between failures.

    Args:
        connection: to the damaged store alone.
        table: of it.
        columns: what is read of each row.
        told: is told what cannot be read.
        seen_as: a view of the table that its rows are read through.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        table: str,
        columns: Sequence[str],
        told: TableSalvage,
        *,
        seen_as: str | None = None,
    ) -> None:
        self._connection, self._table, self._told = connection, table, told
        self._seen_as = seen_as or f'"{table}"'
        self._listed = ", ".join(f'"{name}"' for name in columns)
        self._keys = _key(connection, table)
        self._failures = 0
        self._last: object = None

    @property
    def key(self) -> str:
        """The first column of its key."""
        return self._keys[0]

    def groups(self) -> tuple[list[int], tuple[int, int] | None] | None:
        """The values of the first of several key columns, and between which two of them there may be more.

        None where the key has one column, or its first one holds no whole numbers.
        """
        if len(self._keys) == 1:
            return None
        up, whole = self._seek_all("min", ">")
        if whole:
            return (up, None) if all(isinstance(value, int) for value in up) else None
        down, _ = self._seek_all("max", "<")
        if not up or not down or not all(isinstance(value, int) for value in up + down):
            return None
        return sorted({*up, *down}), (max(up) + 1, min(down) - 1)

    def _seek_all(self, first: str, beyond: str) -> tuple[list[int], bool]:
        found: list[int] = []
        try:
            where: tuple[int, ...] = ()
            while True:
                condition = f"WHERE {self.key} {beyond} ?" if where else ""
                statement = f'SELECT {first}({self.key}) FROM "{self._table}" {condition}'  # noqa: S608 - the same
                (value,) = self._connection.execute(statement, where).fetchone()
                if value is None:
                    return found, True
                found.append(value)
                where = (value,)
        except sqlite3.DatabaseError:
            return found, False

    def rows(self, fixed: tuple[int, ...] = (), within: tuple[int, int] | None = None) -> Iterator[tuple[object, ...]]:
        """Everything that can be read of a group, some of it twice."""
        if within is None or within[0] <= within[1]:
            yield from self._group(fixed, within)

    def _group(self, fixed: tuple[int, ...], within: tuple[int, int] | None = None) -> Iterator[tuple[object, ...]]:
        """The rows whose first key columns are `fixed`."""
        ranges: list[tuple[int, int, int]] = []
        most = self._failures + FAILURES_PER_GROUP
        low, high = yield from self._from_both_ends(fixed, within)
        if low is None and high is None:
            return
        if not isinstance(low, int | None) or not isinstance(high, int | None):
            self._told.gaps.append((fixed, low, high))
            return
        gap = (_LOW if low is None else low, _HIGH if high is None else high)
        while True:
            before = self._failures
            yield from self._edges(fixed, gap)
            most += self._failures - before
            middle = (gap[0] + gap[1]) // 2
            for part in ((gap[0] + 1, middle), (middle + 1, gap[1] - 1)):
                if part[0] <= part[1]:
                    heapq.heappush(ranges, (part[0] - part[1], *part))  # the widest first
            if not ranges or self._failures > min(most, MOST_FAILURES):
                break
            _, low, high = heapq.heappop(ranges)
            if low == high and len(fixed) + 1 < len(self._keys):
                before = self._failures
                yield from self._group((*fixed, low))
                most += self._failures - before
                gap = (low, low)
                continue
            found = yield from self._from_both_ends(fixed, (low, high))
            if low == high and found != (None, None):
                self._told.gaps.append((fixed, low, high))
            # nothing failed between them, or nothing at all was read: a place that was looked at is a gap of no width
            gap = (low, low) if found == (None, None) else (_int(found[0], low), _int(found[1], high))
        self._told.gaps += [(fixed, low, high) for _, low, high in ranges]

    def _edges(self, fixed: tuple[int, ...], gap: tuple[int, int]) -> Iterator[tuple[object, ...]]:
        """Keys at the edge of a gap may have been read in part, where the key has further columns."""
        if len(fixed) + 1 < len(self._keys):
            for value in {*gap} - {_LOW, _HIGH}:
                if self._failures <= MOST_FAILURES:
                    yield from self._group((*fixed, value))

    def _from_both_ends(
        self, fixed: tuple[int, ...], between: tuple[int, int] | None
    ) -> Generator[tuple[object, ...], None, tuple[object, object]]:
        """Read upwards, and from the other end if that fails; returns the keys read last, (None, None) if all was."""
        if (yield from self._one_way(fixed, between, "ASC")):
            return None, None
        low = self._last
        yield from self._one_way(fixed, between, "DESC")
        if low is None and self._last is None:
            return between or (_LOW, _HIGH)
        return low, self._last

    def _one_way(
        self, fixed: tuple[int, ...], between: tuple[int, int] | None, way: str
    ) -> Generator[tuple[object, ...], None, bool]:
        """Read until the end or a failure; returns whether it was the end."""
        key = self._keys[len(fixed)]
        wheres = [f"{each} = ?" for each in self._keys[: len(fixed)]] + ([f"{key} BETWEEN ? AND ?"] if between else [])
        where = f"WHERE {' AND '.join(wheres)}" if wheres else ""
        order = ", ".join(f"{each} {way}" for each in self._keys)
        self._last = None
        try:
            for row in self._connection.execute(
                f"SELECT {key}, {self._listed} FROM {self._seen_as} {where} ORDER BY {order}",  # noqa: S608 - names from the schema
                (*fixed, *(between or ())),
            ):
                self._last = row[0]
                yield row[1:]
        except sqlite3.DatabaseError:
            self._failures += 1
            return False
        return True


def _int(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise
