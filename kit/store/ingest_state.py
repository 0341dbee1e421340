"""What ingest has to remember besides readings: what it could not read, and what it has already taken.

- *Problems*: per device and kind, how often, and the last one with its payload, for the technician.
- *Undated*: messages without a time of their own get the kit's; if such a message comes twice (MQTT QoS 1 may deliver
  twice), only its packet id and content can tell. Kept for `REPEAT_WITHIN_MS`, in one row for each transaction: nearly
  none of it is ever looked for, so it must cost little to write.
- *Token*: see `kit.store.reading_writer`.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol
from zlib import adler32, crc32

from kit.store.migrations import Migration, sql

if TYPE_CHECKING:
    import sqlite_utils

KEY_BYTES, DIGEST_BYTES = 8, 8
ENTRY_BYTES = KEY_BYTES + DIGEST_BYTES
_DIGEST = struct.Struct(">II")
"""Two checksums: looked at only where a device itself says that a message may be a repetition, and only among those
that it sent under the same packet id within the hour."""

_ENTRY = struct.Struct(f">{KEY_BYTES - 2}sHII")


def _taken_by_transaction(db: sqlite_utils.Database) -> None:
    connection = db.conn
    connection.execute(
        "CREATE TABLE ingest_taken (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, messages BLOB NOT NULL)"
    )
    rows = connection.execute("SELECT client_id, packet_id, digest, at_ms FROM ingest_undated ORDER BY at_ms")
    for client_id, packet_id, digest, at_ms in rows.fetchall():
        _remember(connection, undated_key(client_id, packet_id) + digest[:DIGEST_BYTES], at_ms)
    connection.execute("DROP TABLE ingest_undated")


MIGRATIONS = (
    sql(
        "ingest",
        "0001_ingest_state",
        """
        CREATE TABLE ingest_problems (
            device TEXT NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL, last_ms INTEGER NOT NULL,
            last_topic TEXT NOT NULL, last_payload BLOB NOT NULL, last_reason TEXT NOT NULL,
            PRIMARY KEY (device, kind)
        ) WITHOUT ROWID;
        CREATE TABLE ingest_undated (
            client_id TEXT NOT NULL, packet_id INTEGER NOT NULL, digest BLOB NOT NULL, at_ms INTEGER NOT NULL,
            PRIMARY KEY (client_id, packet_id)
        ) WITHOUT ROWID;
        CREATE TABLE ingest_token (one INTEGER PRIMARY KEY CHECK (one = 1), token BLOB NOT NULL)
        """,
    ),
    Migration("ingest", "0002_taken_by_transaction", _taken_by_transaction),
)

MALFORMED = "malformed"
"""The message as a whole could not be read."""

IGNORED = "ignored"
"""A part of a message is no number, or the device has too many series."""

PAYLOAD_KEPT_BYTES = 2_000
"""Of the last problematic payload; enough to see what is wrong with it."""

REPEAT_WITHIN_MS = 3_600_000
"""A device redelivers when its connection returns. Longer, and a device that numbers its packets from 1 at every
wake-up could have a new message, equal to an old one, mistaken for a repetition."""

UNDATED_AT_MOST = 100_000
"""Messages; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong with a device's messages: how often, and the last one."""

    device: str
    kind: str
    count: int
    last_ms: int
    last_topic: str
    last_payload: bytes
    last_reason: str


def count_problem(connection: sqlite3.Connection, problem: Problem) -> None:
    """Add `problem.count` to the device's problems of that kind and keep this one as the last."""
    connection.execute(
        "INSERT INTO ingest_problems VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (device, kind) DO UPDATE SET "
        "count = count + excluded.count, last_ms = excluded.last_ms, last_topic = excluded.last_topic, "
        "last_payload = excluded.last_payload, last_reason = excluded.last_reason",
        (
            problem.device,
            problem.kind,
            problem.count,
            problem.last_ms,
            problem.last_topic,
            problem.last_payload[:PAYLOAD_KEPT_BYTES],
            problem.last_reason,
        ),
    )


def problems(connection: sqlite3.Connection) -> list[Problem]:
    """Everything that could not be taken, by device and kind."""
    return [Problem(*row) for row in connection.execute("SELECT * FROM ingest_problems ORDER BY device, kind")]


def malformed(connection: sqlite3.Connection) -> list[Problem]:
    """Devices that sent messages the kit could not read, with the last of each."""
    return [problem for problem in problems(connection) if problem.kind == MALFORMED]


class UndatedMessage(Protocol):
    """What is remembered of a message without a time of its own (`kit.model.messages.Published` fits)."""

    @property
    def client_id(self) -> str:
        """Of its sender."""
        ...

    @property
    def topic(self) -> str:
        """Where it was published."""
        ...

    @property
    def payload(self) -> bytes:
        """What it says."""
        ...

    @property
    def packet_id(self) -> int | None:
        """Under which it was sent."""
        ...


def undated_key(client_id: str, packet_id: int) -> bytes:
    """What a client's packet id is remembered under."""
    return _client_mark(client_id) + packet_id.to_bytes(2, "big")


@lru_cache(maxsize=4096)
def _client_mark(client_id: str) -> bytes:
    from hashlib import blake2b

    return blake2b(client_id.encode(), digest_size=KEY_BYTES - 2).digest()


def undated_digest(topic: str, payload: bytes) -> bytes:
    """What tells a repeated message from a new one; `is_digest_of` compares."""
    return _DIGEST.pack(crc32(payload, _topic_check(topic)), adler32(payload))


def is_digest_of(digest: bytes, topic: str, payload: bytes) -> bool:
    """Whether this is the digest of that message, by this version of the kit or by the one before."""
    from hashlib import blake2b  # `kit status`, which reads the problems, does without

    earlier = blake2b(topic.encode() + b"\0" + payload, digest_size=16).digest()[:DIGEST_BYTES]
    return digest in (undated_digest(topic, payload), earlier)


@lru_cache(maxsize=4096)
def _topic_check(topic: str) -> int:
    return crc32(topic.encode() + b"\0")


def undated_taken(connection: sqlite3.Connection) -> dict[bytes, tuple[bytes, int]]:
    """By key, the digest of the undated message last taken under it, and when that was (Unix ms)."""
    taken: dict[bytes, tuple[bytes, int]] = {}
    for at_ms, messages in connection.execute("SELECT at_ms, messages FROM ingest_taken ORDER BY id"):
        for at in range(0, len(messages), ENTRY_BYTES):
            taken[messages[at : at + KEY_BYTES]] = (messages[at + KEY_BYTES : at + ENTRY_BYTES], at_ms)
    return taken


def remember_undated(connection: sqlite3.Connection, taken: Iterable[UndatedMessage], *, at_ms: int) -> None:
    """Remember undated messages, in the transaction that took them; the later of two under one key counts."""
    # once for every message there is: `undated_key` and `undated_digest`, written out
    pack = _ENTRY.pack
    messages = b"".join(
        [
            pack(
                _client_mark(one.client_id),
                one.packet_id or 0,
                crc32(one.payload, _topic_check(one.topic)),
                adler32(one.payload),
            )
            for one in taken
        ]
    )
    _remember(connection, messages, at_ms)


def _remember(connection: sqlite3.Connection, messages: bytes, at_ms: int) -> None:
    connection.execute("INSERT INTO ingest_taken (at_ms, messages) VALUES (?, ?)", (at_ms, messages))


def forget_old_undated(connection: sqlite3.Connection, *, now_ms: int, at_most: int = UNDATED_AT_MOST) -> None:
    """Drop what is too old to come again, and of the rest all but the `at_most` last messages."""
    connection.execute("DELETE FROM ingest_taken WHERE at_ms <= ?", (now_ms - REPEAT_WITHIN_MS,))
    connection.execute(
        "DELETE FROM ingest_taken WHERE id <= (SELECT max(id) FROM "
        "(SELECT id, sum(length(messages)) OVER (ORDER BY id DESC) AS bytes FROM ingest_taken) WHERE bytes > ?)",
        (at_most * ENTRY_BYTES,),
    )


def load_token(connection: sqlite3.Connection) -> bytes | None:
    """Who wrote readings last."""
    row = connection.execute("SELECT token FROM ingest_token").fetchone()
    return None if row is None else bytes(row[0])


def save_token(connection: sqlite3.Connection, token: bytes) -> None:
    """Say who writes readings, inside the transaction that does; a random one for whoever keeps no memory of them."""
    connection.execute("INSERT OR REPLACE INTO ingest_token VALUES (1, ?)", (token,))
