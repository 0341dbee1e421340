"""What devices taught about themselves: units, classes and topics that came in a message of their own.

A dialect reads later messages by it (`kit.collect.dialects.port.Parsed.learned`), so it must survive a restart: a
device that is never restarted announces itself once. The table is one of `kit.store.devices`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

KEYS_PER_DEVICE = 512
"""A gateway with a hundred sensors announces about as many; what comes beyond is not learned."""

LONGEST = 1000
"""Characters of a key or a value."""


def learned_by(connection: sqlite3.Connection, device: str) -> dict[str, str]:
    """Everything a device taught, by key."""
    return dict(connection.execute("SELECT key, value FROM learned WHERE device = ?", (device,)).fetchall())


def learn(connection: sqlite3.Connection, device: str, known: Mapping[str, str], taught: Mapping[str, str]) -> int:
    """Keep what was taught, inside the caller's transaction; "" forgets a key. Returns how many had no room.

    Args:
        connection: inside a transaction.
        device: who taught it.
        known: what it had taught before.
        taught: the new values by key.
    """
    room = KEYS_PER_DEVICE - len(known)
    refused = 0
    for key, value in taught.items():
        if not value:
            connection.execute("DELETE FROM learned WHERE device = ? AND key = ?", (device, key))
            room += key in known
        elif len(key) > LONGEST or len(value) > LONGEST or (key not in known and room <= 0):
            refused += 1
        else:
            connection.execute("INSERT OR REPLACE INTO learned VALUES (?, ?, ?)", (device, key, value))
            room -= key not in known
    return refused


def forget(connection: sqlite3.Connection, device: str) -> None:
    """Forget all that a device taught."""
    connection.execute("DELETE FROM learned WHERE device = ?", (device,))
