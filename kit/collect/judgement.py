"""What is doubtful about a reading, from the reading, the one before it, and the table of quantities.

Pure, and only ever adds flags. Sources of the limits: `kit.model.quantities`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from kit.clock import EARLIEST_BELIEVABLE_S
from kit.model.quantities import Quantity, quantity_named
from kit.model.readings import Quality

FUTURE_MS = 600_000
"""A device's clock may be ten minutes fast before it counts as wrong: crystals drift by seconds a day."""

EARLIEST_MS = 946_771_200_000
"""2000-01-02: clock chips that lost their battery start at 1980-01-01 or 2000-01-01."""

NEIGHBOURS_WITHIN_MS = 3_600_000
"""Readings further apart than this say nothing about a jump."""

_GUESSED = int(Quality.TIME_GUESSED)
_GUESSED_UNSET = int(Quality.TIME_GUESSED | Quality.TIME_DOUBTFUL)

_IMPOSSIBLE, _STUCK, _STEP = int(Quality.IMPOSSIBLE), int(Quality.STUCK), int(Quality.STEP)

find_quantity = lru_cache(maxsize=1024)(quantity_named)


class Before(Protocol):
    """The newest reading of the series so far (`kit.store.reading_writer.Series` fits)."""

    @property
    def latest_ms(self) -> int | None:
        """When it was; None if there is none."""
        ...

    @property
    def value(self) -> float:
        """Its value."""
        ...

    @property
    def same_since_ms(self) -> int:
        """Since when the value has not changed."""
        ...

    @property
    def good_ms(self) -> int | None:
        """When the newest possible one was."""
        ...

    @property
    def good_value(self) -> float | None:
        """And its value."""
        ...


def judge_known(known: Quantity, value: float, time_ms: int, before: Before) -> int:
    """The flags that a value of a quantity of the table earns; asked once for every reading the kit ever keeps.

    A reading older than the newest is only judged by its range.
    """
    flags = 0 if known.low <= value <= known.high else _IMPOSSIBLE
    latest_ms = before.latest_ms
    if latest_ms is None or time_ms <= latest_ms:
        return flags
    if value == before.value and _is_stuck(known, value, time_ms, before):
        flags |= _STUCK
    if not flags and value != before.good_value and _is_step(known, value, time_ms, before):
        flags = _STEP
    return flags


def judge_time(time_ms: int, arrived_ms: int, *, own_time: bool, clock_trusted: bool) -> int:
    """The flags that a time earns. Without a trusted clock of its own the kit cannot call a device's time late."""
    if not own_time:
        if clock_trusted:
            return 0
        return _GUESSED_UNSET if arrived_ms < EARLIEST_BELIEVABLE_S * 1000 else _GUESSED
    if time_ms < EARLIEST_MS or (clock_trusted and time_ms > arrived_ms + FUTURE_MS):
        return int(Quality.TIME_DOUBTFUL)
    return 0


def _is_stuck(known: Quantity, value: float, time_ms: int, before: Before) -> bool:
    if known.stuck_after_s is None or before.latest_ms is None:
        return False
    if value <= known.rests_at_most or value >= known.rests_at_least:
        return False
    stuck_after_ms = known.stuck_after_s * 1000
    # after a long silence the same value may be a coincidence
    return time_ms - before.same_since_ms >= stuck_after_ms and (time_ms - before.latest_ms) * 2 <= stuck_after_ms


def _is_step(known: Quantity, value: float, time_ms: int, before: Before) -> bool:
    if known.step_per_minute is None or before.good_ms is None or before.good_value is None:
        return False
    apart_ms = time_ms - before.good_ms
    if apart_ms > NEIGHBOURS_WITHIN_MS:
        return False
    return abs(value - before.good_value) > known.step_per_minute * max(1.0, apart_ms / 60_000)
