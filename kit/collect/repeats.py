"""Undated messages that come twice: MQTT QoS 1 may deliver twice, and only packet id and content can tell.

What was taken is remembered in the transaction that took it (`kit.store.ingest_state`). Looking for it is for messages
that say they may be repetitions; all others are only noted, as cheaply as can be.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from kit.model.messages import Published
from kit.store.ingest_state import (
    REPEAT_WITHIN_MS,
    forget_old_undated,
    is_digest_of,
    remember_undated,
    undated_digest,
    undated_key,
    undated_taken,
)

TIDY_EVERY = 10_000
"""Undated messages between two clean-ups of what is remembered about them."""


class Repeats:
    """The undated messages of one transaction, and those before them."""

    def __init__(self) -> None:
        self._new: list[Published] = []
        self._by_key: dict[bytes, tuple[bytes, int]] = {}
        self._looked_through = 0
        self._taken: dict[bytes, tuple[bytes, int]] | None = None
        self._since_tidied = 0

    def begin(self) -> None:
        """Start a transaction's worth."""
        self._new.clear()
        self._by_key.clear()
        self._looked_through = 0
        self._taken = None

    def came_before(self, connection: sqlite3.Connection, published: Published) -> bool:
        """Whether this very message, undated and at QoS 1, was taken already; remembers it if not."""
        if published.duplicate and self._is_held(connection, published):
            return True
        self._new.append(published)
        return False

    def are_new(self, messages: Sequence[Published]) -> None:
        """Remember undated messages at QoS 1 that do not say that they may be repetitions."""
        self._new += messages

    def _is_held(self, connection: sqlite3.Connection, published: Published) -> bool:
        for one in self._new[self._looked_through :]:
            key = undated_key(one.client_id, one.packet_id or 0)
            self._by_key[key] = (undated_digest(one.topic, one.payload), one.received_ms)
        self._looked_through = len(self._new)
        key = undated_key(published.client_id, published.packet_id or 0)
        held = self._by_key.get(key)
        if held is None:
            if self._taken is None:
                self._taken = undated_taken(connection)
            held = self._taken.get(key)
        if held is None:
            return False
        digest, taken_ms = held
        return (
            is_digest_of(digest, published.topic, published.payload)
            and published.received_ms - taken_ms < REPEAT_WITHIN_MS
        )

    def write(self, connection: sqlite3.Connection, now_ms: int) -> None:
        """Remember what was new, and now and then forget what is old."""
        if not self._new:
            return
        remember_undated(connection, self._new, at_ms=now_ms)
        self._since_tidied += len(self._new)
        if self._since_tidied >= TIDY_EVERY:
            self._since_tidied = 0
            forget_old_undated(connection, now_ms=now_ms)
