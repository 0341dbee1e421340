"""What the mobile network may cost in a day: bytes, with the less urgent stopping the sooner.

Prepaid data is bought by the megabyte, so a person sets how many bytes a day the kit may use. Alarms and receipts
always go. Messages may use the whole day's bytes, summaries, readings and bulk only a first part of them, so that the
morning's photos cannot use up what an evening's message needs. Everything is counted that crosses the network as far as
the kit knows: frames both ways, their share of TCP and encryption, connections, and signs of life.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.clock import Clock

SHARES = {2: 1.0, 3: 0.95, 4: 0.85, 5: 0.6}
"""Of the day's bytes, what has been used in all before that priority stops. Those not named here never stop."""

MOST_PRIORITY = 5

SCRAP_BYTES, SCRAP_SHARE = 4096, 0.02
"""What is left, but too little for a frame that wants to go: it counts as used up, so that the frame goes by another
link, and a person is told why it waits."""

SAVE_EVERY_S = 30.0
"""Kit seconds between two writes: a crash forgets what half a minute used, and an SD card lives."""


@dataclass
class DataBudget:
    """Counts a day's bytes and says who may still use some.

    Attributes:
        daily_bytes: may be used in a day; 0 = as many as it takes.
        clock: kit time.
        day: names the day of a Unix time in the village's zone, for example "2026-04-23".
        ledger: a file that keeps the count over restarts; None = only as long as the object lives.
    """

    daily_bytes: int
    clock: Clock
    day: Callable[[float], str]
    ledger: Path | None = None
    _today: str = ""
    _used: dict[str, int] = field(default_factory=dict)
    _saved_s: float = 0.0
    _stopped: int = MOST_PRIORITY + 1

    def __post_init__(self) -> None:
        self._restore()

    def allows(self, size: int, *, priority: int) -> bool:
        """Whether so many bytes of that priority may go now."""
        if not self.daily_bytes or priority not in SHARES:
            return True
        self._turn_the_day()
        left = SHARES[priority] * self.daily_bytes - self.used
        if size > left and left < max(SCRAP_BYTES, SCRAP_SHARE * self.daily_bytes):
            self._stopped = min(self._stopped, priority)
        return size <= left

    def lowest_priority(self) -> int:
        """The largest priority number that may still go today."""
        self._turn_the_day()
        stopped = [each for each, share in SHARES.items() if self.daily_bytes and self.used >= share * self.daily_bytes]
        return min([*stopped, self._stopped]) - 1

    def count(self, size: int, what: int | str) -> None:
        """So many bytes were used: by a frame of that priority, or "received", "connection", "signs of life"."""
        self._turn_the_day()
        self._used[str(what)] = self._used.get(str(what), 0) + size
        if self.clock.monotonic() - self._saved_s >= SAVE_EVERY_S:
            self.save()

    @property
    def used(self) -> int:
        """Bytes in all today."""
        return sum(self._used.values())

    def facts(self) -> dict[str, Any]:
        """For `kit status --json`."""
        self._turn_the_day()
        return {
            "daily_bytes": self.daily_bytes,
            "used_bytes": self.used,
            "used_by": dict(sorted(self._used.items())),
            "lowest_priority": self.lowest_priority(),
        }

    def explain(self) -> str:
        """For example "2.1 MB of today's 5.0 MB are used"; "" where nothing is metered."""
        if not self.daily_bytes:
            return ""
        self._turn_the_day()
        return f"{megabytes(self.used)} of today's {megabytes(self.daily_bytes)} are used"

    def save(self) -> None:
        """Write the ledger, whole or not at all. A full disk costs the memory, not the link."""
        self._saved_s = self.clock.monotonic()
        if self.ledger is None:
            return
        temporary = self.ledger.with_suffix(".new")
        try:
            temporary.write_text(json.dumps({"day": self._today, "used": self._used}))
            temporary.rename(self.ledger)
        except OSError:
            return

    def _turn_the_day(self) -> None:
        today = self.day(self.clock.now())
        if today != self._today:
            self._today, self._used, self._stopped = today, {}, MOST_PRIORITY + 1

    def _restore(self) -> None:
        if self.ledger is None:
            return
        try:
            told: Mapping[str, Any] = json.loads(self.ledger.read_text())
            self._today = str(told["day"])
            self._used = {str(what): max(int(size), 0) for what, size in told["used"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self._today, self._used = "", {}


def megabytes(size: float) -> str:
    """`312 kB`, `2.1 MB`."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"  # noqa: PLR2004 - a million
