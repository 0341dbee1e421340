"""New names for records whose names the core knows as other records': this store was set back, or its card copied.

The core keeps such records apart and says so (`docs/sync-protocol.md`). It has taken nothing of them, so whoever refers
to one by its number still finds it. All that is written from then on is of the new epoch, too, and meets no name that
the other life has given away.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

from kit.store.epochs import next_name, start_epoch
from kit.store.evidence import note_records
from sync.protocol.records import Held, Record, RecordId, digest_of


def rename(connection: sqlite3.Connection, kept_apart: Collection[Held]) -> list[RecordId]:
    """In the caller's transaction; returns the new names."""
    renamed: list[RecordId] = []
    for record, digest in sorted(kept_apart):
        row = connection.execute(
            "SELECT number, kind, priority, body FROM records "
            "WHERE origin = ? AND epoch = ? AND seq = ? AND pending = 1 AND taken_ms IS NULL",
            record,
        ).fetchone()
        if row is None or digest_of(row["kind"], row["body"]) != digest:
            continue
        (epoch,) = connection.execute("SELECT epoch FROM unit_epoch").fetchone()
        if record.epoch == epoch:  # not so for what follows: the epoch is a new one then
            start_epoch(connection)
        new = next_name(connection, row["priority"])
        connection.execute(
            "UPDATE records SET epoch = ?, seq = ?, left_ms = NULL WHERE number = ?", (*new[1:], row["number"])
        )
        connection.execute("INSERT INTO records_renamed VALUES (?, ?, ?, ?)", (*record, row["number"]))
        connection.execute("DELETE FROM custody WHERE number = ?", (row["number"],))
        note_records(connection, [(*new, row["kind"])])
        renamed.append(new)
    return renamed


def unlike_held(connection: sqlite3.Connection, records: Sequence[Record]) -> list[Record]:
    """Those whose names are held, or come first, as something else."""
    apart: list[Record] = []
    first: dict[RecordId, tuple[str, bytes]] = {}
    for each in records:
        row = connection.execute(
            "SELECT kind, body FROM records WHERE origin = ? AND epoch = ? AND seq = ?", each.id
        ).fetchone()
        held = (each.kind, each.body) if row is None else (row["kind"], bytes(row["body"]))
        if first.setdefault(each.id, held) != (each.kind, each.body):
            apart.append(each)
    return apart
