"""What the core holds of its kits, as short as an acknowledgement on a stick says it: a digest beside each name.

A stick is told of everything that came within ninety days. Without this table each filling would read the body of every
record of every kit, wherever in the file it lies.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from sync.protocol.records import Held, Record, RecordId, digest_of

if TYPE_CHECKING:
    import sqlite_utils

SQL = """
CREATE TABLE core_digests (
    origin TEXT NOT NULL, received_ms INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
    digest BLOB NOT NULL, PRIMARY KEY (origin, received_ms, epoch, seq)
) WITHOUT ROWID
"""


def make(db: sqlite_utils.Database) -> None:
    """The table, for a core that may hold records already: some ten seconds for a million of them, once."""
    db.execute(SQL)
    db.conn.create_function("held_digest", 2, digest_of, deterministic=True)
    db.execute(
        "INSERT INTO core_digests SELECT origin, received_ms, epoch, seq, held_digest(kind, body) FROM core_records "
        "WHERE outcome IS NOT NULL"
    )


def note(connection: sqlite3.Connection, record: Record, *, at_ms: int) -> None:
    """That record was taken."""
    connection.execute(
        "INSERT INTO core_digests VALUES (?, ?, ?, ?, ?)",
        (record.id.origin, at_ms, record.id.epoch, record.id.seq, digest_of(record.kind, record.body)),
    )


def held_from(connection: sqlite3.Connection, peer: str, *, since_ms: int) -> list[Held]:
    """What came from that kit since then and was committed."""
    rows = connection.execute(
        "SELECT epoch, seq, digest FROM core_digests WHERE origin = ? AND received_ms >= ?", (peer, since_ms)
    )
    return [Held(RecordId(peer, epoch, seq), digest) for epoch, seq, digest in rows]
