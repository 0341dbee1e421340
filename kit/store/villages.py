"""Which villages the core has, as it last told this kit."""

from __future__ import annotations

import sqlite3

from kit.model.villages import KIND, Village, VillagesError, villages_from_body


def villages(connection: sqlite3.Connection, core: str) -> tuple[Village, ...]:
    """The villages of that core, this one among them, by name; none = it has told of none yet.

    Only what the core itself wrote counts: it also passes on what other kits write, and a kit may write anything. The
    newest list is the one with the highest name, for lists come in any order; a restored core goes on in a later epoch.
    """
    row = connection.execute(
        "SELECT body FROM records WHERE taken_ms IS NOT NULL AND kind = ? AND origin = ? "
        "ORDER BY epoch DESC, seq DESC LIMIT 1",
        (KIND, core),
    ).fetchone()
    try:
        return villages_from_body(bytes(row[0])) if row is not None else ()
    except VillagesError:
        return ()
