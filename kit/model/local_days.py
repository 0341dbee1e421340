"""The village's days: which one an instant belongs to, and when it begins. Pure; the zone is handed in."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, tzinfo
from functools import lru_cache

DAY_MS = 86_400_000
_FIRST = date(1970, 1, 1).toordinal()
_NEVER_MS = 60_000_000_000_000
"""About two thousand years on either side; a date beyond it is no date, and counted in plain UTC days."""


class LocalDays:
    """Days are numbered from 1970-01-01 by their date in the zone.

    Args:
        zone: of the village.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self.start_ms = lru_cache(maxsize=4096)(self._start_ms)
        """Of a day, its first instant, Unix ms; it ends where the next one starts."""

    def day(self, at_ms: int) -> int:
        """The day that an instant (Unix ms) belongs to."""
        if not -_NEVER_MS < at_ms < _NEVER_MS:
            return at_ms // DAY_MS
        return datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(self._zone).toordinal() - _FIRST

    def _start_ms(self, day: int) -> int:
        if not -_NEVER_MS < day * DAY_MS < _NEVER_MS:
            return day * DAY_MS
        midnight = datetime.combine(date.fromordinal(day + _FIRST), time(), self._zone)
        return round(midnight.timestamp() * 1000)


def date_of(day: int) -> str:
    """`2016-04-12` for a numbered day."""
    return date.fromordinal(day + _FIRST).isoformat()
