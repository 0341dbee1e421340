"""Messages between people, and how far each record for a kit has come.

A message is its record: nothing is copied. Whose word counts: a kit's acknowledgement makes a record *delivered*;
only a person, at the kit or here, makes it *read*. Whoever wrote it is told of both by a custody record, and of a
message to a kit that the core does not have (any more).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from kit.model.custody import KIND as CUSTODY
from kit.model.custody import LIFETIME_S, MAX_TOLD, CustodyNote, custody_body
from kit.model.letters import KIND as MESSAGE
from kit.model.letters import LetterError, letter_from_body
from sync.core import own_rows
from sync.core.store import LetterRow, OwnRecord
from sync.protocol.records import Priority, RecordId

_SENT = """
SELECT number, origin, epoch, seq, kind, priority, created_ms, lifetime_s, length(body) AS size_bytes, addressee, body,
       to_send, sent_by, link, received_ms, left_ms, accepted_ms, read_ms, read_by, 1 AS asks, undeliverable_ms,
       NULL AS opened_ms, 0 AS withdrawn, 0 AS withdraws
       FROM core_records
"""

_SHARED = """
SELECT r.number, origin, epoch, seq, kind, priority, created_ms, lifetime_s, length(body) AS size_bytes,
       m.unit AS addressee, body, 1 AS to_send, m.link AS sent_by, '' AS link, received_ms, m.left_ms, m.accepted_ms,
       m.read_ms, m.read_by, NOT (kind = 'alert' AND b.alert = '') AS asks, NULL AS undeliverable_ms,
       m.opened_ms, b.withdrawn_by IS NOT NULL AS withdrawn,
       EXISTS (SELECT 1 FROM core_broadcasts w WHERE w.withdrawn_by = m.number) AS withdraws
       FROM core_multicast m
       JOIN core_records r ON r.number = m.number JOIN core_broadcasts b ON b.number = m.number
"""
"""What is for many kits, a row for each; the end of a warning asks nobody for a receipt."""


def tell_author(
    connection: sqlite3.Connection,
    origin: str,
    records: Sequence[RecordId],
    *,
    read: bool,
    person: str,
    now_ms: int,
    undeliverable: bool = False,
) -> None:
    """Write the custody records that tell a kit how far records of its have come, in the caller's transaction.

    Nothing is told of custody records themselves: that would never end.
    """
    names = iter([(each.epoch, each.seq) for each in records if _kind(connection, each) != CUSTODY])
    while some := tuple(islice(names, MAX_TOLD)):
        own_rows.write(
            connection,
            addressee=origin,
            kind=CUSTODY,
            priority=Priority.RECEIPT,
            body=custody_body(
                CustodyNote(read=read, at_ms=now_ms, told=some, person=person, undeliverable=undeliverable)
            ),
            now_ms=now_ms,
            lifetime_s=LIFETIME_S,
        )


def say_undeliverable(connection: sqlite3.Connection, addressees: Iterable[str], *, now_ms: int) -> None:
    """Messages that wait for a kit which is none of this core's go no further, and their authors are told.

    Args:
        connection: in a transaction.
        addressees: unit ids; those of enrolled kits are passed over.
        now_ms: Unix ms.
    """
    for unit in sorted(set(addressees)):
        if connection.execute("SELECT 1 FROM core_kits WHERE unit = ?", (unit,)).fetchone():
            continue
        rows = connection.execute(
            "UPDATE core_records SET undeliverable_ms = ?1, "
            "lifetime_s = min(coalesce(lifetime_s, 1 << 40), max((?1 - created_ms) / 1000, 0)) "
            "WHERE to_send = 1 AND accepted_ms IS NULL AND addressee = ?2 AND kind = ?3 AND undeliverable_ms IS NULL "
            "AND (lifetime_s IS NULL OR created_ms + lifetime_s * 1000 > ?1) RETURNING origin, epoch, seq",
            (now_ms, unit, MESSAGE),
        ).fetchall()
        (own,) = connection.execute("SELECT origin FROM core_own").fetchone()
        by_author: dict[str, list[RecordId]] = {}
        for row in rows:
            by_author.setdefault(row["origin"], []).append(RecordId(*row))
        for origin, records in by_author.items():
            if origin != own:
                tell_author(connection, origin, records, read=False, person="", now_ms=now_ms, undeliverable=True)


def mark_read(connection: sqlite3.Connection, number: int, *, person: str, now_ms: int) -> bool:
    """See `CoreStore.mark_read`."""
    row = connection.execute(
        "UPDATE core_records SET read_ms = ?, read_by = ? "
        "WHERE number = ? AND kind = ? AND outcome IS NOT NULL AND to_send = 0 AND read_ms IS NULL "
        "RETURNING origin, epoch, seq",
        (now_ms, person, number, MESSAGE),
    ).fetchone()
    if row is None:
        return False
    record = RecordId(*row)
    tell_author(connection, record.origin, [record], read=True, person=person, now_ms=now_ms)
    return True


def own_records(connection: sqlite3.Connection, *, limit: int) -> list[OwnRecord]:
    """See `CoreStore.own_records`."""
    rows = connection.execute(
        f"SELECT * FROM ({_SENT} WHERE to_send = 1 UNION ALL {_SHARED}) ORDER BY accepted_ms IS NOT NULL, "  # noqa: S608 - our constants
        "CASE WHEN accepted_ms IS NULL THEN priority END, number DESC, addressee LIMIT ?",
        (limit,),
    )
    return [_sent(row) for row in rows]


def messages(connection: sqlite3.Connection, *, limit: int) -> list[LetterRow]:
    """See `CoreStore.messages`."""
    rows = connection.execute(
        f"{_SENT} WHERE kind = 'message' AND outcome IS NOT 'undecodable' ORDER BY number DESC LIMIT ?",
        (limit,),
    )
    return list(_letters(rows))


def _letters(rows: Iterator[sqlite3.Row]) -> Iterator[LetterRow]:
    for row in rows:
        try:
            letter = letter_from_body(row["body"])
        except LetterError:
            continue
        yield LetterRow(
            number=row["number"],
            sent=_sent(row),
            text=letter.text,
            author=letter.author,
            for_core=not row["to_send"],
        )


def _sent(row: sqlite3.Row) -> OwnRecord:
    return OwnRecord(
        id=RecordId(row["origin"], row["epoch"], row["seq"]),
        kind=row["kind"],
        priority=Priority(row["priority"]),
        created_ms=row["created_ms"],
        lifetime_s=row["lifetime_s"],
        size_bytes=row["size_bytes"],
        addressee=row["addressee"],
        link=row["sent_by"] if row["to_send"] else row["link"],
        left_ms=row["left_ms"],
        accepted_ms=row["accepted_ms"] if row["to_send"] else row["received_ms"],
        read_ms=row["read_ms"],
        read_by=row["read_by"],
        asks=bool(row["asks"]),
        undeliverable=row["undeliverable_ms"] is not None,
        opened_ms=row["opened_ms"],
        withdrawn=bool(row["withdrawn"]),
        withdraws=bool(row["withdraws"]),
    )


def _kind(connection: sqlite3.Connection, record: RecordId) -> str:
    row = connection.execute(
        "SELECT kind FROM core_records WHERE origin = ? AND epoch = ? AND seq = ?", record
    ).fetchone()
    return "" if row is None else str(row[0])
