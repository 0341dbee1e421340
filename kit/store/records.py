"""Records: the outbox, the inbox, and how far each record is known to have come.

Invariants: a record is written in the transaction of the thing it tells of, numbered without gaps, and never changes.
Custody only ever grows: what was accepted over one link stays accepted, whatever another link says later.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from kit.errors import KitError
from kit.store.database import Database
from kit.store.migrations import sql
from sync.protocol.records import Custody, Priority, Record, RecordId

MIGRATIONS = (
    sql(
        "records",
        "0001_records_and_custody",
        """
        CREATE TABLE record_origin (
            only INTEGER PRIMARY KEY CHECK (only = 1), unit TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL
        );
        CREATE TABLE records (
            origin TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
            kind TEXT NOT NULL, priority INTEGER NOT NULL, created_ms INTEGER NOT NULL, lifetime_s INTEGER,
            addressee TEXT NOT NULL, body BLOB NOT NULL, state TEXT NOT NULL,
            PRIMARY KEY (origin, epoch, seq)
        ) WITHOUT ROWID;
        CREATE INDEX records_waiting ON records (priority, epoch, seq) WHERE state IN ('written', 'left');
        CREATE TABLE record_custody (
            origin TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, link TEXT NOT NULL,
            left_ms INTEGER, accepted_ms INTEGER,
            PRIMARY KEY (origin, epoch, seq, link)
        ) WITHOUT ROWID;
        CREATE TABLE sync_sessions (peer TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID
        """,
    ),
)

SENT_STATES = (Custody.WRITTEN.value, Custody.LEFT.value)
"""States in which the other side has not yet acknowledged."""


def set_origin(connection: sqlite3.Connection, unit: str) -> None:
    """Name the unit whose records these are, once, inside the caller's transaction.

    Raises:
        KitError: the store belongs to another unit.
    """
    row = connection.execute("SELECT unit FROM record_origin").fetchone()
    if row is None:
        connection.execute("INSERT INTO record_origin VALUES (1, ?, 1, 0)", (unit,))
    elif row[0] != unit:
        raise KitError(
            f"this store belongs to {row[0]} but the keys are those of {unit}; "
            f"put back the keys/ that belong to it, or choose another place with --home DIR"
        )


def write_record(
    connection: sqlite3.Connection,
    *,
    kind: str,
    priority: Priority,
    body: bytes,
    created_ms: int,
    lifetime_s: int | None = None,
    addressee: str = "",
) -> RecordId:
    """Put a record into the outbox, inside the caller's transaction: no gap is left if that is rolled back.

    Raises:
        KitError: the unit has no name yet (`set_origin` was never called).
    """
    row = connection.execute("UPDATE record_origin SET seq = seq + 1 RETURNING unit, epoch, seq").fetchone()
    if row is None:
        raise KitError("this unit has not been started yet; start it once with: kit run")
    name = RecordId(row[0], row[1], row[2])
    connection.execute(
        "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*name, kind, int(priority), created_ms, lifetime_s, addressee, body, Custody.WRITTEN.value),
    )
    return name


class SqliteRecordStore:
    """The kit's side of `sync.protocol.records.RecordStore`.

    Args:
        database: open, for the sync thread alone.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def outgoing(self, peer: str, *, now_ms: int, limit: int) -> list[Record]:
        """What the peer has not accepted and is still worth carrying, most urgent first."""
        del peer  # a kit has one: the city core
        rows = self._database.connection.execute(
            "SELECT r.* FROM records r JOIN record_origin o ON r.origin = o.unit "
            "WHERE r.state IN ('written', 'left') "
            "AND (r.lifetime_s IS NULL OR r.created_ms + r.lifetime_s * 1000 > ?) "
            "ORDER BY r.priority, r.epoch, r.seq LIMIT ?",
            (now_ms, limit),
        )
        return [_as_record(row) for row in rows]

    def left(self, ids: Sequence[RecordId], *, peer: str, link: str, at_ms: int) -> None:
        """They were handed whole to that link."""
        del peer
        with self._database.atomic() as connection:
            connection.executemany(
                "INSERT INTO record_custody VALUES (?, ?, ?, ?, ?, NULL) "
                "ON CONFLICT DO UPDATE SET left_ms = coalesce(left_ms, excluded.left_ms)",
                [(*name, link, at_ms) for name in ids],
            )
            connection.executemany(
                "UPDATE records SET state = 'left' WHERE origin = ? AND epoch = ? AND seq = ? AND state = 'written'",
                ids,
            )

    def accepted(self, ids: Sequence[RecordId], *, peer: str, link: str, at_ms: int) -> None:
        """The peer has committed them."""
        del peer
        with self._database.atomic() as connection:
            connection.executemany(
                "INSERT INTO record_custody VALUES (?, ?, ?, ?, NULL, ?) "
                "ON CONFLICT DO UPDATE SET accepted_ms = coalesce(accepted_ms, excluded.accepted_ms)",
                [(*name, link, at_ms) for name in ids],
            )
            connection.executemany(
                "UPDATE records SET state = 'accepted' "
                "WHERE origin = ? AND epoch = ? AND seq = ? AND state IN ('written', 'left')",
                ids,
            )

    def held(self, ids: Iterable[RecordId]) -> set[RecordId]:
        """Those already committed here."""
        find = "SELECT 1 FROM records WHERE origin = ? AND epoch = ? AND seq = ?"
        return {name for name in ids if self._database.connection.execute(find, name).fetchone() is not None}

    def take(self, records: Sequence[Record], *, peer: str, link: str, at_ms: int) -> None:
        """Commit received records; one already held changes nothing."""
        del peer
        with self._database.atomic() as connection:
            for record in records:
                connection.execute(
                    "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (
                        *record.id,
                        record.kind,
                        int(record.priority),
                        record.created_ms,
                        record.lifetime_s,
                        record.addressee,
                        record.body,
                        Custody.DELIVERED.value,
                    ),
                )
                connection.execute(
                    "INSERT INTO record_custody VALUES (?, ?, ?, ?, NULL, ?) ON CONFLICT DO NOTHING",
                    (*record.id, link, at_ms),
                )

    def load_session(self, peer: str) -> bytes | None:
        """What was kept for that peer."""
        row = self._database.connection.execute("SELECT state FROM sync_sessions WHERE peer = ?", (peer,)).fetchone()
        return None if row is None else bytes(row[0])

    def save_session(self, peer: str, state: bytes) -> None:
        """Keep it; on disk when this returns."""
        with self._database.atomic() as connection:
            connection.execute(
                "INSERT INTO sync_sessions VALUES (?, ?) ON CONFLICT DO UPDATE SET state = excluded.state",
                (peer, state),
            )


def queue(connection: sqlite3.Connection, *, limit: int | None = None, waiting: bool = False) -> list[dict[str, Any]]:
    """The records of this unit with their custody, as `kit queue ls --json` shows them, the most urgent first.

    Args:
        connection: the store.
        limit: at most so many.
        waiting: only those that the other side has not acknowledged.
    """
    where = "WHERE state IN ('written', 'left')" if waiting else ""
    rows = connection.execute(
        f"SELECT origin, epoch, seq, kind, priority, created_ms, length(body) AS bytes, state FROM records {where} "  # noqa: S608 - one of two constants
        "ORDER BY priority, origin, epoch, seq LIMIT ?",
        (-1 if limit is None else limit,),
    ).fetchall()
    links = _links(connection)
    return [
        {
            "origin": row[0],
            "epoch": row[1],
            "seq": row[2],
            "kind": row[3],
            "priority": row[4],
            "created_ms": row[5],
            "bytes": row[6],
            "state": row[7],
            "links": links.get(RecordId(row[0], row[1], row[2]), []),
        }
        for row in rows
    ]


def queue_counts(connection: sqlite3.Connection) -> dict[int, int]:
    """Priority → how many records the other side has not acknowledged."""
    rows = connection.execute(
        "SELECT priority, count(*) FROM records WHERE state IN ('written', 'left') GROUP BY priority"
    )
    return {int(priority): int(count) for priority, count in rows}


def retry(connection: sqlite3.Connection, ids: Sequence[RecordId] | None = None) -> int:
    """Make records that left without an acknowledgement due now, all or the named ones; returns how many."""
    if ids is None:
        return connection.execute("UPDATE records SET state = 'written' WHERE state = 'left'").rowcount
    return connection.executemany(
        "UPDATE records SET state = 'written' WHERE origin = ? AND epoch = ? AND seq = ? AND state = 'left'", ids
    ).rowcount


def _links(connection: sqlite3.Connection) -> dict[RecordId, list[dict[str, Any]]]:
    found: dict[RecordId, list[dict[str, Any]]] = {}
    for row in connection.execute("SELECT origin, epoch, seq, link, left_ms, accepted_ms FROM record_custody"):
        name = RecordId(row[0], row[1], row[2])
        found.setdefault(name, []).append({"link": row[3], "left_ms": row[4], "accepted_ms": row[5]})
    return found


def _as_record(row: sqlite3.Row) -> Record:
    return Record(
        id=RecordId(row["origin"], row["epoch"], row["seq"]),
        kind=row["kind"],
        priority=Priority(row["priority"]),
        created_ms=row["created_ms"],
        lifetime_s=row["lifetime_s"],
        addressee=row["addressee"],
        body=bytes(row["body"]),
    )
