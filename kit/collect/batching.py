"""Stored readings become records for the core, a hundred at a time.

Why nothing is missed and nothing doubled: every new reading puts a row into the queue `unsynced` in the very
transaction that stores it, whatever time it is dated, and a batch takes its rows out of that queue in the transaction
that writes its record. A watermark over times would miss back-dated readings; this cannot.
"""

from __future__ import annotations

import threading
from functools import partial

from kit.clock import Clock
from kit.collect.uplink import Uplink, uplink
from kit.model.batch import encode_batches, rounded_for_sending
from kit.store.database import Database
from kit.store.readings import Unsynced, count_unsynced, forget_unsynced, is_crowded, unsynced
from kit.store.records import write_record
from sync.protocol.records import Priority

ROWS = 100
"""A batch this full is closed: about 120 bytes, less than a radio frame."""

WAIT_S = 900.0
"""The oldest reading waits no longer (kit seconds)."""

NARROW_ROWS = 400
NARROW_WAIT_S = 21_600.0
"""While only a radio is up: every batch names its devices and begins their values anew, so few large ones take a
quarter of the air that many small ones do; meanwhile summaries tell the core how things are."""

POLL_S = 30.0
"""How soon a full batch is noticed (kit seconds)."""

BATCHES_AT_ONCE = 20
"""In a row, each in a transaction of its own, so that a backlog of weeks does not keep the store locked."""


class Batcher:
    """Makes records of readings. Belongs to one thread.

    Args:
        database: the kit's open store.
        clock: says how long the oldest reading has waited.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def step(self) -> float:
        """Write the batches that are due; returns how many kit seconds until it should be called again."""
        narrow = uplink(self._database.connection, now_ms=self._now_ms()) in (Uplink.NARROW, Uplink.AWAY)
        rows, wait_s = (NARROW_ROWS, NARROW_WAIT_S) if narrow else (ROWS, WAIT_S)
        count, oldest_ms = count_unsynced(self._database.connection, at_most=rows)
        if oldest_ms is None:
            return POLL_S
        left_s = self._left_s(oldest_ms, wait_s)
        if count < rows and left_s > 0:
            return min(POLL_S, left_s)
        for _ in range(BATCHES_AT_ONCE):
            count, oldest_ms = count_unsynced(self._database.connection, at_most=rows)
            if oldest_ms is None or (count < rows and self._left_s(oldest_ms, wait_s) > 0):
                return POLL_S
            self._write(unsynced(self._database.connection, limit=rows), rows)
        return 0.0

    def _write(self, waiting: Unsynced, rows: int) -> None:
        # packed before the transaction: on a small computer that takes longer than others should wait for the store
        crowded = partial(is_crowded, self._database.connection)
        bodies = encode_batches(rounded_for_sending(waiting.readings, crowded=crowded)) if waiting.readings else []
        with self._database.atomic() as connection:
            if unsynced(connection, limit=rows) != waiting:
                return  # more have come, or times were corrected: the next step packs what is so now
            for body in bodies:
                write_record(
                    connection, kind="readings", priority=Priority.READING, body=body, created_ms=self._now_ms()
                )
            forget_unsynced(connection, waiting.last_id)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        while not stop.is_set():
            stop.wait(max(0.005, self._clock.real(self.step())))

    def _left_s(self, oldest_ms: int, wait_s: float) -> float:
        waited_s = (self._now_ms() - oldest_ms) / 1000
        # a clock that was set back would otherwise keep a batch open for years
        return wait_s - waited_s if waited_s >= 0 else 0.0

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)
