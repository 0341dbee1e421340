"""How far own records have come beyond the core: delivered to the kit they are for, read by a person there, or neither.

Invariant: custody only moves forward, and only on the word of the record that says so, in that record's transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from kit.model.custody import CustodyError, custody_from_body
from kit.store.facts import count_change
from sync.protocol.records import Custody, Record, RecordId

SUBJECT = "records"
"""What pages that show custody depend on (`kit.store.facts.change_versions`)."""


def note_custody(
    connection: sqlite3.Connection, ids: Iterable[RecordId], custody: Custody, *, at_ms: int, person: str = ""
) -> None:
    """The core says that records of ours were delivered, or read by a person. The first time counts."""
    column = {Custody.DELIVERED: "delivered_ms", Custody.READ: "read_ms"}[custody]
    connection.executemany(
        f"UPDATE records SET {column} = ?, read_by = CASE WHEN ? = '' THEN read_by ELSE ? END "  # noqa: S608 - one of two constants
        f"WHERE origin = ? AND epoch = ? AND seq = ? AND taken_ms IS NULL AND {column} IS NULL",
        [(at_ms, person, person, *each) for each in ids],
    )
    count_change(connection, SUBJECT)


def note_undeliverable(connection: sqlite3.Connection, ids: Iterable[RecordId], *, at_ms: int) -> None:
    """The core knows no kit that records of ours are for. What has reached it all the same stays delivered."""
    connection.executemany(
        "UPDATE records SET undeliverable_ms = ? WHERE origin = ? AND epoch = ? AND seq = ? AND taken_ms IS NULL "
        "AND addressee <> '' AND undeliverable_ms IS NULL AND delivered_ms IS NULL AND read_ms IS NULL",
        [(at_ms, *each) for each in ids],
    )
    count_change(connection, SUBJECT)


def hear_custody(connection: sqlite3.Connection, record: Record) -> None:
    """Records of ours have come further. What cannot be read is kept like any other record, and changes nothing."""
    try:
        note = custody_from_body(record.body)
    except CustodyError:
        return
    if note.opened:
        return  # nothing that a kit writes is a file
    (origin,) = connection.execute("SELECT origin FROM unit_epoch").fetchone()
    names = [RecordId(origin, *name) for name in note.told]
    if note.undeliverable:
        note_undeliverable(connection, names, at_ms=note.at_ms)
        return
    note_custody(
        connection,
        names,
        Custody.READ if note.read else Custody.DELIVERED,
        at_ms=note.at_ms,
        person=note.person if note.read else "",
    )
