"""The queue as people see it: which records wait, by which link each has left, and who has it (`kit queue ls`).

Reading changes nothing. "left" is said of a record that was handed whole to a link, "accepted" only once the core has
said that it committed it: the difference is what a technician looks for when a link is deaf.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from kit.model.record_kinds import MESSAGE
from kit.model.times import rfc3339

if TYPE_CHECKING:
    from sync.protocol.records import Custody, RecordId

_FIELDS = """number, origin, epoch, seq, kind, priority, created_ms, lifetime_s, addressee, length(body) AS bytes,
       left_ms, accepted_ms, delivered_ms, undeliverable_ms, read_ms, read_by"""

_AHEAD = """sum(lifetime_s IS NULL OR created_ms + lifetime_s * 1000 > :now) OVER (
    ORDER BY priority, number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"""
"""How many records go before this one: what has expired no longer stands in the way."""

_WANTED = "(:priority IS NULL OR priority = :priority) AND (:kind IS NULL OR kind = :kind)"


def queue(
    connection: sqlite3.Connection,
    *,
    limit: int,
    waiting_only: bool = False,
    priority: int | None = None,
    kind: str | None = None,
    now_ms: int = -(2**62),
) -> list[dict[str, Any]]:
    """Own records: those that wait, in the order in which they will go, then those last accepted.

    Args:
        connection: to the kit's store.
        limit: at most so many rows.
        waiting_only: leave out what the core has.
        priority: only these; None = all.
        kind: only these; None = all.
        now_ms: tells what has expired, Unix ms.
    """
    values = {"priority": priority, "kind": kind, "now": now_ms, "limit": limit}
    rows = connection.execute(
        f"SELECT * FROM (SELECT {_FIELDS}, {_AHEAD} AS ahead FROM records INDEXED BY records_pending "  # noqa: S608 - our constants
        f"WHERE pending = 1) WHERE {_WANTED} ORDER BY priority, number LIMIT :limit",
        values,
    ).fetchall()
    if not waiting_only and len(rows) < limit:
        rows += connection.execute(
            f"SELECT {_FIELDS}, 0 AS ahead FROM records WHERE accepted_ms IS NOT NULL AND {_WANTED} "  # noqa: S608 - our constants
            "ORDER BY accepted_ms DESC, number DESC LIMIT :limit",
            values | {"limit": limit - len(rows)},
        ).fetchall()
    return [_as_json(connection, row, now_ms) for row in rows]


def queue_counts(connection: sqlite3.Connection, *, now_ms: int | None = None) -> dict[int, int]:
    """How many own records of each priority the core has not accepted.

    Args:
        connection: to the kit's store.
        now_ms: leave out what has expired by then.
    """
    rows = connection.execute(
        "SELECT priority, count(*) FROM records INDEXED BY records_pending WHERE pending = 1 "
        "AND (?1 IS NULL OR lifetime_s IS NULL OR created_ms + lifetime_s * 1000 > ?1) GROUP BY priority",
        (now_ms,),
    )
    return {int(priority): int(count) for priority, count in rows}


def retry(connection: sqlite3.Connection, ids: Iterable[RecordId] | Literal["all"]) -> int:
    """Ask the sync service to send these records at once, whatever their back-off; returns how many still wait.

    Args:
        connection: inside a transaction.
        ids: which; one that the core has, or that does not exist, is passed over.
    """
    if ids == "all":
        connection.execute("INSERT OR IGNORE INTO record_retries SELECT number FROM records WHERE pending = 1")
        return sum(queue_counts(connection).values())
    found = 0
    for each in ids:
        waiting = "FROM records WHERE pending = 1 AND origin = ? AND epoch = ? AND seq = ?"
        connection.execute(f"INSERT OR IGNORE INTO record_retries SELECT number {waiting}", each)
        found += int(connection.execute(f"SELECT count(*) {waiting}", each).fetchone()[0])
    return found


def _as_json(connection: sqlite3.Connection, row: sqlite3.Row, now_ms: int) -> dict[str, Any]:
    links = connection.execute(
        "SELECT link, left_ms, accepted_ms FROM custody WHERE number = ? ORDER BY link", (row["number"],)
    )
    return {
        "origin": row["origin"],
        "epoch": row["epoch"],
        "seq": row["seq"],
        "kind": row["kind"],
        "priority": row["priority"],
        "bytes": row["bytes"],
        "state": _custody(row).value,
        "created": rfc3339(row["created_ms"]),
        "expires": None if row["lifetime_s"] is None else rfc3339(row["created_ms"] + row["lifetime_s"] * 1000),
        "expired": row["accepted_ms"] is None
        and row["lifetime_s"] is not None
        and row["created_ms"] + row["lifetime_s"] * 1000 <= now_ms,
        "undelivered": row["kind"] == MESSAGE
        and bool(row["addressee"])
        and row["accepted_ms"] is not None
        and row["delivered_ms"] is row["read_ms"] is None
        and row["lifetime_s"] is not None
        and row["created_ms"] + row["lifetime_s"] * 1000 <= now_ms,
        "ahead": row["ahead"] or 0,
        "addressee": row["addressee"],
        "left": _time(row["left_ms"]),
        "accepted": _time(row["accepted_ms"]),
        "delivered": _time(row["delivered_ms"]),
        "undeliverable": _time(row["undeliverable_ms"]),
        "read": _time(row["read_ms"]),
        "read_by": row["read_by"],
        "links": [
            {"link": each["link"], "left": _time(each["left_ms"]), "accepted": _time(each["accepted_ms"])}
            for each in links
        ],
    }


def _custody(row: sqlite3.Row) -> Custody:
    from sync.protocol.records import Custody  # counting what waits does without

    for column, custody in (
        ("read_ms", Custody.READ),
        ("delivered_ms", Custody.DELIVERED),
        ("accepted_ms", Custody.ACCEPTED),
        ("left_ms", Custody.LEFT),
    ):
        if row[column] is not None:
            return custody
    return Custody.WRITTEN


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)
