"""New names for records whose names a kit knows as other records': the core's store was set back to an older copy.

The kit keeps such records apart and says so (`docs/sync-protocol.md`). What the core itself wrote goes on under names
of a new epoch, and so does all that it writes from then on. What is another kit's cannot be named anew by the core:
its author is told that it will not be delivered.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from sync.core import letters, own_rows, record_rows
from sync.protocol.multicast import EVERYBODY
from sync.protocol.records import Held, RecordId, digest_of


def rename(connection: sqlite3.Connection, kept_apart: Collection[Held], *, peer: str, now_ms: int) -> None:
    """See `RecordStore.rename`; in the caller's transaction."""
    (own, epoch) = connection.execute("SELECT origin, epoch FROM core_own").fetchone()
    begun = False
    for record, digest in sorted(kept_apart):
        row = connection.execute(
            "SELECT number, kind, priority, body FROM core_records "
            "WHERE origin = ? AND epoch = ? AND seq = ? AND addressee IN (?, ?)",
            (*record, peer, EVERYBODY),
        ).fetchone()
        if row is None or digest_of(row["kind"], row["body"]) != digest:
            continue
        if record.origin != own:
            _give_up(connection, record, now_ms=now_ms)
            continue
        if not begun and record.epoch == epoch:
            record_rows.start_epoch(connection)
            begun = True
        new = own_rows.next_name(connection, row["priority"])
        connection.execute("UPDATE core_records SET epoch = ?, seq = ? WHERE number = ?", (*new[1:], row["number"]))


def _give_up(connection: sqlite3.Connection, record: RecordId, *, now_ms: int) -> None:
    given_up = connection.execute(
        "UPDATE core_records SET to_send = 0, undeliverable_ms = ? "
        "WHERE origin = ? AND epoch = ? AND seq = ? AND to_send = 1 AND accepted_ms IS NULL",
        (now_ms, *record),
    )
    if given_up.rowcount:
        letters.tell_author(
            connection, record.origin, [record], read=False, person="", now_ms=now_ms, undeliverable=True
        )
