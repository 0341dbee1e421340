"""Records of the core's that are for many kits: written once, with the custody of each kit beside them.

The record itself is in `core_records` with the addressee `*`; `core_multicast` has a row for each kit that it is for
(`sync.core.broadcast_custody`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from kit.model.core_key import KIND as CORE_KEY
from sync.core import own_rows, record_rows
from sync.protocol.broadcast import PlannedBroadcast
from sync.protocol.multicast import EVERYBODY
from sync.protocol.records import Priority, Record, RecordId

COLUMNS = "r.origin, r.epoch, r.seq, r.kind, r.priority, r.created_ms, r.lifetime_s, r.addressee, r.body"

LATELY_MS = 2 * 86_400_000
"""Longer than a session tries to finish what it has begun to say."""

_ALIVE = "(r.lifetime_s IS NULL OR r.created_ms + r.lifetime_s * 1000 > ?)"


def publish(
    connection: sqlite3.Connection,
    *,
    kind: str,
    priority: int,
    body: bytes,
    now_ms: int,
    lifetime_s: int | None,
    units: Sequence[str] | None,
    alert: str = "",
) -> RecordId:
    """Write a record for these kits, or for all (None), those that join while it holds included.

    Args:
        connection: inside a transaction.
        kind: what it is.
        priority: how urgent.
        body: of the record.
        now_ms: Unix ms.
        lifetime_s: after this it need not be carried any further; None = for ever.
        units: the kits; None = all.
        alert: the identifier of the warning in it; a receipt of it says that it was read.
    """
    record = own_rows.write(
        connection, addressee=EVERYBODY, kind=kind, priority=priority, body=body, now_ms=now_ms, lifetime_s=lifetime_s
    )
    (number,) = connection.execute(
        "UPDATE core_records SET to_send = 0 WHERE origin = ? AND epoch = ? AND seq = ? RETURNING number", record
    ).fetchone()
    connection.execute(
        "INSERT INTO core_broadcasts (number, everybody, alert) VALUES (?, ?, ?)", (number, units is None, alert)
    )
    if units is None:
        connection.execute("INSERT INTO core_multicast (number, unit) SELECT ?, unit FROM core_kits", (number,))
    else:
        connection.executemany("INSERT INTO core_multicast (number, unit) VALUES (?, ?)", [(number, u) for u in units])
    return record


def published(connection: sqlite3.Connection, kind: str) -> list[bytes]:
    """See `CoreStore.published`."""
    rows = connection.execute(
        "SELECT r.body FROM core_broadcasts b JOIN core_records r ON r.number = b.number WHERE r.kind = ? "
        "ORDER BY b.number",
        (kind,),
    )
    return [bytes(body) for (body,) in rows]


def include(connection: sqlite3.Connection, unit: str, *, now_ms: int) -> None:
    """A kit has joined: what is for all kits and still holds is for it, too."""
    connection.execute(
        "INSERT OR IGNORE INTO core_multicast (number, unit) SELECT b.number, ? FROM core_broadcasts b "  # noqa: S608 - our constant
        f"JOIN core_records r ON r.number = b.number WHERE b.everybody = 1 AND r.lifetime_s IS NOT NULL AND {_ALIVE}",
        (unit, now_ms),
    )


def lack_key(connection: sqlite3.Connection, body: bytes) -> list[str]:
    """The kits for which no such record was ever written."""
    rows = connection.execute(
        "SELECT unit FROM core_kits k WHERE NOT EXISTS (SELECT 1 FROM core_records r "
        "WHERE r.kind = 'core-key' AND r.addressee = k.unit AND r.body = ?)",
        (body,),
    )
    return [str(row[0]) for row in rows]


def give_keys(connection: sqlite3.Connection, body: bytes, *, now_ms: int) -> int:
    """See `BroadcastStore.give_keys`."""
    units = lack_key(connection, body)
    for unit in units:
        own_rows.write(connection, addressee=unit, kind=CORE_KEY, priority=Priority.RECEIPT, body=body, now_ms=now_ms)
    return len(units)


def knows_key(connection: sqlite3.Connection, unit: str, body: bytes) -> bool:
    """See `BroadcastStore.knows_key`."""
    found = connection.execute(
        "SELECT 1 FROM core_records WHERE kind = 'core-key' AND addressee = ? AND body = ? AND accepted_ms IS NOT NULL",
        (unit, body),
    )
    return found.fetchone() is not None


def broadcasts(connection: sqlite3.Connection, *, now_ms: int) -> list[PlannedBroadcast]:
    """See `BroadcastStore.broadcasts`."""
    rows = connection.execute(
        f"SELECT {COLUMNS}, b.number, b.everybody, b.packets FROM core_broadcasts b "  # noqa: S608 - our constants
        f"JOIN core_records r ON r.number = b.number WHERE b.over = 0 AND {_ALIVE} ORDER BY r.priority, r.number",
        (now_ms,),
    ).fetchall()
    return [each for each in (_planned(connection, row) for row in rows) if each.units]


def no_longer_true(connection: sqlite3.Connection, *, now_ms: int) -> list[RecordId]:
    """See `BroadcastStore.no_longer_true`."""
    rows = connection.execute(
        "SELECT r.origin, r.epoch, r.seq FROM core_broadcasts b JOIN core_records r ON r.number = b.number "
        "WHERE r.created_ms + r.lifetime_s * 1000 BETWEEN ? AND ?",
        (now_ms - LATELY_MS, now_ms),
    )
    return [RecordId(*row) for row in rows]


def note_broadcast(
    connection: sqlite3.Connection, record: RecordId, *, packets: int, over: bool, left: bool, link: str, at_ms: int
) -> None:
    """See `BroadcastStore.note_broadcast`."""
    (number,) = connection.execute(
        "SELECT number FROM core_records WHERE origin = ? AND epoch = ? AND seq = ?", record
    ).fetchone()
    connection.execute("UPDATE core_broadcasts SET packets = ?, over = ? WHERE number = ?", (packets, over, number))
    if left:
        connection.execute(
            "UPDATE core_multicast SET left_ms = ?, link = ? WHERE number = ? AND left_ms IS NULL",
            (at_ms, link, number),
        )


def outgoing(connection: sqlite3.Connection, peer: str, *, now_ms: int, limit: int) -> list[Record]:
    """What of it that kit has not accepted."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM core_multicast m JOIN core_records r ON r.number = m.number "  # noqa: S608 - our constants
        f"WHERE m.unit = ? AND m.accepted_ms IS NULL AND {_ALIVE} ORDER BY r.priority, r.number LIMIT ?",
        (peer, now_ms, limit),
    )
    return [record_rows.record_of(row) for row in rows]


def waited_for_by(connection: sqlite3.Connection, *, now_ms: int) -> set[str]:
    """The kits for which `outgoing` has anything."""
    rows = connection.execute(
        "SELECT k.unit FROM core_kits k WHERE EXISTS (SELECT 1 FROM core_multicast m "  # noqa: S608 - our constant
        f"JOIN core_records r ON r.number = m.number WHERE m.unit = k.unit AND m.accepted_ms IS NULL AND {_ALIVE})",
        (now_ms,),
    )
    return {str(unit) for (unit,) in rows}


def backlog(connection: sqlite3.Connection, peer: str, *, now_ms: int) -> Iterator[Record]:
    """The same without a limit, for a stick."""
    yield from outgoing(connection, peer, now_ms=now_ms, limit=-1)


def _planned(connection: sqlite3.Connection, row: sqlite3.Row) -> PlannedBroadcast:
    kits = connection.execute(
        "SELECT m.unit, k.link_id, m.accepted_ms IS NULL FROM core_multicast m JOIN core_kits k ON k.unit = m.unit "
        "WHERE m.number = ?",
        (row["number"],),
    ).fetchall()
    return PlannedBroadcast(
        record=record_rows.record_of(row),
        link_ids=() if row["everybody"] else tuple(sorted(int(link_id) for _, link_id, _ in kits)),
        units=tuple(str(unit) for unit, _, waits_for_it in kits if waits_for_it),
        packets=int(row["packets"]),
    )
