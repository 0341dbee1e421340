"""What the core says to its kits, as the kit keeps it: its signing key, its warnings, which keys of ours it knows.

Invariant: only what the core itself wrote counts here. It also passes on what other kits write, and a kit may write
anything. A warning is in the alerts' table in the transaction that keeps its record.
"""

from __future__ import annotations

import sqlite3

from kit.model.alert import AlertError, from_record_body
from kit.model.core_key import KIND as CORE_KEY
from kit.model.core_key import CoreKeyError, core_key_from_body
from kit.model.new_key import NewKeyError, known_key_from_body
from kit.store.alerts import insert_alert
from kit.store.facts import count_change, get_fact, put_fact
from sync.protocol.records import Record

WARNING = "alert"
KNOWN_KEYS = "core-knows-keys"
MOST_KEYS = 8
"""Answers to earlier offers may still come; older ones are of no use."""

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


def hear_known_key(connection: sqlite3.Connection, record: Record) -> None:
    """The core knows our next keys. Kept by what it says: a core that was set back may use a record's name again."""
    try:
        public, offer = known_key_from_body(record.body)
    except NewKeyError:
        return
    known = get_fact(connection, KNOWN_KEYS)
    keys = [] if known is None else list(known[1]["keys"])
    told = [record.id.origin, public.hex(), offer]
    if told not in keys:
        put_fact(connection, KNOWN_KEYS, {"keys": [*keys, told][-MOST_KEYS:]}, at_ms=record.created_ms)


def knows_key(connection: sqlite3.Connection, core: str, public: bytes, *, offer: int) -> bool:
    """Whether that core has said that it knows that X25519 key of ours, when it was offered for that time."""
    known = get_fact(connection, KNOWN_KEYS)
    return known is not None and [core, public.hex(), offer] in known[1]["keys"]


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
