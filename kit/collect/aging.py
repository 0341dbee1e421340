"""What happens to readings as they age: hours and days are computed, then what is older than wanted is deleted.

One small transaction at a time, with a rest after each that is at least as long as it took, so that a backlog of years
never holds up the readings that come in. Readings are only deleted while the kit's clock is firm (network, GPS, radio,
core): a kit that believes it is ten years later would delete all it has, and a person's phone can be ten years ahead.
"""

from __future__ import annotations

import threading

from kit.clock import Clock
from kit.model.local_days import DAY_MS, LocalDays
from kit.settings import RetentionSettings
from kit.store.database import Database
from kit.store.rollups import HOUR_MS, advance, roll, thin, thin_hourly

POLL_S = 60.0
"""Kit seconds between two looks when there is nothing left to do."""

REST_S = 0.02
"""Real seconds at least between two transactions."""


class Aging:
    """Rolls readings up and thins them out. Belongs to one thread.

    Args:
        database: the kit's open store.
        clock: says which hours are over, and whether it may be believed.
        days: of the village.
        retention: how long what is kept.
    """

    def __init__(self, database: Database, clock: Clock, *, days: LocalDays, retention: RetentionSettings) -> None:
        self._database, self._clock, self._days, self._retention = database, clock, days, retention

    def step(self) -> bool:
        """One transaction's worth; True when there was nothing left to do."""
        now_ms = int(self._clock.now() * 1000)
        with self._database.atomic() as connection:
            if not advance(connection, to_ms=now_ms // HOUR_MS * HOUR_MS):
                return False
        with self._database.atomic() as connection:
            if not roll(connection, self._days):
                return False
        return not self._clock.firm or self._thin(now_ms)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        while not stop.is_set():
            began_s = self._clock.monotonic()
            done = self.step()
            took_s = self._clock.real(self._clock.monotonic() - began_s)
            stop.wait(max(0.005, self._clock.real(POLL_S)) if done else max(REST_S, took_s))

    def _thin(self, now_ms: int) -> bool:
        raw_days, hourly_days = self._retention.raw_days, self._retention.hourly_days
        if raw_days:
            before_ms = self._days.start_ms(self._days.day(now_ms - raw_days * DAY_MS))
            with self._database.atomic() as connection:
                if thin(connection, before_ms=before_ms, days=self._days):
                    return False
        if hourly_days:
            with self._database.atomic() as connection:
                if thin_hourly(connection, before_ms=now_ms - hourly_days * DAY_MS):
                    return False
        return True
