"""The rows of `undated_readings`: one for all readings of a transaction that were dated by the same guess.

Nearly none of them is ever looked at by itself, so noting them must cost little: their keys (series, Unix ms) stand
packed in one row, with the offset by which they were dated. Invariant: a reading was taken `time_ms - offset_ms`
milliseconds after its boot, also after it was moved. So one that had to make way, and lies beside its place, is in a
row of its own, whose offset says so. `first_mono_ms` and `last_mono_ms` say between which of these times the readings
of a row were taken; those of several transactions may overlap, as a sensor may send what it measured hours ago.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

from kit.store.packed_value import KEY_BYTES, KEYS_AT_ONCE, pack_keys, unpack_keys

NOT_YET = 2**62
"""Later than any reading."""

SMALL_BYTES = KEYS_AT_ONCE // 10 * KEY_BYTES
"""Rows whose keys take more are left as they are: two thousand of them hold all that is kept."""

MANY_ROWS, WORTH_JOINING = 1_000, 100
"""From so many rows on those that are alike are joined, if they are so many."""

JOINS_AT_ONCE = 10
"""Of a thousand readings at most, so that nobody waits long."""

_INSERT = (
    "INSERT INTO undated_readings (boot, moved, held, offset_ms, first_mono_ms, last_mono_ms, keys) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)


class Noted(NamedTuple):
    """A reading in a row. In the order in which they were taken; where that is the same, of their keys.

    Attributes:
        mono_ms: when it was taken, milliseconds since boot.
        moved: it is where the boot's offset puts it.
        held: it waits for its true time before it leaves for the core.
        row: the row's number.
    """

    mono_ms: int
    series: int
    time_ms: int
    moved: int
    held: int
    row: int


class Picked(NamedTuple):
    """Readings of some rows.

    Attributes:
        taken: those that were asked for, in the order that was asked for.
        left: what else is in these rows.
    """

    taken: list[Noted]
    left: list[Noted]


def note_undated(
    connection: sqlite3.Connection, *, boot: int, offset_ms: int, held: bool, keys: list[int], moved: bool = False
) -> None:
    """Note readings that were dated by one guess.

    Args:
        connection: inside the transaction that stores them.
        boot: number of the boot (`kit.store.boots`).
        offset_ms: by which they were dated: kit time is milliseconds since boot plus this.
        held: they wait for their true time before they leave for the core.
        keys: series, Unix ms, series, Unix ms…
        moved: they are where the boot's offset puts them.
    """
    for at in range(0, len(keys), 2 * KEYS_AT_ONCE):
        some = keys[at : at + 2 * KEYS_AT_ONCE]
        times = some[1::2]
        span = min(times) - offset_ms, max(times) - offset_ms
        connection.execute(_INSERT, (boot, moved, held, offset_ms, *span, pack_keys(some)))


def pick(
    connection: sqlite3.Connection,
    boot: int,
    where: str,
    *,
    limit: int,
    latest: bool = False,
    before_mono_ms: int = NOT_YET,
) -> Picked:
    """The readings that were taken first, or last.

    Args:
        connection: inside a transaction.
        boot: of which boot.
        where: which rows; a constant of ours.
        limit: so many at most.
        latest: the last ones, backwards.
        before_mono_ms: only those taken before.
    """
    edge, way, sign = ("last_mono_ms", "DESC", 1) if latest else ("first_mono_ms", "ASC", -1)
    rows = connection.execute(
        f"SELECT id, {edge} FROM undated_readings WHERE boot = ? AND first_mono_ms < ? AND {where} "  # noqa: S608 - our constants
        f"ORDER BY {edge} {way}",
        (boot, before_mono_ms),
    )
    found: list[Noted] = []
    others: list[Noted] = []
    # times of the `limit` readings to be taken, as far as is known; a row that lies wholly behind them ends the search
    times: list[int] = []
    for number, edge_ms in rows:
        if len(times) == limit and sign * edge_ms < times[0]:
            break
        for noted in _readings(connection, number):
            if noted.mono_ms >= before_mono_ms:
                others.append(noted)
                continue
            found.append(noted)
            if len(times) < limit:
                heapq.heappush(times, sign * noted.mono_ms)
            else:
                heapq.heappushpop(times, sign * noted.mono_ms)
    rows.close()  # before anything is changed
    found.sort(reverse=latest)
    return Picked(found[:limit], found[limit:] + others)


def _readings(connection: sqlite3.Connection, number: int) -> list[Noted]:
    moved, held, offset_ms, keys = connection.execute(
        "SELECT moved, held, offset_ms, keys FROM undated_readings WHERE id = ?", (number,)
    ).fetchone()
    return [Noted(time_ms - offset_ms, series, time_ms, moved, held, number) for series, time_ms in unpack_keys(keys)]


def put_back(connection: sqlite3.Connection, boot: int, picked: Picked, changed: Sequence[Noted]) -> None:
    """Write what became of the readings that were taken; what else was in their rows stays as it is.

    Args:
        connection: inside the transaction in which they were picked.
        boot: whose they are.
        picked: from `pick`.
        changed: `picked.taken` as it is now, in the same order.
    """
    apart = {noted.row for noted in picked.left}
    apart |= {old.row for old, new in zip(picked.taken, changed, strict=True) if new.time_ms != old.time_ms}
    whole = {new.row: (new.moved, new.held) for new in changed if new.row not in apart}
    # the keys are the same: SQLite then changes one page and not those that the keys run over
    connection.executemany(
        "UPDATE undated_readings SET moved = ?, held = ? WHERE id = ?",
        [(*flags, row) for row, flags in whole.items()],
    )
    _write_anew(connection, boot, apart & {noted.row for noted in changed}, [*changed, *picked.left])


def _write_anew(connection: sqlite3.Connection, boot: int, rows: Collection[int], noted: Sequence[Noted]) -> None:
    """Those of the readings that are in these rows, in as few rows as can be, in their order."""
    connection.executemany("DELETE FROM undated_readings WHERE id = ?", [(number,) for number in rows])
    alike: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    for mono_ms, series, time_ms, moved, held, row in sorted(noted):
        if row in rows:
            alike[moved, held, time_ms - mono_ms] += (series, time_ms)
    for (moved, held, offset_ms), keys in alike.items():
        note_undated(connection, boot=boot, offset_ms=offset_ms, held=bool(held), keys=keys, moved=bool(moved))


def join_small(connection: sqlite3.Connection) -> int:
    """Put small rows that are alike into few; returns how many rows there are less.

    Where every reading is a transaction of its own, each look at the table would else pass 200,000 rows. What waits is
    left out: it goes one by one, and a large row would be written anew each time.
    """
    less = 0
    for _ in range(JOINS_AT_ONCE):
        if connection.execute("SELECT count(*) FROM undated_readings").fetchone()[0] < MANY_ROWS:
            break
        alike = connection.execute(
            "SELECT boot, moved, offset_ms FROM undated_readings WHERE held = 0 AND length(keys) <= ? "
            "GROUP BY boot, moved, offset_ms HAVING count(*) >= ? ORDER BY count(*) DESC LIMIT 1",
            (SMALL_BYTES, WORTH_JOINING),
        ).fetchone()
        if alike is None:
            break
        less += _join(connection, *alike)
    return less


def _join(connection: sqlite3.Connection, boot: int, moved: int, offset_ms: int) -> int:
    rows = connection.execute(
        "SELECT id, keys FROM undated_readings WHERE boot = ? AND moved = ? AND offset_ms = ? AND held = 0 "
        "AND length(keys) <= ? ORDER BY first_mono_ms LIMIT ?",
        (boot, moved, offset_ms, SMALL_BYTES, KEYS_AT_ONCE),
    ).fetchall()
    joined: list[tuple[int]] = []
    keys: list[int] = []
    for number, packed in rows:
        more = [part for key in unpack_keys(packed) for part in key]
        if len(keys) + len(more) > 2 * KEYS_AT_ONCE:
            break
        keys += more
        joined.append((number,))
    connection.executemany("DELETE FROM undated_readings WHERE id = ?", joined)
    note_undated(connection, boot=boot, offset_ms=offset_ms, held=False, keys=keys, moved=bool(moved))
    return len(joined) - 1


def count_noted(connection: sqlite3.Connection, where: str = "1", values: Sequence[int] = ()) -> int:
    """How many readings there are in the rows of that condition, a constant of ours."""
    row = connection.execute(f"SELECT coalesce(sum(length(keys)), 0) FROM undated_readings WHERE {where}", values)  # noqa: S608 - our constants
    return int(row.fetchone()[0]) // KEY_BYTES
