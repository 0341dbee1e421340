"""A kit's next keys, the core's side: kept beside those in use, answered, and in use from the first frame under them.

Invariant: the answer is written in the transaction that keeps the keys, and the old ones are forgotten in the one that
puts the next ones in their place: at no moment does the core know neither.
"""

from __future__ import annotations

import sqlite3

from kit.model.new_key import KIND, known_key_body, new_key_from_body
from sync.core import own_rows
from sync.core.bodies import BodyError
from sync.protocol import keys
from sync.protocol.records import Priority, Record

_ANY_PRIVATE = bytes(range(32))


def apply_new_key(connection: sqlite3.Connection, record: Record) -> None:
    """A kit tells its next keys. Whoever holds its present ones could have sealed this; nobody else.

    Raises:
        ValueError: they cannot be used.
    """
    exchange, curve, offer = new_key_from_body(record.body)
    keys.agree(_ANY_PRIVATE, exchange)  # no point of small order
    unit = record.id.origin
    if is_another_kits(connection, exchange, unit=unit):
        raise BodyError("another kit has these keys")
    # of one epoch the newest counts, in whatever order they come; a kit that lost its store may begin with any epoch.
    # what is in use already needs no next
    changed = connection.execute(
        "UPDATE core_kits SET next_public = nullif(?1, exchange_public), "
        "next_curve = CASE WHEN exchange_public = ?1 THEN NULL ELSE ?2 END, next_epoch = ?3, next_seq = ?4 "
        "WHERE unit = ?5 AND (next_epoch <> ?3 OR next_seq < ?4)",
        (exchange, curve, record.id.epoch, record.id.seq, unit),
    ).rowcount
    if changed:
        own_rows.write(
            connection,
            addressee=unit,
            kind=KIND,
            priority=Priority.RECEIPT,
            body=known_key_body(exchange, offer),
            now_ms=record.created_ms,
        )


def promote(connection: sqlite3.Connection, unit: str) -> bool:
    """See `PeerBook.speaks_under_next_key`."""
    promoted = connection.execute(
        "UPDATE core_kits SET exchange_public = next_public, curve_public = next_curve, next_public = NULL, "
        "next_curve = NULL WHERE unit = ? AND next_public IS NOT NULL",
        (unit,),
    )
    return bool(promoted.rowcount)


def is_another_kits(connection: sqlite3.Connection, exchange_public: bytes, *, unit: str) -> bool:
    """Whether a kit with another id has that key, or has told that it will have it."""
    found = connection.execute(
        "SELECT 1 FROM core_kits WHERE unit <> ?1 AND (exchange_public = ?2 OR next_public = ?2)",
        (unit, exchange_public),
    )
    return found.fetchone() is not None
