"""Stored readings become records for the core, a hundred at a time.

Why nothing is missed and nothing doubled: every new reading puts a row into the queue `unsynced` in the very
transaction that stores it, whatever time it is dated, and a batch takes its rows out of that queue in the transaction
that writes its record. A watermark over times would miss back-dated readings; this cannot.
"""

from __future__ import annotations

import threading
from functools import partial

from kit.clock import Clock
from kit.model.batch import encode_batch, rounded_for_sending
from kit.store.database import Database
from kit.store.readings import count_unsynced, forget_unsynced, is_crowded, unsynced
from kit.store.records import write_record
from sync.protocol.records import Priority

ROWS = 100
"""A batch this full is closed: about 120 bytes, less than a radio frame."""

WAIT_S = 900.0
"""The oldest reading waits no longer (kit seconds)."""

POLL_S = 30.0
"""How soon a full batch is noticed (kit seconds)."""

BATCHES_AT_ONCE = 20
"""Per transaction, so that a backlog of weeks does not keep the store locked."""


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
        count, oldest_ms = count_unsynced(self._database.connection, at_most=ROWS)
        if oldest_ms is None:
            return POLL_S
        left_s = self._left_s(oldest_ms)
        if count < ROWS and left_s > 0:
            return min(POLL_S, left_s)
        with self._database.atomic() as connection:
            for _ in range(BATCHES_AT_ONCE):
                count, oldest_ms = count_unsynced(connection, at_most=ROWS)
                if oldest_ms is None or (count < ROWS and self._left_s(oldest_ms) > 0):
                    break
                waiting = unsynced(connection, limit=ROWS)
                if waiting.readings:
                    write_record(
                        connection,
                        kind="readings",
                        priority=Priority.READING,
                        body=encode_batch(
                            rounded_for_sending(waiting.readings, crowded=partial(is_crowded, connection))
                        ),
                        created_ms=self._now_ms(),
                    )
                forget_unsynced(connection, waiting.last_id)
            else:
                return 0.0
        return POLL_S

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        while not stop.is_set():
            stop.wait(max(0.005, self._clock.real(self.step())))

    def _left_s(self, oldest_ms: int) -> float:
        waited_s = (self._now_ms() - oldest_ms) / 1000
        # a clock that was set back would otherwise keep a batch open for years
        return WAIT_S - waited_s if waited_s >= 0 else 0.0

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)
