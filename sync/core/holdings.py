"""What the core tells of itself in its beacons, and what follows from a kit's: both may be rebuilt from backups."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from sync.core import broadcast_custody
from sync.protocol.beacons import Holding, Position, lacking
from sync.protocol.records import Priority


def position(connection: sqlite3.Connection) -> Position | None:
    """See `RecordStore.position`."""
    row = connection.execute("SELECT * FROM core_own").fetchone()
    return None if row is None else Position(int(row["epoch"]), tuple(int(row[f"highest_{p}"]) for p in Priority))


def refill(connection: sqlite3.Connection, peer: str, told: Sequence[Holding]) -> int:
    """See `RecordStore.refill`, in the caller's transaction."""
    epochs = connection.execute(
        "SELECT epoch, max(seq) FROM core_records WHERE origin = (SELECT origin FROM core_own) "
        "AND addressee IN (?, '*') GROUP BY epoch",
        (peer,),
    )
    gaps = list(lacking(told, {int(row[0]): int(row[1]) for row in epochs}))
    changed = connection.executemany(
        "UPDATE core_records SET accepted_ms = NULL WHERE origin = (SELECT origin FROM core_own) AND epoch = ? "
        "AND seq >= ? AND seq < ? AND addressee = ? AND accepted_ms IS NOT NULL",
        [(*gap, peer) for gap in gaps],
    ).rowcount
    return max(changed, 0) + broadcast_custody.refill(connection, peer, gaps)
