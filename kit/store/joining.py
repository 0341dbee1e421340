"""Devices that ask to be let in: the code on the screen, and who has used it and waits for a person.

A code admits one device. The device that presents it is bound to it (client id and code) and waits; what it publishes
goes no further than its last message here. When a person accepts it, its client id and the code become its credentials
(`kit.store.devices`), so that nothing has to be typed into it again. The code is kept in the clear only until it is
used or its hour is over; then only its salted hash is.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from kit.errors import KitError
from kit.model.join_code import VALID_MS, make_code
from kit.store.devices import SALT_BYTES, digest
from kit.store.facts import count_change
from kit.store.migrations import sql

MIGRATIONS = (
    sql(
        "joining",
        "0001_waiting",
        """
        CREATE TABLE join_codes (
            code TEXT PRIMARY KEY, made_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE waiting (
            id INTEGER PRIMARY KEY AUTOINCREMENT, client_id TEXT NOT NULL, open INTEGER NOT NULL, address TEXT NOT NULL,
            salt BLOB NOT NULL, hash BLOB NOT NULL, since_ms INTEGER NOT NULL, last_ms INTEGER,
            messages INTEGER NOT NULL DEFAULT 0, topic TEXT NOT NULL DEFAULT '', kind TEXT NOT NULL DEFAULT '',
            base TEXT NOT NULL DEFAULT '', reading TEXT NOT NULL DEFAULT '')
        """,
    ),
)

CHANGED = "waiting"
"""The subject (`kit.store.facts`) that counts changes of who waits."""

WAITING_AT_MOST = 50
"""More than anybody brings in a day; through the open listener anybody could fill the table."""

FORGOTTEN_MS = 86_400_000
"""A device without a password that has said nothing for a day waits no longer."""

FRESH_MS = 600_000
"""A code that is shown is good for at least ten minutes more."""

PREFIX = "waiting/"
"""Before the number of a waiting device, as the broker's name for it: no device can be named so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A device that waits for a person.

    Attributes:
        id: by which a person accepts it.
        open: it came without a password.
        last_ms: when it last said something, Unix ms; None = not yet.
        kind, base: what it seems to speak, and where its topics begin; "" = not known yet.
        reading: its last reading in words; "" = none that could be read.
    """

    id: int
    client_id: str
    open: bool
    address: str
    since_ms: int
    last_ms: int | None
    messages: int
    topic: str
    kind: str
    base: str
    reading: str


class NobodyWaits(KitError):  # noqa: N818 - says what is wrong
    """No device waits under that number."""


def current_code(connection: sqlite3.Connection, *, now_ms: int) -> tuple[str, int]:
    """The code to show now, and until when it is good (Unix ms); a new one if there is none that lasts."""
    connection.execute("DELETE FROM join_codes WHERE until_ms <= ? OR made_ms > ?", (now_ms, now_ms))
    row = connection.execute("SELECT code, until_ms FROM join_codes ORDER BY until_ms DESC LIMIT 1").fetchone()
    if row is not None and row[1] - now_ms > FRESH_MS:
        return str(row[0]), int(row[1])
    import secrets

    code, until_ms = make_code(secrets.choice), now_ms + VALID_MS
    connection.execute("INSERT INTO join_codes VALUES (?, ?, ?)", (code, now_ms, until_ms))
    count_change(connection, CHANGED)
    return code, until_ms


def code_shown(connection: sqlite3.Connection, *, now_ms: int) -> tuple[str, int] | None:
    """The code that a screen shows now, if one is good, and until when (Unix ms)."""
    row = connection.execute(
        "SELECT code, until_ms FROM join_codes WHERE made_ms <= ? AND until_ms > ? ORDER BY until_ms DESC LIMIT 1",
        (now_ms, now_ms),
    ).fetchone()
    return None if row is None else (str(row[0]), int(row[1]))


def withdraw_codes(connection: sqlite3.Connection) -> None:
    """No code is good any more; who waits goes on waiting."""
    connection.execute("DELETE FROM join_codes")
    count_change(connection, CHANGED)


def use_code(connection: sqlite3.Connection, code: str, *, client_id: str, address: str, now_ms: int) -> int | None:
    """Let the device wait and take the code out of use; its number, or None if the code is none that is good now."""
    used = connection.execute(
        "DELETE FROM join_codes WHERE code = ? AND made_ms <= ? AND until_ms > ?", (code, now_ms, now_ms)
    ).rowcount
    return _wait(connection, code.encode(), client_id, address, now_ms, open_device=False) if used else None


def wait_openly(connection: sqlite3.Connection, *, client_id: str, address: str, now_ms: int) -> int | None:
    """Let a device without a password wait; None if too many do already."""
    too_old = now_ms - FORGOTTEN_MS
    if connection.execute("DELETE FROM waiting WHERE open AND coalesce(last_ms, since_ms) < ?", (too_old,)).rowcount:
        count_change(connection, CHANGED)
    (count,) = connection.execute("SELECT count(*) FROM waiting WHERE open").fetchone()
    if count >= WAITING_AT_MOST:
        return None
    import secrets

    return _wait(connection, secrets.token_bytes(SALT_BYTES), client_id, address, now_ms, open_device=True)


def _wait(
    connection: sqlite3.Connection, secret: bytes, client_id: str, address: str, now_ms: int, *, open_device: bool
) -> int:
    import secrets

    salt = secrets.token_bytes(SALT_BYTES)
    made = connection.execute(
        "INSERT INTO waiting (client_id, open, address, salt, hash, since_ms) VALUES (?, ?, ?, ?, ?, ?)",
        (client_id, open_device, address, salt, digest(salt, secret), now_ms),
    )
    # only somebody with fifty codes, or in the open, gets here; the one that has waited longest makes room
    connection.execute(
        "DELETE FROM waiting WHERE id IN (SELECT id FROM waiting WHERE NOT open ORDER BY id DESC LIMIT -1 OFFSET ?)",
        (WAITING_AT_MOST,),
    )
    count_change(connection, CHANGED)
    return int(made.lastrowid or 0)


def note_message(
    connection: sqlite3.Connection,
    number: int,
    *,
    at_ms: int,
    messages: int,
    topic: str,
    spoken: tuple[str, str] | None,
    sure: bool,
    reading: str,
) -> None:
    """What a waiting device said last, inside the transaction that acknowledges it.

    Args:
        connection: inside that transaction.
        number: of the device.
        at_ms: Unix ms.
        messages: how many came since the last call.
        topic: of the last.
        spoken: the kind and base that they were recognised as; None = they were not.
        sure: that replaces what it was recognised as before.
        reading: the last reading in words; "" leaves the one before.
    """
    connection.execute(
        "UPDATE waiting SET last_ms = ?, messages = messages + ?, topic = ?, "
        "reading = CASE WHEN ? = '' THEN reading ELSE ? END WHERE id = ?",
        (at_ms, messages, topic, reading, reading, number),
    )
    if spoken is not None:
        connection.execute(
            "UPDATE waiting SET kind = ?, base = ? WHERE id = ? AND (? OR kind = '')", (*spoken, number, sure)
        )
    count_change(connection, CHANGED)


def list_waiting(connection: sqlite3.Connection) -> list[Waiting]:
    """Who waits, the latest first."""
    rows = connection.execute(
        "SELECT id, client_id, open, address, since_ms, last_ms, messages, topic, kind, base, reading FROM waiting "
        "ORDER BY id DESC"
    )
    return [
        Waiting(
            id=row[0],
            client_id=row[1],
            open=bool(row[2]),
            address=row[3],
            since_ms=row[4],
            last_ms=row[5],
            messages=row[6],
            topic=row[7],
            kind=row[8],
            base=row[9],
            reading=row[10],
        )
        for row in rows
    ]


def turn_away(connection: sqlite3.Connection, number: int) -> None:
    """Let a device wait no longer; its connection is closed within a second.

    Raises:
        NobodyWaits: there is none of that number.
    """
    if not connection.execute("DELETE FROM waiting WHERE id = ?", (number,)).rowcount:
        raise NobodyWaits(f"no device waits under number {number}; `kit device waiting` shows who does")
    count_change(connection, CHANGED)


def move_in(connection: sqlite3.Connection, number: int, name: str) -> None:
    """Give an accepted device's row the credentials it waited with, and let it wait no longer."""
    connection.execute(
        "UPDATE devices SET client_id = w.client_id, salt = w.salt, hash = w.hash, open = w.open "
        "FROM waiting w WHERE w.id = ? AND devices.name = ?",
        (number, name),
    )
    turn_away(connection, number)
