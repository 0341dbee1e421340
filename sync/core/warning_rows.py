"""The core's own warnings: which there are, how far each has come, and what follows one.

Invariant: what follows a warning goes to exactly the kits that the warning was for, in the transaction that stops the
warning itself: a kit that has not got it by then hears only how things stand.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from kit.model.alert import from_record_body
from sync.core import broadcast_rows
from sync.core.store import WarningRow
from sync.protocol.records import Priority, RecordId


def warnings(connection: sqlite3.Connection) -> list[WarningRow]:
    """See `CoreStore.warnings`."""
    rows = connection.execute(
        "SELECT b.number, b.everybody, r.body, count(m.unit) AS kits, count(m.accepted_ms) AS accepted, "
        "count(m.read_ms) AS read FROM core_broadcasts b JOIN core_records r ON r.number = b.number "
        "LEFT JOIN core_multicast m ON m.number = b.number WHERE r.kind = 'alert' GROUP BY b.number ORDER BY b.number"
    )
    return [
        WarningRow(
            number=row["number"],
            alert=from_record_body(row["body"]),
            everybody=bool(row["everybody"]),
            kits=row["kits"],
            accepted=row["accepted"],
            read=row["read"],
        )
        for row in rows
    ]


def follow(
    connection: sqlite3.Connection, earlier: Sequence[int], *, body: bytes, now_ms: int, lifetime_s: int, alert: str
) -> RecordId:
    """See `CoreStore.follow`."""
    first = earlier[0]
    (everybody,) = connection.execute("SELECT everybody FROM core_broadcasts WHERE number = ?", (first,)).fetchone()
    units = connection.execute("SELECT unit FROM core_multicast WHERE number = ?", (first,)).fetchall()
    connection.executemany(
        "UPDATE core_records SET lifetime_s = max((? - created_ms) / 1000, 0) WHERE number = ? "
        "AND created_ms + lifetime_s * 1000 > ?",
        [(now_ms, number, now_ms) for number in earlier],
    )
    return broadcast_rows.publish(
        connection,
        kind="alert",
        priority=Priority.DISTRESS,
        body=body,
        now_ms=now_ms,
        lifetime_s=lifetime_s,
        units=None if everybody else [str(unit) for (unit,) in units],
        alert=alert,
    )
