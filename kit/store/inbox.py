"""Records that came from elsewhere: reading them, and telling their author that a person has."""

from __future__ import annotations

import sqlite3

from kit.model.custody import KIND, LIFETIME_S, CustodyNote, custody_body
from kit.store.records import COLUMNS, record_of, write_record
from sync.protocol.records import Priority, Record, RecordId


def received(connection: sqlite3.Connection, kind: str, *, after: int, limit: int) -> list[tuple[int, Record]]:
    """Records of that kind that came from elsewhere, each with its number, in the order in which they came.

    Args:
        connection: to the kit's store.
        kind: which.
        after: the number of the last one already dealt with; 0 = from the first.
        limit: at most so many.
    """
    rows = connection.execute(
        f"SELECT number, {COLUMNS} FROM records "  # noqa: S608 - our constant
        "WHERE taken_ms IS NOT NULL AND kind = ? AND number > ? ORDER BY number LIMIT ?",
        (kind, after, limit),
    )
    return [(int(row["number"]), record_of(row)) for row in rows]


def mark_read(connection: sqlite3.Connection, record: RecordId, *, person: str, at_ms: int) -> bool:
    """A person here has read a record from elsewhere; its author is told. Once: later readers change nothing.

    Args:
        connection: inside a transaction.
        record: its name.
        person: as they named themselves, or "".
        at_ms: Unix ms.

    Returns:
        Whether it was news. False also where there is no such record from elsewhere.
    """
    if not _mark(connection, record, person=person, at_ms=at_ms):
        return False
    _tell(connection, record, CustodyNote(read=True, at_ms=at_ms, told=((record.epoch, record.seq),), person=person))
    return True


def mark_opened(connection: sqlite3.Connection, record: RecordId, *, at_ms: int) -> bool:
    """Somebody's browser was given the file in a record from elsewhere; its author is told, and told no more than that.

    Once for each record: how often a file is opened, and by whom, stays here. The time is kept where that of reading a
    message is.

    Args:
        connection: inside a transaction.
        record: its name.
        at_ms: Unix ms.

    Returns:
        Whether it was news. False also where there is no such record from elsewhere.
    """
    if not _mark(connection, record, person="", at_ms=at_ms):
        return False
    _tell(connection, record, CustodyNote(read=False, opened=True, at_ms=at_ms, told=((record.epoch, record.seq),)))
    return True


def _mark(connection: sqlite3.Connection, record: RecordId, *, person: str, at_ms: int) -> bool:
    marked = connection.execute(
        "UPDATE records SET read_ms = ?, read_by = ? "
        "WHERE origin = ? AND epoch = ? AND seq = ? AND taken_ms IS NOT NULL AND read_ms IS NULL",
        (at_ms, person, *record),
    )
    return bool(marked.rowcount)


def _tell(connection: sqlite3.Connection, record: RecordId, note: CustodyNote) -> None:
    write_record(
        connection,
        kind=KIND,
        priority=Priority.RECEIPT,
        body=custody_body(note),
        created_ms=note.at_ms,
        lifetime_s=LIFETIME_S,
        addressee=record.origin,
    )
