"""Records in the core's tables: taken from kits, refused, and the core's own on their way to kits.

Invariant: a record and what became of it are written in one transaction. A kit speaks for itself only: a record under
another unit's name, or one that differs from what is held under its name, is kept apart with the reason.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

from kit.model.custody import KIND as CUSTODY
from kit.store.database import Database, StoreError
from sync.core import digest_rows
from sync.core.applied_rows import UNREADABLE, apply, known_kinds
from sync.core.own_rows import COLUMNS
from sync.core.store import Outcome
from sync.protocol.records import Held, Priority, Record, RecordId, digest_of

PAGE_RECORDS = 200
"""Loaded at once when everything is wanted."""

IDS_PER_QUERY = 200
"""Three variables each; SQLite's default limit of variables was 999 for long."""

REFUSED_KEPT_PER_PEER = 1000
"""A kit gone mad must not fill the core's disk; beyond this the latest are only counted on the last one."""

EPOCH_STEP = 2**20
"""As for kits: drawn at random, so that a core restored twice from one backup never gives two records one name."""


def take(
    database: Database,
    records: Sequence[Record],
    *,
    peer: str,
    link: str,
    at_ms: int,
    refused_kept: int = REFUSED_KEPT_PER_PEER,
) -> list[Record]:
    """See `RecordStore.take`; of what is refused, at most `refused_kept` per peer are kept."""
    apart: list[Record] = []
    refuse = partial(_refuse, peer=peer, link=link, at_ms=at_ms, most=refused_kept)
    with database.atomic() as connection:
        for record in records:
            before = _held_as(connection, record.id)
            if record.id.origin != peer:
                reason = f"{peer} sent it under the name of {record.id.origin or 'nobody'}"
                refuse(connection, record, reason)
                apart.append(record)
            elif before is None:
                _insert(connection, record, *_apply(database, record), link=link, at_ms=at_ms)
            elif before != (record.kind, record.body):
                reason = "another record is already held under this name; was a backup restored without a new epoch?"
                refuse(connection, record, reason)
                apart.append(record)
    return apart


def apply_what_was_not(database: Database, *, at_ms: int) -> int:
    """Apply what an earlier version could only keep; returns how many records are now applied."""
    kinds = known_kinds()
    marks = ", ".join("?" * len(kinds))
    mended = 0
    with database.atomic() as connection:
        rows = connection.execute(
            f"SELECT {COLUMNS}, outcome FROM core_records INDEXED BY core_records_not_applied "  # noqa: S608 - question marks
            f"WHERE outcome IN ('raw', 'undecodable') AND kind IN ({marks}) ORDER BY number",
            kinds,
        ).fetchall()
        for row in rows:
            record = record_of(row)
            outcome, reason = _apply(database, record)
            connection.execute(
                "UPDATE core_records SET outcome = ?, reason = ?, applied_ms = ? "
                "WHERE origin = ? AND epoch = ? AND seq = ?",
                (outcome.value, reason, at_ms if outcome is Outcome.APPLIED else None, *record.id),
            )
            _count(connection, record.id.origin, Outcome(row["outcome"]), -1)
            _count(connection, record.id.origin, outcome, 1)
            mended += outcome is Outcome.APPLIED
    return mended


def held(connection: sqlite3.Connection, ids: Iterable[RecordId]) -> set[RecordId]:
    """See `RecordStore.held`. What was refused is not held: its name may be another kit's, still to come."""
    found: set[RecordId] = set()
    left = iter(ids)
    while some := list(islice(left, IDS_PER_QUERY)):
        values = ", ".join(["(?, ?, ?)"] * len(some))
        # CROSS JOIN makes SQLite look each of them up; `IN (VALUES …)` scans the whole index instead
        rows = connection.execute(
            f"WITH wanted (o, e, s) AS (VALUES {values}) SELECT origin, epoch, seq FROM wanted "  # noqa: S608 - question marks
            "CROSS JOIN core_records ON origin = o AND epoch = e AND seq = s",
            [part for each in some for part in each],
        )
        found.update(RecordId(*row) for row in rows)
    return found


def outgoing(connection: sqlite3.Connection, peer: str, *, now_ms: int, limit: int) -> list[Record]:
    """See `RecordStore.outgoing`."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM core_records INDEXED BY core_records_to_send "  # noqa: S608 - our constant
        "WHERE to_send = 1 AND accepted_ms IS NULL AND addressee = ? "
        "AND (lifetime_s IS NULL OR created_ms + lifetime_s * 1000 > ?) ORDER BY priority, number LIMIT ?",
        (peer, now_ms, limit),
    )
    return [record_of(row) for row in rows]


def waited_for_by(connection: sqlite3.Connection, *, now_ms: int) -> set[str]:
    """The kits for which `outgoing` has anything: one look at the index for each kit that there is."""
    rows = connection.execute(
        "SELECT k.unit FROM core_kits k WHERE EXISTS (SELECT 1 FROM core_records INDEXED BY core_records_to_send "
        "WHERE to_send = 1 AND accepted_ms IS NULL AND addressee = k.unit "
        "AND (lifetime_s IS NULL OR created_ms + lifetime_s * 1000 > ?))",
        (now_ms,),
    )
    return {str(unit) for (unit,) in rows}


def backlog(connection: sqlite3.Connection, peer: str, *, now_ms: int) -> Iterator[Record]:
    """The same without an end, a page at a time."""
    after = (-1, -1)
    while True:
        rows = connection.execute(
            f"SELECT number, {COLUMNS} FROM core_records INDEXED BY core_records_to_send "  # noqa: S608 - our constant
            "WHERE to_send = 1 AND accepted_ms IS NULL AND addressee = ? "
            "AND (lifetime_s IS NULL OR created_ms + lifetime_s * 1000 > ?) "
            "AND (priority, number) > (?, ?) ORDER BY priority, number LIMIT ?",
            (peer, now_ms, *after, PAGE_RECORDS),
        ).fetchall()
        if not rows:
            return
        yield from map(record_of, rows)
        after = (int(rows[-1]["priority"]), int(rows[-1]["number"]))


def as_held(connection: sqlite3.Connection, ids: Iterable[RecordId]) -> list[Held]:
    """These records with what is held under their names."""
    found = ((each, _held_as(connection, each)) for each in ids)
    return [Held(each, digest_of(*before)) for each, before in found if before is not None]


def waiting_among(connection: sqlite3.Connection, ids: Sequence[RecordId], *, peer: str) -> list[RecordId]:
    """Those of the core's own records for that kit that it has not accepted."""
    return [
        each
        for each in ids
        if connection.execute(
            "SELECT 1 FROM core_records WHERE origin = ? AND epoch = ? AND seq = ? "
            "AND to_send = 1 AND accepted_ms IS NULL AND addressee = ?",
            (*each, peer),
        ).fetchone()
    ]


def note_left(connection: sqlite3.Connection, ids: Sequence[RecordId], *, peer: str, link: str, at_ms: int) -> None:
    """Records for that kit have left over that link."""
    connection.executemany(
        "UPDATE core_records SET left_ms = ?, sent_by = ? WHERE origin = ? AND epoch = ? AND seq = ? "
        "AND to_send = 1 AND addressee = ? AND left_ms IS NULL",
        [(at_ms, link, *each, peer) for each in ids],
    )


def note_accepted(
    connection: sqlite3.Connection, ids: Sequence[RecordId], *, peer: str, link: str, at_ms: int
) -> dict[str, list[RecordId]]:
    """Records for that kit are committed there. Returns those of other kits, by origin, to tell their authors."""
    delivered: dict[str, list[RecordId]] = {}
    (own,) = connection.execute("SELECT origin FROM core_own").fetchone()
    for each in ids:
        marked = connection.execute(
            "UPDATE core_records SET accepted_ms = ?, sent_by = ? WHERE origin = ? AND epoch = ? AND seq = ? "
            "AND to_send = 1 AND addressee = ? AND accepted_ms IS NULL",
            (at_ms, link, *each, peer),
        )
        if marked.rowcount and each.origin != own:
            delivered.setdefault(each.origin, []).append(each)
    return delivered


def set_origin(connection: sqlite3.Connection, unit: str) -> None:
    """Name the core whose store this is. The first call counts; the same name again changes nothing.

    Raises:
        StoreError: the store belongs to another core.
    """
    row = connection.execute("SELECT origin FROM core_own").fetchone()
    if row is None:
        connection.execute(
            "INSERT INTO core_own (only_one, origin, epoch, last_seq) VALUES (1, ?, ?, 0)", (unit, _first_epoch())
        )
    elif row[0] != unit:
        raise StoreError(
            f"this store belongs to {row[0]} but the keys are those of {unit}; put the right keys/ beside core.db, "
            f"or start with an empty home"
        )


def start_epoch(connection: sqlite3.Connection) -> None:
    """Go on under names that no earlier life of this store has given, in the caller's transaction."""
    connection.execute(
        "UPDATE core_own SET epoch = epoch + ?, last_seq = 0, highest_0 = 0, highest_1 = 0, highest_2 = 0, "
        "highest_3 = 0, highest_4 = 0, highest_5 = 0",
        (_first_epoch(),),
    )


def _insert(
    connection: sqlite3.Connection, record: Record, outcome: Outcome, reason: str, *, link: str, at_ms: int
) -> None:
    connection.execute(
        f"INSERT INTO core_records ({COLUMNS}, link, received_ms, outcome, reason, applied_ms, to_send) "  # noqa: S608 - our constant
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *record.id,
            record.kind,
            int(record.priority),
            record.created_ms,
            record.lifetime_s,
            record.addressee,
            record.body,
            link,
            at_ms,
            outcome.value,
            reason,
            at_ms if outcome is Outcome.APPLIED else None,
            # what this core cannot read may still be plain to the kit it is for; a custody record is checked, though
            int(
                _is_for_another(connection, record) and not (record.kind == CUSTODY and outcome is not Outcome.APPLIED)
            ),
        ),
    )
    digest_rows.note(connection, record, at_ms=at_ms)
    _count(connection, record.id.origin, outcome, 1)


def _is_for_another(connection: sqlite3.Connection, record: Record) -> bool:
    (own,) = connection.execute("SELECT origin FROM core_own").fetchone()
    return record.addressee not in ("", own, record.id.origin)


def _apply(database: Database, record: Record) -> tuple[Outcome, str]:
    """What became of it, and why if it could not be read; a body that is half applied is undone."""
    try:
        with database.atomic() as connection:
            return apply(connection, record), ""
    except UNREADABLE as error:
        return Outcome.UNDECODABLE, (str(error) or type(error).__name__)[:300]


def _count(connection: sqlite3.Connection, origin: str, outcome: Outcome, change: int) -> None:
    connection.execute(
        "INSERT INTO core_counts VALUES (?, ?, ?) "
        "ON CONFLICT (origin, outcome) DO UPDATE SET records = records + excluded.records",
        (origin, outcome.value, change),
    )


def _held_as(connection: sqlite3.Connection, record: RecordId) -> tuple[str, bytes] | None:
    row = connection.execute(
        "SELECT kind, body FROM core_records WHERE origin = ? AND epoch = ? AND seq = ?", record
    ).fetchone()
    return None if row is None else (row["kind"], bytes(row["body"]))


def _refuse(
    connection: sqlite3.Connection, record: Record, reason: str, *, peer: str, link: str, at_ms: int, most: int
) -> None:
    digest = hashlib.blake2b(record.kind.encode() + b"\0" + record.body, digest_size=16).digest()
    name = (peer, *record.id, digest)
    again = connection.execute(
        "UPDATE core_refused SET times = times + 1 "
        "WHERE peer = ? AND origin = ? AND epoch = ? AND seq = ? AND digest = ?",
        name,
    )
    if again.rowcount:
        return
    (kept, last) = connection.execute(
        "SELECT count(*), max(number) FROM core_refused WHERE peer = ?", (peer,)
    ).fetchone()
    if kept >= most:
        connection.execute("UPDATE core_refused SET times = times + 1 WHERE number = ?", (last,))
        return
    connection.execute(
        "INSERT INTO core_refused (peer, origin, epoch, seq, digest, kind, priority, created_ms, body, reason, link, "
        "first_ms, times) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
        (*name, record.kind, int(record.priority), record.created_ms, record.body, reason, link, at_ms),
    )


def record_of(row: sqlite3.Row) -> Record:
    """The record in a row with the columns of one."""
    return Record(
        id=RecordId(row["origin"], row["epoch"], row["seq"]),
        kind=row["kind"],
        priority=Priority(row["priority"]),
        created_ms=row["created_ms"],
        lifetime_s=row["lifetime_s"],
        addressee=row["addressee"],
        body=row["body"],
    )


def _first_epoch() -> int:
    import secrets

    return 1 + secrets.randbelow(EPOCH_STEP)
