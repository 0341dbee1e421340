"""Whether a sensor agrees with its neighbours, allowing for what usually lies between them; pure.

The spatial check of meteorological services (level 3 of MADIS; WMO-No. 488, part VI.8) compares a value with what the
stations around it lead one to expect. In a village the stations are few and the ground is uneven: a thermometer in a
hollow is two degrees colder every clear night. So each sensor's *usual* difference from the median of its neighbours
is learned, and how much that scatters; only what lies far outside is called into question.

The learning is robust in the sense of P. J. Huber, "Robust Estimation of a Location Parameter" (1964): one wild value
moves the estimate no further than a somewhat unusual one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NEIGHBOURS_AT_MOST = 9
"""The nearest; more say nothing new."""

WITHIN_MS = 30 * 60_000
"""Neighbours that were heard longer ago have no say."""

WITHIN_KM = 10.0
"""Of sensors whose places are known; those without a place are taken to be at this unit."""

LEARNED_FROM = 30
"""Comparisons before a sensor may be called into question: half a day of half-hourly readings, a night of minutes."""

WIDTH = 5.0
"""Mean deviations from the usual difference; of a normal distribution, one value in 15,000 lies beyond four sigma."""

MEMORY = 200
"""Comparisons over which an old difference is forgotten: a sensor that was moved is believed again in a few days."""

CLIP = 3.0
"""Mean deviations beyond which a value teaches no more than at it."""


@dataclass(frozen=True, slots=True)
class Usual:
    """How a sensor usually differs from its neighbours, in its own unit.

    Attributes:
        difference: own value minus the neighbours' median.
        deviation: mean distance from that.
        count: how many comparisons taught it; counts up to `MEMORY`.
    """

    difference: float = 0.0
    deviation: float = 0.0
    count: int = 0

    def is_far(self, value: float, median: float, *, floor: float) -> bool:
        """Whether the value lies outside what is usual.

        Args:
            value: the sensor's.
            median: of its neighbours.
            floor: the smallest deviation worth a question, from `kit.model.quantities`.
        """
        if self.count < LEARNED_FROM:
            return False
        return abs(value - median - self.difference) > max(floor, WIDTH * self.deviation)

    def learn(self, value: float, median: float, *, floor: float) -> Usual:
        """With one more comparison."""
        difference = value - median
        if self.count == 0:
            return Usual(difference, floor / WIDTH, 1)
        count = min(self.count + 1, MEMORY)
        reach = CLIP * max(self.deviation, floor / WIDTH)
        error = min(reach, max(-reach, difference - self.difference))
        return Usual(
            self.difference + error / count,
            self.deviation + (abs(error) - self.deviation) / count,
            count,
        )


def median_of(values: Sequence[float]) -> float:
    """The middle value; of an even number, the mean of the two in the middle."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
