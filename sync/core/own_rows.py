"""The core's own records, as it writes them: each numbered and waiting for its kit in one transaction."""

from __future__ import annotations

import sqlite3

from kit.store.database import StoreError
from sync.protocol.records import Priority, RecordId

COLUMNS = "origin, epoch, seq, kind, priority, created_ms, lifetime_s, addressee, body"
"""Of a record, in `core_records`."""


def write(
    connection: sqlite3.Connection,
    *,
    addressee: str,
    kind: str,
    priority: int,
    body: bytes,
    now_ms: int,
    lifetime_s: int | None = None,
) -> RecordId:
    """Write a record of the core's own for a kit, in the caller's transaction.

    Raises:
        StoreError: `set_origin` was never called.
    """
    told = next_name(connection, priority)
    connection.execute(
        f"INSERT INTO core_records ({COLUMNS}, to_send) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",  # noqa: S608 - our constant
        (*told, kind, int(Priority(priority)), now_ms, lifetime_s, addressee, body),
    )
    return told


def next_name(connection: sqlite3.Connection, priority: int) -> RecordId:
    """The name of the core's next record, in the caller's transaction.

    Raises:
        StoreError: `set_origin` was never called.
    """
    row = connection.execute(
        f"UPDATE core_own SET last_seq = last_seq + 1, highest_{int(Priority(priority))} = last_seq + 1 "  # noqa: S608 - 0 to 5
        "RETURNING origin, epoch, last_seq"
    ).fetchone()
    if row is None:
        raise StoreError("the store has no core yet; run `kit core init`")
    return RecordId(str(row[0]), int(row[1]), int(row[2]))
