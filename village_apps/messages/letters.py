"""What people here have written and what has come for them.

Invariant: a message, and the record that carries it, are written in one transaction; its private name makes sending it
twice (a double tap, a reload) the same as sending it once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from kit.errors import KitError
from kit.model.letters import KIND, Letter, LetterError, letter_body, letter_from_body
from kit.store.inbox import mark_read
from kit.store.migrations import sql
from kit.store.records import write_record
from sync.protocol.records import Priority, RecordId

WAITING_AT_MOST = 100
"""Messages that may wait for the radio at once: about an hour of a legal hour's airtime at LongFast."""

MIGRATIONS = (
    sql(
        "messages",
        "0001_sent",
        """
        CREATE TABLE messages_sent (
            token TEXT PRIMARY KEY, origin TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
    ),
    # as the village was called when it was written to: it may have left the core's list since
    sql("messages", "0002_to_name", "ALTER TABLE messages_sent ADD COLUMN to_name TEXT NOT NULL DEFAULT ''"),
)

_SENT = """
SELECT token, body, created_ms, lifetime_s, left_ms, accepted_ms, delivered_ms, undeliverable_ms, read_ms, read_by,
       addressee, to_name, (SELECT group_concat(link) FROM custody WHERE custody.number = records.number) AS links
FROM messages_sent m JOIN records ON records.number = coalesce(
    (SELECT number FROM records r WHERE r.origin = m.origin AND r.epoch = m.epoch AND r.seq = m.seq),
    (SELECT number FROM records_renamed r WHERE r.origin = m.origin AND r.epoch = m.epoch AND r.seq = m.seq))
"""


class TooManyWaiting(KitError):  # noqa: N818 - named for what is wrong
    """The radio has enough to do; the sentence says how much waits."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} messages of this village wait for the radio already; try again later")
        self.waiting = waiting


@dataclass(frozen=True, kw_only=True)
class SentLetter:
    """A message written here, and how far it is known to have come. Times are Unix ms, None = not (known).

    Attributes:
        to: the kit it is for; "" = the city.
        to_name: the village of that kit, as it was called when it was written to; "" = not known.
        links: by which it has left.
        undeliverable_ms: when the core found that it has no such kit.
    """

    token: str
    letter: Letter
    written_ms: int
    expires_ms: int | None
    left_ms: int | None
    accepted_ms: int | None
    delivered_ms: int | None
    undeliverable_ms: int | None
    read_ms: int | None
    read_by: str
    to: str
    to_name: str
    links: tuple[str, ...]

    def expired(self, now_ms: int) -> bool:
        """Whether it ran out of time before it is known to have reached whom it is for."""
        reached_ms = self.delivered_ms if self.to else self.accepted_ms
        return reached_ms is None and self.read_ms is None and self.expires_ms is not None and self.expires_ms <= now_ms


@dataclass(frozen=True, kw_only=True)
class ReceivedLetter:
    """A message that came from elsewhere."""

    number: int
    id: RecordId
    letter: Letter
    written_ms: int
    came_ms: int
    read_ms: int | None
    read_by: str


def send(
    connection: sqlite3.Connection,
    letter: Letter,
    *,
    token: str,
    now_ms: int,
    lifetime_s: int,
    to: str = "",
    to_name: str = "",
) -> bool:
    """Write a message, inside the caller's transaction.

    Args:
        connection: in a transaction.
        letter: what it says.
        token: its private name; one that is known already changes nothing.
        now_ms: Unix ms.
        lifetime_s: how long it is worth carrying.
        to: the unit it is for; "" = the city.
        to_name: how people call the village of that unit.

    Returns:
        Whether it was new.

    Raises:
        TooManyWaiting: see `WAITING_AT_MOST`.
    """
    if connection.execute("SELECT 1 FROM messages_sent WHERE token = ?", (token,)).fetchone():
        return False
    (waiting,) = connection.execute(
        "SELECT count(*) FROM records INDEXED BY records_pending WHERE pending = 1 AND priority = ? AND kind = ? "
        "AND (lifetime_s IS NULL OR created_ms + lifetime_s * 1000 > ?)",
        (int(Priority.MESSAGE), KIND, now_ms),
    ).fetchone()
    if waiting >= WAITING_AT_MOST:
        raise TooManyWaiting(waiting)
    record = write_record(
        connection,
        kind=KIND,
        priority=Priority.MESSAGE,
        body=letter_body(letter),
        created_ms=now_ms,
        lifetime_s=lifetime_s,
        addressee=to,
    )
    connection.execute("INSERT INTO messages_sent VALUES (?, ?, ?, ?, ?)", (token, *record, to_name))
    return True


def sent(connection: sqlite3.Connection, tokens: Iterable[str]) -> list[SentLetter]:
    """The messages of these private names, in their order; an unknown one is passed over."""
    found = []
    for token in tokens:
        row = connection.execute(f"{_SENT} WHERE token = ?", (token,)).fetchone()
        if row is not None:
            found.append(_sent(row))
    return found


def inbox(connection: sqlite3.Connection, *, limit: int) -> list[ReceivedLetter]:
    """What came, the newest first; a body that is no message is left out."""
    rows = connection.execute(
        "SELECT number, origin, epoch, seq, body, created_ms, taken_ms, read_ms, read_by FROM records "
        "WHERE taken_ms IS NOT NULL AND kind = ? ORDER BY number DESC LIMIT ?",
        (KIND, limit),
    )
    found = []
    for row in rows:
        try:
            letter = letter_from_body(row["body"])
        except LetterError:
            continue
        found.append(
            ReceivedLetter(
                number=row["number"],
                id=RecordId(row["origin"], row["epoch"], row["seq"]),
                letter=letter,
                written_ms=row["created_ms"],
                came_ms=row["taken_ms"],
                read_ms=row["read_ms"],
                read_by=row["read_by"],
            )
        )
    return found


def say_read(connection: sqlite3.Connection, number: int, *, person: str, now_ms: int) -> bool:
    """A person here has read it; its author is told. False if there is no such message; a second reader is none."""
    row = connection.execute(
        "SELECT origin, epoch, seq FROM records WHERE number = ? AND kind = ? AND taken_ms IS NOT NULL", (number, KIND)
    ).fetchone()
    if row is None:
        return False
    mark_read(connection, RecordId(*row), person=person, at_ms=now_ms)
    return True


def _sent(row: sqlite3.Row) -> SentLetter:
    return SentLetter(
        token=row["token"],
        letter=letter_from_body(row["body"]),
        written_ms=row["created_ms"],
        expires_ms=None if row["lifetime_s"] is None else row["created_ms"] + row["lifetime_s"] * 1000,
        left_ms=row["left_ms"],
        accepted_ms=row["accepted_ms"],
        delivered_ms=row["delivered_ms"],
        undeliverable_ms=row["undeliverable_ms"],
        read_ms=row["read_ms"],
        read_by=row["read_by"],
        to=row["addressee"],
        to_name=row["to_name"],
        links=tuple((row["links"] or "").split(",")) if row["links"] else (),
    )
