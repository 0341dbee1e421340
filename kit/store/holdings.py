"""What is held of another unit's records, told in few numbers for a beacon. Serves the kit's table and the core's."""

from __future__ import annotations

import sqlite3

from sync.protocol.beacons import MAX_HOLDINGS, MAX_RANGES, NOTHING, Holding

TOLD_RANGES = MAX_RANGES - 1
"""The newest. What lies before them is said to be held; its gaps come to be told once the newer ones are filled."""


def holdings(connection: sqlite3.Connection, table: str, origin: str) -> tuple[Holding, ...]:
    """What is held of that origin's records, of its newest epochs.

    Args:
        connection: to the store.
        table: `records` or `core_records`, with a unique index over origin, epoch and seq.
        origin: the unit.
    """
    rows = connection.execute(
        f"SELECT epoch, count(*), max(seq) FROM {table} WHERE origin = ? "  # noqa: S608 - one of two constants
        "GROUP BY epoch ORDER BY epoch DESC LIMIT ?",
        (origin, MAX_HOLDINGS),
    ).fetchall()
    told = (
        Holding(int(epoch), int(newest) + 1)
        if count == newest
        else _with_gaps(connection, table, origin, epoch, newest)
        for epoch, count, newest in rows
    )
    return tuple(told) or (NOTHING,)


def _with_gaps(connection: sqlite3.Connection, table: str, origin: str, epoch: int, newest: int) -> Holding:
    starts = connection.execute(
        f"SELECT seq, before FROM (SELECT seq, lag(seq, 1, 0) OVER (ORDER BY seq) AS before FROM {table} "  # noqa: S608 - as above
        "WHERE origin = ? AND epoch = ?) WHERE seq != before + 1 ORDER BY seq DESC LIMIT ?",
        (origin, epoch, TOLD_RANGES + 1),
    ).fetchall()
    ranges, end = [], int(newest) + 1
    for start, before in starts[:TOLD_RANGES]:
        ranges.append((int(start), end))
        end = int(before) + 1
    return Holding(int(epoch), max(end, 1), tuple(reversed(ranges)))
