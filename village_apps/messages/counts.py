"""How many messages want somebody: for the first page and `kit status`, which must not load all that messages need."""

from __future__ import annotations

import sqlite3

from kit.model.record_kinds import MESSAGE as KIND


def unread(connection: sqlite3.Connection) -> int:
    """How many messages came that nobody says to have read."""
    row = connection.execute(
        "SELECT count(*) FROM records INDEXED BY records_taken "
        "WHERE kind = ? AND taken_ms IS NOT NULL AND read_ms IS NULL",
        (KIND,),
    ).fetchone()
    return int(row[0])


def expired_count(connection: sqlite3.Connection, *, now_ms: int) -> int:
    """How many messages written here ran out of time before the city had them."""
    row = connection.execute(
        "SELECT count(*) FROM records INDEXED BY records_pending "
        "WHERE pending = 1 AND kind = ? AND lifetime_s IS NOT NULL "
        "AND created_ms + lifetime_s * 1000 <= ?",
        (KIND, now_ms),
    ).fetchone()
    return int(row[0])
