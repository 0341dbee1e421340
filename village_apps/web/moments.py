"""Times as the village says them: local, in words, in the reader's language.

A phone's clock is often wrong and its zone, too, so the page says times by the kit's clock in the village's zone.
Hours are written in digits ("21:14"), which mean the same in every language; Swahili's spoken hours, counted from six
o'clock, would not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from village_apps.phrases import Phrase, phrase

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
EVENING_HOUR = 17
"""From here on a time belongs to the coming night."""
MORNING_HOUR = 4
"""From here on it belongs to the morning."""


@dataclass(frozen=True)
class Moments:
    """Says moments in one time zone."""

    timezone: str

    def local(self, at_ms: int) -> datetime:
        """The moment on the village's clock."""
        return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(self.timezone))

    def clock(self, at_ms: int) -> str:
        """`"21:14"`."""
        return self.local(at_ms).strftime("%H:%M")

    def day(self, at_ms: int, language: str) -> str:
        """`"Tuesday, 12 April"` in that language."""
        from babel.dates import format_date

        return format_date(self.local(at_ms).date(), "EEEE, d MMMM", locale=language)

    def when(self, at_ms: int, *, now_ms: int) -> Phrase:
        """`"tonight at 02:30"`, `"tomorrow at 06:10"`, `"on 12/04 at 21:14"`."""
        at, now = self.local(at_ms), self.local(now_ms)
        time = self.clock(at_ms)
        if _night_of(at) == _night_of(now) and _is_night(at):
            return phrase("tonight at %(time)s", time=time)
        if at.date() == now.date():
            return phrase("today at %(time)s", time=time)
        if at.date() == now.date() + timedelta(days=1):
            return phrase("tomorrow at %(time)s", time=time)
        if at.date() == now.date() - timedelta(days=1):
            return phrase("yesterday at %(time)s", time=time)
        return phrase("on %(date)s at %(time)s", date=at.strftime("%d/%m"), time=time)

    def ago(self, at_ms: int, *, now_ms: int) -> Phrase:
        """How long since; a moment that is not over yet, by clocks that differ a little, is "just now"."""
        passed = max(0, now_ms - at_ms)
        if passed < MINUTE_MS:
            return phrase("just now")
        if passed < HOUR_MS:
            return phrase("%(count)s min ago", count=passed // MINUTE_MS)
        if passed < DAY_MS:
            return phrase("%(count)s h ago", count=passed // HOUR_MS)
        return phrase("%(count)s days ago", count=passed // DAY_MS)


def _is_night(at: datetime) -> bool:
    return at.hour >= EVENING_HOUR or at.hour < MORNING_HOUR


def _night_of(at: datetime) -> date:
    """Nights are named by the day on which they begin; noon divides them."""
    return (at - timedelta(hours=12)).date()
