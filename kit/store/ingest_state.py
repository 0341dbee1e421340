"""What ingest has to remember besides readings: what it could not read, and what it has already taken.

- *Problems*: per device and kind, how often, and the last one with its payload, for the technician.
- *Undated*: messages without a time of their own get the kit's; if such a message comes twice (MQTT QoS 1 may deliver
  twice), only its packet id and content can tell. Kept for `REPEAT_WITHIN_MS`.
- *Token*: see `kit.store.reading_writer`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from kit.store.migrations import sql

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
"""Rows; the oldest go first."""


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


def undated_taken(connection: sqlite3.Connection, client_id: str, packet_id: int) -> tuple[bytes, int] | None:
    """The digest of the undated message last taken under this packet id, and when that was (Unix ms)."""
    row = connection.execute(
        "SELECT digest, at_ms FROM ingest_undated WHERE client_id = ? AND packet_id = ?", (client_id, packet_id)
    ).fetchone()
    return None if row is None else (bytes(row[0]), int(row[1]))


def remember_undated(connection: sqlite3.Connection, taken: Iterable[tuple[str, int, bytes, int]]) -> None:
    """Remember (client id, packet id, digest, Unix ms) of undated messages, in the transaction that took them."""
    connection.executemany("INSERT OR REPLACE INTO ingest_undated VALUES (?, ?, ?, ?)", taken)


def forget_old_undated(connection: sqlite3.Connection, *, now_ms: int) -> None:
    """Drop what is too old to come again, and bound the rest."""
    connection.execute("DELETE FROM ingest_undated WHERE at_ms <= ?", (now_ms - REPEAT_WITHIN_MS,))
    connection.execute(
        "DELETE FROM ingest_undated "
        "WHERE at_ms < (SELECT at_ms FROM ingest_undated ORDER BY at_ms DESC LIMIT 1 OFFSET ?)",
        (UNDATED_AT_MOST,),
    )


def load_token(connection: sqlite3.Connection) -> bytes | None:
    """The token of the last committed write of readings."""
    row = connection.execute("SELECT token FROM ingest_token").fetchone()
    return None if row is None else bytes(row[0])


def save_token(connection: sqlite3.Connection, token: bytes) -> None:
    """Set the token, inside the transaction that writes the readings."""
    connection.execute("INSERT OR REPLACE INTO ingest_token VALUES (1, ?)", (token,))
