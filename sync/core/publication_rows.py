"""The files that the core has published, from its tables."""

from __future__ import annotations

import sqlite3

from kit.model.published import KINDS, PublishedError, name_from_body
from sync.core.publications import Copy, Publication
from sync.protocol.records import RecordId

_KINDS = ", ".join(f"'{kind}'" for kind in KINDS)


def publications(connection: sqlite3.Connection, *, limit: int) -> list[Publication]:
    """See `PublicationStore.publications`. What only a newer version of this program can read is left out."""
    rows = connection.execute(
        "SELECT r.number, r.origin, r.epoch, r.seq, r.kind, r.created_ms, r.body FROM core_broadcasts b "  # noqa: S608 - our constant
        f"JOIN core_records r ON r.number = b.number WHERE r.kind IN ({_KINDS}) ORDER BY b.number DESC LIMIT ?",
        (limit,),
    )
    found = []
    for row in rows:
        try:
            name, by = name_from_body(row["body"])
        except PublishedError:
            continue
        found.append(
            Publication(
                number=row["number"],
                record=RecordId(row["origin"], row["epoch"], row["seq"]),
                kind=row["kind"],
                name=name,
                by=by,
                size_bytes=len(row["body"]),
                published_ms=row["created_ms"],
                copies=_copies(connection, row["number"]),
            )
        )
    return found


def _copies(connection: sqlite3.Connection, number: int) -> tuple[Copy, ...]:
    rows = connection.execute(
        "SELECT m.unit, m.link, m.left_ms, m.accepted_ms, m.opened_ms FROM core_multicast m "
        "LEFT JOIN core_kits k ON k.unit = m.unit WHERE m.number = ? ORDER BY k.name COLLATE NOCASE, m.unit",
        (number,),
    )
    return tuple(Copy(**dict(row)) for row in rows)
