"""The list of villages that the core tells to all of its kits, so that people there can write to each other by name.

Invariant: at most one list is on its way to a kit; whatever came before it goes no further.
"""

from __future__ import annotations

import sqlite3

from kit.model.villages import KIND, LIFETIME_S, UNIT, Village, villages_body, villages_from_body
from sync.core import broadcast_rows
from sync.protocol.records import Priority

SETTLE_MS = 10 * 60_000
"""A list is followed by another no sooner: of ten kits that join on one morning each is not told ten times. That a
village is gone is told at once."""

ANEW_MS = LIFETIME_S * 500
"""A list that did not change is said anew after half of its life, for kits that will join."""


def villages(connection: sqlite3.Connection) -> tuple[Village, ...]:
    """Those whose kits are enrolled, by unit id."""
    rows = connection.execute("SELECT unit, name FROM core_kits ORDER BY unit")
    return tuple(Village(str(unit), str(name)) for unit, name in rows if UNIT.fullmatch(str(unit)))


def is_told(connection: sqlite3.Connection, *, now_ms: int) -> bool:
    """Whether the kits need not be told now: the last list still is so or too new, or there is nobody else."""
    now = villages(connection)
    last = connection.execute(
        "SELECT body, created_ms, epoch = (SELECT epoch FROM core_own) AS of_this_life "
        "FROM core_records WHERE kind = 'villages' AND addressee = '*' "
        "AND origin = (SELECT origin FROM core_own) ORDER BY number DESC LIMIT 1"
    ).fetchone()
    if last is None:
        return len(now) < 2  # noqa: PLR2004 - a village alone has no other
    if not last["of_this_life"]:
        return False  # what the core said after the backup that it was restored from is not known here
    age_ms = now_ms - int(last["created_ms"])
    if {each.unit for each in villages_from_body(bytes(last["body"]))} - {each.unit for each in now}:
        return False  # nobody is to write to a village that is gone
    return 0 <= age_ms < SETTLE_MS or (villages_body(now) == bytes(last["body"]) and 0 <= age_ms < ANEW_MS)


def tell(connection: sqlite3.Connection, *, now_ms: int) -> None:
    """Write the list as it is now, for all kits; an older one is dropped where it has not arrived."""
    older = "SELECT number FROM core_records WHERE kind = 'villages' AND addressee = '*' AND outcome IS NULL"
    connection.execute(
        "UPDATE core_records SET lifetime_s = max((? - created_ms) / 1000, 0) "  # noqa: S608 - our constant
        f"WHERE number IN ({older}) AND created_ms + lifetime_s * 1000 > ?",
        (now_ms, now_ms),
    )
    connection.execute(
        f"DELETE FROM core_multicast WHERE accepted_ms IS NULL AND number IN ({older})"  # noqa: S608 - our constant
    )
    broadcast_rows.publish(
        connection,
        kind=KIND,
        priority=Priority.SUMMARY,
        body=villages_body(villages(connection)),
        now_ms=now_ms,
        lifetime_s=LIFETIME_S,
        units=None,
    )
