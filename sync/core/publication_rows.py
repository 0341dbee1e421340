"""The files that the core has published, from its tables; and taking one back.

Invariant: what takes a file back goes to every kit that any version of it was for, in the transaction that stops these
versions themselves: a kit that has not got one by then does not get it any more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress

from kit.health.times import rfc3339
from kit.model.published import KINDS, PublishedError, Withdrawal, name_from_body, withdrawal_body
from kit.store.database import StoreError
from sync.core import broadcast_rows
from sync.core.publications import Copy, Publication
from sync.protocol.records import Priority, RecordId

_KINDS = ", ".join(f"'{kind}'" for kind in KINDS)

_FILES = f"""
SELECT r.number, r.origin, r.epoch, r.seq, r.kind, r.created_ms, r.body, b.withdrawn_by, w.created_ms AS withdrawn_ms
       FROM core_broadcasts b JOIN core_records r ON r.number = b.number
       LEFT JOIN core_records w ON w.number = b.withdrawn_by
       WHERE r.kind IN ({_KINDS}) AND NOT EXISTS (SELECT 1 FROM core_broadcasts t WHERE t.withdrawn_by = b.number)
"""  # noqa: S608 - our constant


def publications(connection: sqlite3.Connection, *, limit: int) -> list[Publication]:
    """See `PublicationStore.publications`. What only a newer version of this program can read is left out."""
    rows = connection.execute(f"{_FILES} ORDER BY b.number DESC LIMIT ?", (limit,))
    return [
        Publication(
            number=row["number"],
            record=RecordId(row["origin"], row["epoch"], row["seq"]),
            kind=row["kind"],
            name=name,
            by=by,
            size_bytes=len(row["body"]),
            published_ms=row["created_ms"],
            copies=_copies(connection, row["number"], row["withdrawn_by"]),
            withdrawn_ms=row["withdrawn_ms"],
        )
        for row, name, by in _named(rows)
    ]


def withdraw(connection: sqlite3.Connection, number: int, *, now_ms: int) -> RecordId:
    """See `PublicationStore.withdraw`, in the caller's transaction."""
    files = list(_named(connection.execute(_FILES)))
    meant = next(((row, name) for row, name, _ in files if row["number"] == number), None)
    if meant is None:
        raise StoreError(f"nothing was published as number {number}; kit core published lists them")
    (found, name) = meant
    if found["withdrawn_by"] is not None:
        raise StoreError(f"number {number} ({name}) was withdrawn before, on {rfc3339(found['withdrawn_ms'])}")
    versions = [
        row["number"]
        for row, called, _ in files
        if (row["kind"], called, row["withdrawn_by"]) == (found["kind"], name, None)
    ]
    marks = ", ".join("?" * len(versions))
    units = connection.execute(
        "SELECT DISTINCT m.unit FROM core_multicast m JOIN core_kits k ON k.unit = m.unit "  # noqa: S608 - question marks
        f"WHERE m.number IN ({marks}) ORDER BY m.unit",
        versions,
    ).fetchall()
    record = broadcast_rows.publish(
        connection,
        kind=found["kind"],
        priority=Priority.MESSAGE,
        body=withdrawal_body(Withdrawal(name)),
        now_ms=now_ms,
        lifetime_s=None,
        units=[str(unit) for (unit,) in units],
    )
    connection.execute(
        "UPDATE core_broadcasts SET withdrawn_by = (SELECT number FROM core_records WHERE origin = ? AND epoch = ? "  # noqa: S608 - question marks
        f"AND seq = ?) WHERE number IN ({marks})",
        (*record, *versions),
    )
    connection.execute(
        f"UPDATE core_records SET lifetime_s = max((? - created_ms) / 1000, 0) WHERE number IN ({marks})",  # noqa: S608 - question marks
        (now_ms, *versions),
    )
    return record


def _named(rows: sqlite3.Cursor) -> Iterator[tuple[sqlite3.Row, str, str]]:
    for row in rows:
        with suppress(PublishedError):  # only a newer version of this program can read it
            yield (row, *name_from_body(row["body"]))


def _copies(connection: sqlite3.Connection, number: int, withdrawn_by: int | None) -> tuple[Copy, ...]:
    rows = connection.execute(
        "SELECT m.unit, m.link, m.left_ms, m.accepted_ms, m.opened_ms, w.accepted_ms AS gone_ms FROM core_multicast m "
        "LEFT JOIN core_kits k ON k.unit = m.unit "
        "LEFT JOIN core_multicast w ON w.unit = m.unit AND w.number = ? "
        "WHERE m.number = ? ORDER BY k.name COLLATE NOCASE, m.unit",
        (withdrawn_by, number),
    )
    return tuple(Copy(**dict(row)) for row in rows)
