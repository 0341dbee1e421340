"""Whose records these are, and how they are named: an epoch that each life of the store has for itself, and a count."""

from __future__ import annotations

import sqlite3

from kit.store.database import StoreError
from sync.protocol.records import Priority, RecordId

EPOCH_STEP = 2**20
"""A new epoch is at most this much above the last. It is drawn at random, because the same backup may be restored twice
and must not give two lives the same name; and small, because it travels in every frame."""


def set_origin(connection: sqlite3.Connection, unit: str) -> None:
    """Name the unit whose records these are. The first call counts; the same name again changes nothing.

    Raises:
        StoreError: the store belongs to another unit.
    """
    row = connection.execute("SELECT origin FROM unit_epoch").fetchone()
    if row is None:
        connection.execute(
            "INSERT INTO unit_epoch (only_one, origin, epoch, last_seq) VALUES (1, ?, ?, 0)", (unit, _epoch_after(0))
        )
    elif row[0] != unit:
        raise StoreError(
            f"this store belongs to {row[0]} but the keys are those of {unit}; put the right keys/ beside kit.db, "
            f"or start with an empty home"
        )


def start_epoch(connection: sqlite3.Connection, *, above: int = 0) -> int:
    """Begin a new epoch, as whoever restores a backup must; returns it. It is later than `above`, too."""
    row = connection.execute("SELECT epoch FROM unit_epoch").fetchone()
    if row is None:
        raise StoreError("the store has no unit yet; start the kit once (kit run)")
    epoch = _epoch_after(max(int(row[0]), above))
    connection.execute(
        "UPDATE unit_epoch SET epoch = ?, last_seq = 0, highest_0 = 0, highest_1 = 0, highest_2 = 0, highest_3 = 0, "
        "highest_4 = 0, highest_5 = 0",
        (epoch,),
    )
    return epoch


def next_name(connection: sqlite3.Connection, priority: int) -> RecordId:
    """The name of the next record of ours.

    Args:
        connection: inside a transaction.
        priority: of that record.

    Raises:
        StoreError: `set_origin` was never called.
    """
    row = connection.execute(
        f"UPDATE unit_epoch SET last_seq = last_seq + 1, highest_{int(Priority(priority))} = last_seq + 1 "  # noqa: S608 - 0 to 5
        "RETURNING origin, epoch, last_seq"
    ).fetchone()
    if row is None:
        raise StoreError("the store has no unit yet; start the kit once (kit run)")
    return RecordId(str(row[0]), int(row[1]), int(row[2]))


def _epoch_after(epoch: int) -> int:
    import secrets

    return epoch + 1 + secrets.randbelow(EPOCH_STEP)
