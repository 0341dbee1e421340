"""How far each kit has what was said to many: left for it, accepted by it, read by a person or opened there.

Invariant: a row is accepted on that kit's word, read on a person's there, opened once the kit has given the file to
somebody's browser, and nothing else says so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from kit.model.published import KINDS
from sync.protocol.records import RecordId


def waits(connection: sqlite3.Connection, record: RecordId, *, peer: str) -> bool:
    """Whether that kit has not accepted it."""
    found = connection.execute(f"SELECT 1 FROM core_multicast WHERE accepted_ms IS NULL AND {_NAMED}", (peer, *record))  # noqa: S608 - our constant
    return found.fetchone() is not None


def note_left(connection: sqlite3.Connection, ids: Sequence[RecordId], *, peer: str, link: str, at_ms: int) -> None:
    """They have left for that kit over that link."""
    connection.executemany(
        f"UPDATE core_multicast SET left_ms = ?, link = ? WHERE left_ms IS NULL AND {_NAMED}",  # noqa: S608 - our constant
        [(at_ms, link, peer, *each) for each in ids],
    )


def note_accepted(connection: sqlite3.Connection, ids: Sequence[RecordId], *, peer: str, link: str, at_ms: int) -> None:
    """That kit has committed them."""
    connection.executemany(
        f"UPDATE core_multicast SET accepted_ms = ?, link = ? WHERE accepted_ms IS NULL AND {_NAMED}",  # noqa: S608 - our constant
        [(at_ms, link, peer, *each) for each in ids],
    )


def note_read(connection: sqlite3.Connection, record: RecordId, *, unit: str, person: str, at_ms: int) -> bool:
    """A person there has read it; whether it was for that kit."""
    return _mark_read(connection, _NAMED, (unit, *record), person=person, at_ms=at_ms)


def note_receipt(connection: sqlite3.Connection, alert: str, *, unit: str, person: str, at_ms: int) -> bool:
    """A person there has confirmed that warning; whether it was one of the core's for that kit."""
    named = "unit = ? AND number IN (SELECT number FROM core_broadcasts WHERE alert = ? AND alert <> '')"
    return _mark_read(connection, named, (unit, alert), person=person, at_ms=at_ms)


def note_opened(connection: sqlite3.Connection, record: RecordId, *, unit: str, at_ms: int) -> bool:
    """Somebody there has opened the file in it; whether it is a file, and for that kit."""
    found = connection.execute(
        f"UPDATE core_multicast SET opened_ms = coalesce(opened_ms, ?) WHERE {_NAMED} "  # noqa: S608 - our constant
        f"AND number IN (SELECT number FROM core_records WHERE kind IN ({', '.join('?' * len(KINDS))}))",
        (at_ms, unit, *record, *KINDS),
    )
    return bool(found.rowcount)


def refill(connection: sqlite3.Connection, peer: str, gaps: Sequence[tuple[int, int, int]]) -> int:
    """That kit has lost what it had accepted in these ranges (epoch, from, before)."""
    changed = connection.executemany(
        "UPDATE core_multicast SET accepted_ms = NULL WHERE unit = ? AND accepted_ms IS NOT NULL AND number IN "
        "(SELECT number FROM core_records WHERE origin = (SELECT origin FROM core_own) AND addressee = '*' "
        "AND epoch = ? AND seq >= ? AND seq < ?)",
        [(peer, *gap) for gap in gaps],
    ).rowcount
    return max(changed, 0)


_NAMED = (
    "unit = ? AND number = (SELECT number FROM core_records WHERE origin = ? AND epoch = ? AND seq = ? "
    "AND addressee = '*')"
)


def _mark_read(
    connection: sqlite3.Connection, named: str, names: tuple[object, ...], *, person: str, at_ms: int
) -> bool:
    found = connection.execute(
        "UPDATE core_multicast SET read_ms = coalesce(read_ms, ?), "  # noqa: S608 - one of two constants
        f"read_by = CASE WHEN read_ms IS NULL THEN ? ELSE read_by END WHERE {named}",
        (at_ms, person, *names),
    )
    return bool(found.rowcount)
