"""The values of one quantity, row after row, of all devices that measure it.

What one device tells helps with the next: in a village the sensors move together, and in one row the humidity falls as
the temperature rises.
"""

from __future__ import annotations

from sync.packing.coder import Coder
from sync.packing.curves import LOGISTIC
from sync.packing.numbers import Lengths
from sync.packing.opinions import Curve, Far, Opinions
from sync.packing.trend import FINE_BITS, Hints, Trend

PRIOR_ALONE: Hints = (-5, 20, 0)
"""Of a device's own last change (noise swings back), of the neighbours' (a trend goes on) and of the other quantity's.
In 1/16."""

PRIOR_WITH_OTHER: Hints = (-2, 4, 0)
"""The same where another quantity explains most; by how much and which way round is learnt."""

PRIOR_FAITH: Hints = (60, 60, 4)
"""Rows that these are worth."""

FIRST_SPREAD = 8
"""By how much two devices differ, in deviations of a change: only until their first values are known."""


class Column:
    """Codes values in whole units of the column's step.

    Args:
        spread: the deviation of a change at first, in 1/256 units.
        other_spread: the same of the quantity that hints at this one; any number where there is none.
        alone: there is none.
    """

    def __init__(self, spread: int, other_spread: int, *, alone: bool) -> None:
        self._trend = Trend(spread, PRIOR_ALONE if alone else PRIOR_WITH_OTHER, PRIOR_FAITH, other_spread)
        self._opinions = Opinions(spread)
        self._common = Common()
        self._last: dict[int, int] = {}
        self._change: dict[int, int] = {}
        self._newcomers = Far()
        self._newcomer_spread = spread * FIRST_SPREAD
        self._lengths = Lengths(5)

    def code(self, coder: Coder, device: int, value: int = 0, *, hint: int = 0) -> tuple[int, int]:
        """The next value of a device, and its change in 1/16 units.

        Args:
            coder: either direction.
            device: whose value.
            value: a decoder is not told.
            hint: how another quantity of the same row changed, in 1/16 of its units.
        """
        last = self._last.get(device)
        if last is None:
            return self._first(coder, device, value), 0
        mean, spread = self._trend.predict((self._change[device], self._common.value(), hint))
        change = self._opinions.code(coder, mean, spread, value - last)
        self._trend.learn(change)
        fine = self._trend.tame(change)
        self._common.learn(device, fine)
        self._last[device], self._change[device] = last + change, fine
        return last + change, fine

    def _first(self, coder: Coder, device: int, value: int) -> int:
        if self._last:
            around = sum(self._last.values()) // len(self._last)
            curve = Curve(LOGISTIC, 0, self._newcomer_spread, 1 << 16)
            value = around + self._newcomers.code(coder, (curve,), 0, value - around)
        else:
            value = self._lengths.signed(coder, value)
        self._last[device], self._change[device] = value, 0
        return value


class Common:
    """What the devices' changes have in common: their running mean, each round worth half of the one after it."""

    def __init__(self) -> None:
        self._sum = 0
        self._weight = 0
        self._heard: set[int] = set()

    def value(self) -> int:
        """In 1/16 units, drawn towards 0 while little is known."""
        return (self._sum << FINE_BITS) // (self._weight + (1 << FINE_BITS))

    def learn(self, device: int, change: int) -> None:
        """One more change; a device heard again begins a new round."""
        if device in self._heard:
            self._heard.clear()
            self._sum >>= 1
            self._weight >>= 1
        self._heard.add(device)
        self._sum += change
        self._weight += 1 << FINE_BITS
