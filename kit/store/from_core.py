"""What the core says to all of its kits, as the kit keeps it: its signing key, and its warnings.

Invariant: only what the core itself wrote counts here. It also passes on what other kits write, and a kit may write
anything. A warning is in the alerts' table in the transaction that keeps its record.
"""

from __future__ import annotations

import sqlite3

from kit.model.alert import AlertError, from_record_body
from kit.model.core_key import KIND as CORE_KEY
from kit.model.core_key import CoreKeyError, core_key_from_body
from kit.store.alerts import insert_alert
from kit.store.facts import count_change
from sync.protocol.records import Record

WARNING = "alert"
SUBJECT = "alerts"
"""What pages that show alerts depend on (`kit.store.facts.count_change`)."""


def hear_warning(connection: sqlite3.Connection, record: Record) -> None:
    """The core warns. What cannot be read is kept like any other record, and changes nothing."""
    try:
        alert = from_record_body(record.body)
    except AlertError:
        return
    if insert_alert(connection, alert):
        count_change(connection, SUBJECT)


def signing_key(connection: sqlite3.Connection, core: str) -> bytes | None:
    """The Ed25519 public key of that core, as it last told it; None = not yet."""
    rows = connection.execute(
        "SELECT body FROM records WHERE taken_ms IS NOT NULL AND kind = ? AND origin = ? ORDER BY number DESC LIMIT 1",
        (CORE_KEY, core),
    )
    for (body,) in rows:
        try:
            return core_key_from_body(bytes(body))
        except CoreKeyError:
            return None
    return None
