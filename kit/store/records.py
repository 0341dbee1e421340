"""Records (the outbox and the inbox) and how far each has come.

Invariants: a record is written in the transaction of the change it tells of, and never changes. `seq` counts without a
gap per (origin, epoch): it is taken from `unit_epoch` inside that transaction, so one that is rolled back takes its
number back. Custody only ever moves forward; what is accepted is never offered again.

A kit has one peer, the city core, so `pending` needs no peer's name: it holds for own records until the core has them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice

from kit.model.custody import KIND as CUSTODY_KIND
from kit.model.new_key import KIND as NEW_KEY
from kit.store.custody import SUBJECT, hear_custody, note_custody
from kit.store.database import Database
from kit.store.epochs import next_name, set_origin, start_epoch
from kit.store.evidence import note_records
from kit.store.facts import count_change
from kit.store.from_core import WARNING, hear_known_key, hear_warning
from kit.store.holdings import holdings
from kit.store.migrations import sql
from kit.store.queue import queue, queue_counts, retry
from kit.store.renaming import rename, unlike_held
from sync.protocol.beacons import Holding, Position, lacking
from sync.protocol.records import CannotStoreNow, Held, Priority, Record, RecordId, digest_of

__all__ = [
    "MIGRATIONS",
    "SUBJECT",
    "SqliteRecordStore",
    "note_custody",
    "queue",
    "queue_counts",
    "readings_wait",
    "retry",
    "set_origin",
    "start_epoch",
    "write_record",
]

MAX_KIND = 32
MAX_BODY_BYTES = 256 * 1024
"""The session carries no larger record (`sync.protocol.fragments`): what is bigger is split by the app."""

OFFER_BYTES = 2 * 1024 * 1024
"""What `outgoing` loads at once, whatever the limit: a backlog of photos must not fill a small computer's memory."""

PAGE_RECORDS = 200
"""Loaded at once when everything is wanted."""

IDS_PER_QUERY = 200
"""Three variables each; SQLite's default limit of variables was 999 for long."""

MIGRATIONS = (
    sql(
        "records",
        "0001_records_and_custody",
        """
        CREATE TABLE unit_epoch (
            only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
            origin TEXT NOT NULL, epoch INTEGER NOT NULL, last_seq INTEGER NOT NULL
        );
        CREATE TABLE records (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            origin TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
            kind TEXT NOT NULL, priority INTEGER NOT NULL, created_ms INTEGER NOT NULL, lifetime_s INTEGER,
            addressee TEXT NOT NULL, body BLOB NOT NULL,
            pending INTEGER NOT NULL, taken_ms INTEGER,
            left_ms INTEGER, accepted_ms INTEGER, delivered_ms INTEGER, read_ms INTEGER,
            UNIQUE (origin, epoch, seq)
        );
        CREATE INDEX records_pending ON records (priority, number) WHERE pending = 1;
        CREATE INDEX records_accepted ON records (accepted_ms) WHERE accepted_ms IS NOT NULL;
        CREATE INDEX records_taken ON records (kind, number) WHERE taken_ms IS NOT NULL;
        CREATE TABLE custody (
            number INTEGER NOT NULL REFERENCES records (number) ON DELETE CASCADE,
            link TEXT NOT NULL, left_ms INTEGER, accepted_ms INTEGER, PRIMARY KEY (number, link)
        ) WITHOUT ROWID;
        CREATE TABLE record_retries (number INTEGER PRIMARY KEY);
        CREATE TABLE sync_sessions (peer TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID
        """,
    ),
    sql("records", "0002_reader", "ALTER TABLE records ADD COLUMN read_by TEXT NOT NULL DEFAULT ''"),
    sql(
        "records",
        "0003_highest_seq_of_each_priority",
        """
        ALTER TABLE unit_epoch ADD COLUMN highest_0 INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE unit_epoch ADD COLUMN highest_1 INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE unit_epoch ADD COLUMN highest_2 INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE unit_epoch ADD COLUMN highest_3 INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE unit_epoch ADD COLUMN highest_4 INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE unit_epoch ADD COLUMN highest_5 INTEGER NOT NULL DEFAULT 0
        """,
    ),
    sql("records", "0004_undeliverable", "ALTER TABLE records ADD COLUMN undeliverable_ms INTEGER"),
    sql(
        "records",
        "0005_names_given_up",  # because the core knows other records by them: `number` is still the same record
        """
        CREATE TABLE records_renamed (
            origin TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, number INTEGER NOT NULL,
            PRIMARY KEY (origin, epoch, seq)
        ) WITHOUT ROWID
        """,
    ),
)

COLUMNS = "origin, epoch, seq, kind, priority, created_ms, lifetime_s, addressee, body"


def write_record(
    connection: sqlite3.Connection,
    *,
    kind: str,
    priority: int,
    body: bytes,
    created_ms: int,
    lifetime_s: int | None = None,
    addressee: str = "",
) -> RecordId:
    """Write an own record in the caller's transaction; it leaves when a link can carry it.

    Args:
        connection: inside a transaction.
        kind: at most 32 ASCII characters.
        priority: `sync.protocol.records.Priority`; 0 is the most urgent.
        body: CBOR, at most 256 KiB.
        created_ms: Unix ms.
        lifetime_s: after this it need not be carried any further; None = for ever.
        addressee: the unit it is for; "" = the city core.

    Raises:
        StoreError: `set_origin` was never called.
        ValueError: an argument is out of its bounds.
    """
    _check(kind=kind, body=body, lifetime_s=lifetime_s)
    told = next_name(connection, priority)
    connection.execute(
        f"INSERT INTO records ({COLUMNS}, pending) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",  # noqa: S608 - our constant
        (*told, kind, int(Priority(priority)), created_ms, lifetime_s, addressee, body),
    )
    note_records(connection, [(*told, kind)])
    count_change(connection, SUBJECT)
    return told


@contextmanager
def storing() -> Iterator[None]:
    """A full or failing disk becomes `CannotStoreNow`; whatever else SQLite says is our own mistake.

    Raises:
        CannotStoreNow: nothing was changed.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _DISK_TROUBLE:
            raise
        raise CannotStoreNow(str(error)) from error


_DISK_TROUBLE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}


def readings_wait(connection: sqlite3.Connection) -> bool:
    """Whether the core lacks readings that are in records."""
    found = connection.execute(
        "SELECT 1 FROM records INDEXED BY records_pending "
        "WHERE pending = 1 AND priority = ? AND kind = 'readings' LIMIT 1",
        (int(Priority.READING),),
    )
    return found.fetchone() is not None


class SqliteRecordStore:
    """The kit's side of `sync.protocol.records.RecordStore`. Belongs to the thread of its database.

    Args:
        database: open, with this module's migrations.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def outgoing(self, peer: str, *, now_ms: int, limit: int) -> list[Record]:
        """Own records that the core has not accepted and that have not expired, by (priority, seq)."""
        del peer  # the core: a kit has no other
        rows = self._database.connection.execute(
            f"SELECT {COLUMNS} FROM records INDEXED BY records_pending "  # noqa: S608 - our constant
            "WHERE pending = 1 AND (lifetime_s IS NULL OR created_ms + lifetime_s * 1000 > ?) "
            "ORDER BY priority, number LIMIT ?",
            (now_ms, limit),
        )
        return list(_at_most_bytes(rows, OFFER_BYTES))

    def waited_for_by(self, *, now_ms: int) -> None:
        """There is one peer, so it is asked for."""
        del now_ms

    def backlog(self, peer: str, *, now_ms: int) -> Iterator[Record]:
        """The same without an end, a page at a time: for a stick, which carries everything."""
        del peer
        after = (-1, -1)
        while True:
            rows = self._database.connection.execute(
                f"SELECT number, {COLUMNS} FROM records INDEXED BY records_pending "  # noqa: S608 - our constant
                "WHERE pending = 1 AND (lifetime_s IS NULL OR created_ms + lifetime_s * 1000 > ?) "
                "AND (priority, number) > (?, ?) ORDER BY priority, number LIMIT ?",
                (now_ms, *after, PAGE_RECORDS),
            ).fetchall()
            if not rows:
                return
            yield from map(record_of, rows)
            after = (int(rows[-1]["priority"]), int(rows[-1]["number"]))

    def held_from(self, peer: str, *, since_ms: int) -> list[Held]:
        """What came from the core since then."""
        del peer
        rows = self._database.connection.execute(
            "SELECT origin, epoch, seq, kind, body FROM records INDEXED BY records_taken "
            "WHERE taken_ms IS NOT NULL AND taken_ms >= ?",
            (since_ms,),
        )
        return [_held_as(*row) for row in rows]

    def waiting_among(self, ids: Sequence[RecordId], *, peer: str) -> list[Held]:
        """Those of our own records that the core has not accepted yet."""
        del peer
        found: list[Held] = []
        for some in _chunks(ids):
            values = ", ".join(["(?, ?, ?)"] * len(some))
            rows = self._database.connection.execute(
                f"WITH wanted (o, e, s) AS (VALUES {values}) SELECT origin, epoch, seq, kind, body FROM wanted "  # noqa: S608 - question marks
                "CROSS JOIN records ON origin = o AND epoch = e AND seq = s WHERE pending = 1",
                [part for each in some for part in each],
            )
            found += [_held_as(*row) for row in rows]
        return found

    def left(self, ids: Sequence[RecordId], *, peer: str, link: str, at_ms: int) -> None:
        """They were handed whole to that link; the first time over each link counts."""
        del peer
        with storing(), self._database.atomic() as connection:
            connection.executemany(
                "INSERT INTO custody (number, link, left_ms) "
                "SELECT number, ?, ? FROM records WHERE origin = ? AND epoch = ? AND seq = ? "
                "ON CONFLICT (number, link) DO UPDATE SET left_ms = coalesce(left_ms, excluded.left_ms)",
                [(link, at_ms, *each) for each in ids],
            )
            connection.executemany(
                "UPDATE records SET left_ms = coalesce(left_ms, ?) WHERE origin = ? AND epoch = ? AND seq = ?",
                [(at_ms, *each) for each in ids],
            )
            count_change(connection, SUBJECT)

    def accepted(self, ids: Sequence[RecordId], *, peer: str, link: str, at_ms: int) -> None:
        """The core says that it has committed them: no link needs to carry them any more."""
        del peer
        with storing(), self._database.atomic() as connection:
            connection.executemany(
                "INSERT INTO custody (number, link, left_ms, accepted_ms) "
                "SELECT number, ?, NULL, ? FROM records WHERE origin = ? AND epoch = ? AND seq = ? "
                "ON CONFLICT (number, link) DO UPDATE SET accepted_ms = coalesce(accepted_ms, excluded.accepted_ms)",
                [(link, at_ms, *each) for each in ids],
            )
            connection.executemany(
                "UPDATE records SET pending = 0, accepted_ms = coalesce(accepted_ms, ?) "
                "WHERE origin = ? AND epoch = ? AND seq = ? AND taken_ms IS NULL",
                [(at_ms, *each) for each in ids],
            )
            count_change(connection, SUBJECT)

    def held(self, ids: Iterable[RecordId]) -> set[RecordId]:
        """Those of them that are committed here."""
        found: set[RecordId] = set()
        for some in _chunks(ids):
            values = ", ".join(["(?, ?, ?)"] * len(some))
            # CROSS JOIN makes SQLite look each of them up; `IN (VALUES …)` scans the whole index instead
            rows = self._database.connection.execute(
                f"WITH wanted (o, e, s) AS (VALUES {values}) SELECT origin, epoch, seq FROM wanted "  # noqa: S608 - question marks
                "CROSS JOIN records ON origin = o AND epoch = e AND seq = s",
                [part for each in some for part in each],
            )
            found.update(RecordId(*row) for row in rows)
        return found

    def take(self, records: Sequence[Record], *, peer: str, link: str, at_ms: int) -> list[Record]:
        """Commit records from elsewhere, in one transaction; returns those whose names are other records'."""
        del link
        with storing(), self._database.atomic() as connection:
            apart = unlike_held(connection, records)
            taken = [each for each in records if each not in apart]
            connection.executemany(
                f"INSERT OR IGNORE INTO records ({COLUMNS}, pending, taken_ms) "  # noqa: S608 - our constant
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
                [(*_values(each), at_ms) for each in taken],
            )
            note_records(connection, [(*each.id, each.kind) for each in taken])
            for each in taken:
                if each.kind == CUSTODY_KIND:
                    hear_custody(connection, each)
                elif each.kind == WARNING and each.id.origin == peer:
                    hear_warning(connection, each)
                elif each.kind == NEW_KEY and each.id.origin == peer:
                    hear_known_key(connection, each)
            count_change(connection, SUBJECT)
        return apart

    def rename(self, kept_apart: Collection[Held], *, peer: str, at_ms: int) -> None:
        """The core holds other records under these names: ours go on under new ones."""
        del peer, at_ms
        with storing(), self._database.atomic() as connection:
            rename(connection, kept_apart)
            count_change(connection, SUBJECT)

    def position(self) -> Position | None:
        """How far our own records go."""
        row = self._database.connection.execute("SELECT * FROM unit_epoch").fetchone()
        return (
            None
            if row is None
            else Position(int(row["epoch"]), tuple(int(row[f"highest_{each}"]) for each in Priority))
        )

    def holdings(self, peer: str) -> tuple[Holding, ...]:
        """What is held of the core's records for us."""
        return holdings(self._database.connection, "records", peer)

    def refill(self, peer: str, told: Sequence[Holding]) -> int:
        """The core was rebuilt from a backup: offer again what it had accepted since."""
        del peer
        connection = self._database.connection
        epochs = connection.execute(
            "SELECT epoch, max(seq) FROM records WHERE origin = (SELECT origin FROM unit_epoch) GROUP BY epoch"
        )
        gaps = list(lacking(told, {int(row[0]): int(row[1]) for row in epochs}))
        if not gaps:
            return 0
        with storing(), self._database.atomic():
            changed = connection.executemany(
                "UPDATE records SET pending = 1 WHERE origin = (SELECT origin FROM unit_epoch) AND epoch = ? "
                "AND seq >= ? AND seq < ? AND pending = 0 AND accepted_ms IS NOT NULL",
                gaps,
            ).rowcount
            if changed > 0:
                count_change(connection, SUBJECT)
        return max(changed, 0)

    def load_session(self, peer: str) -> bytes | None:
        """What `save_session` last kept for that peer."""
        row = self._database.connection.execute("SELECT state FROM sync_sessions WHERE peer = ?", (peer,)).fetchone()
        return None if row is None else bytes(row[0])

    def save_session(self, peer: str, state: bytes) -> None:
        """Keep the session's state; on the disk when this returns."""
        with storing(), self._database.atomic() as connection:
            connection.execute(
                "INSERT INTO sync_sessions VALUES (?, ?) ON CONFLICT (peer) DO UPDATE SET state = excluded.state",
                (peer, state),
            )

    def changed(self) -> int:
        """A number that changes whenever another process or thread has written to the store; cheap."""
        return self._database.changed_elsewhere()

    def take_retries(self) -> list[RecordId]:
        """The records that `kit queue retry` asks to send at once; each is told once."""
        connection = self._database.connection
        if connection.execute("SELECT 1 FROM record_retries LIMIT 1").fetchone() is None:
            return []
        with suppress(CannotStoreNow), storing(), self._database.atomic():
            rows = connection.execute(
                "SELECT origin, epoch, seq FROM records WHERE number IN (SELECT number FROM record_retries)"
            ).fetchall()
            connection.execute("DELETE FROM record_retries")
            return [RecordId(*row) for row in rows]
        return []


_PRIORITIES = {int(each): each for each in Priority}


def _check(*, kind: str, body: bytes, lifetime_s: int | None) -> None:
    if not (0 < len(kind) <= MAX_KIND and kind.isascii() and kind.isprintable()):
        raise ValueError(f"the kind {kind!r} must be 1 to {MAX_KIND} printable ASCII characters")
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(
            f"a {kind} record of {len(body)} bytes is too large; split it into {MAX_BODY_BYTES} bytes each"
        )
    if lifetime_s is not None and lifetime_s <= 0:
        raise ValueError(f"a lifetime of {lifetime_s} s would have ended before it began")


def _values(record: Record) -> tuple[object, ...]:
    return (
        *record.id,
        record.kind,
        int(record.priority),
        record.created_ms,
        record.lifetime_s,
        record.addressee,
        record.body,
    )


def record_of(row: sqlite3.Row) -> Record:
    """A row of COLUMNS."""
    return Record(
        id=RecordId(row["origin"], row["epoch"], row["seq"]),
        kind=row["kind"],
        priority=_PRIORITIES[row["priority"]],
        created_ms=row["created_ms"],
        lifetime_s=row["lifetime_s"],
        addressee=row["addressee"],
        body=row["body"],
    )


def _at_most_bytes(rows: Iterable[sqlite3.Row], limit: int) -> Iterator[Record]:
    for row in rows:
        yield record_of(row)
        limit -= len(row["body"])
        if limit <= 0:
            return


def _held_as(origin: str, epoch: int, seq: int, kind: str, body: bytes) -> Held:
    return Held(RecordId(origin, epoch, seq), digest_of(kind, body))


def _chunks(ids: Iterable[RecordId]) -> Iterator[list[RecordId]]:
    left = iter(ids)
    while some := list(islice(left, IDS_PER_QUERY)):
        yield some
