"""What the core tells of itself in its beacons, and what follows from a kit's: both may be rebuilt from backups."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from sync.protocol.beacons import MAX_HOLDINGS, MAX_RANGES, NOTHING, Holding, Position, lacking
from sync.protocol.records import Priority


def position(connection: sqlite3.Connection) -> Position | None:
    """See `RecordStore.position`."""
    row = connection.execute("SELECT * FROM core_own").fetchone()
    return None if row is None else Position(int(row["epoch"]), tuple(int(row[f"highest_{p}"]) for p in Priority))


def holdings(connection: sqlite3.Connection, peer: str) -> tuple[Holding, ...]:
    """See `RecordStore.holdings`: what was committed of that kit's, with its gaps."""
    rows = connection.execute(
        "SELECT epoch, count(*), max(seq) FROM core_records WHERE origin = ? "
        "GROUP BY epoch ORDER BY epoch DESC LIMIT ?",
        (peer, MAX_HOLDINGS),
    ).fetchall()
    return tuple(
        Holding(int(epoch), int(newest) + 1) if count == newest else _with_gaps(connection, peer, int(epoch))
        for epoch, count, newest in rows
    ) or (NOTHING,)


def _with_gaps(connection: sqlite3.Connection, peer: str, epoch: int) -> Holding:
    ends = connection.execute(
        "SELECT before + 1, seq FROM (SELECT seq, lag(seq, 1, 0) OVER (ORDER BY seq) AS before FROM core_records "
        "WHERE origin = ? AND epoch = ?) WHERE seq != before + 1 ORDER BY seq LIMIT ?",
        (peer, epoch, MAX_RANGES + 1),
    ).fetchall()
    (newest,) = connection.execute(
        "SELECT max(seq) FROM core_records WHERE origin = ? AND epoch = ?", (peer, epoch)
    ).fetchone()
    starts = [int(after) for _, after in ends]
    stops = [int(gap) for gap, _ in ends[1:]] + [int(newest) + 1]
    return Holding(epoch, int(ends[0][0]), tuple(zip(starts, stops, strict=False))[:MAX_RANGES])


def refill(connection: sqlite3.Connection, peer: str, told: Sequence[Holding]) -> int:
    """See `RecordStore.refill`, in the caller's transaction."""
    epochs = connection.execute(
        "SELECT epoch, max(seq) FROM core_records WHERE origin = (SELECT origin FROM core_own) AND addressee = ? "
        "GROUP BY epoch",
        (peer,),
    )
    gaps = list(lacking(told, {int(row[0]): int(row[1]) for row in epochs}))
    changed = connection.executemany(
        "UPDATE core_records SET accepted_ms = NULL WHERE origin = (SELECT origin FROM core_own) AND epoch = ? "
        "AND seq >= ? AND seq < ? AND addressee = ? AND accepted_ms IS NOT NULL",
        [(*gap, peer) for gap in gaps],
    ).rowcount
    return max(changed, 0)
