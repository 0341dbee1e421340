"""A number under several bell curves at once, each trusted as far as it was right before.

The weights of a mixture of curves are Bayes' own: what each curve gave the number that came. There are four: the bell
curve of whoever predicts, a broader logistic one around the same middle, a logistic one around "no change" (what
jumps about has no trend), and a spike at exactly no change (what stands still). Numbers far out are spelled instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sync.packing.coder import Bit, Coder
from sync.packing.curves import LOGISTIC, NORMAL, REACH, STEPS_BITS, WHOLE, WHOLE_BITS
from sync.packing.numbers import Lengths
from sync.packing.trend import MEAN_BITS

UNIT = 1 << MEAN_BITS
"""Means and deviations are in 1/256 of the unit that is coded."""

_HALF = UNIT >> 1
_FRACTION_BITS = 8
_SHARE_BITS = 16
_SHARES = 1 << _SHARE_BITS

_COARSE_ABOVE_BITS = 7 + MEAN_BITS
"""With a deviation over 128 units the lowest bits of a number tell nothing, and go as they are."""

_WINDOW = 10
"""Deviations on either side that the curves cover; what lies beyond is spelled."""

_FIRST = (_SHARES * 13 // 16, _SHARES // 16, _SHARES // 16, _SHARES // 16)
_LEAST = (_SHARES >> 6, _SHARES >> 7, _SHARES >> 8, _SHARES >> 9)
"""No opinion is ever quite silenced: a sensor that stood still may start to jump."""

_BROADER = 2
_NARROWEST_WALK = UNIT >> 2
_WALK_FADE_BITS = 3
_CRUMB = 16
"""Added to every opinion's weight of what came, so that none is judged wholly wrong by rounding."""


class Curve(NamedTuple):
    """A table of `curves`, the curve's middle and its deviation (1/256 units), and its share of 2^16."""

    table: Sequence[int]
    middle: int
    spread: int
    share: int


class Opinions:
    """Codes the changes of something, given what a predictor expects.

    Args:
        walk: how far from no change a change is at first, in 1/256 units.
    """

    def __init__(self, walk: int) -> None:
        self._walk = walk
        self._shares = list(_FIRST)
        self._same = Bit(12, 4)
        self._far = Far()

    def code(self, coder: Coder, mean: int, spread: int, change: int = 0) -> int:
        """The change, expected to be `mean` with a deviation of `spread`, both in 1/256 units."""
        if spread.bit_length() <= _COARSE_ABOVE_BITS:
            change = self._mixed(coder, mean, spread, change)
        elif coder.bit(self._same, int(change == 0)):
            change = 0
        else:
            change = self._far.code(coder, (Curve(LOGISTIC, mean, spread, _SHARES),), 0, change)
        self._walk += ((abs(change) << MEAN_BITS) - self._walk) >> _WALK_FADE_BITS
        return change

    def _mixed(self, coder: Coder, mean: int, spread: int, change: int) -> int:
        trend, broad, walk, spike = self._shares
        curves = (
            Curve(NORMAL, mean, spread, trend),
            Curve(LOGISTIC, mean, spread * _BROADER, broad),
            Curve(LOGISTIC, 0, max(self._walk, _NARROWEST_WALK), walk),
        )
        change = self._far.code(coder, curves, spike, change)
        low = (change << MEAN_BITS) - _HALF
        right = [
            share * (below(table, low + UNIT - middle, wide) - below(table, low - middle, wide) + _CRUMB)
            for table, middle, wide, share in curves
        ]
        right.append(spike * (_CRUMB if change else WHOLE))
        total = sum(right)
        self._shares = [max(least, each * _SHARES // total) for least, each in zip(_LEAST, right, strict=True)]
        return change


class Far:
    """Codes a number near the first curve's middle by the curves, and any other by its length."""

    def __init__(self) -> None:
        self._beyond = Bit(127, 1)
        self._lengths = Lengths(5)

    def code(self, coder: Coder, curves: Sequence[Curve], spike: int, number: int = 0) -> int:
        """The number; `spike` is the share of exactly 0. Of a very broad curve only the upper bits are coded by it."""
        first_curve = curves[0]
        coarse = max(0, first_curve.spread.bit_length() - _COARSE_ABOVE_BITS)
        if not coarse:
            return self._near(coder, curves, spike, number)
        upper = Curve(
            first_curve.table, ((first_curve.middle + _HALF) >> coarse) - _HALF, first_curve.spread >> coarse, _SHARES
        )
        part = self._near(coder, (upper,), 0, number >> coarse)
        return part << coarse | coder.raw(coarse, number & ((1 << coarse) - 1))

    def _near(self, coder: Coder, curves: Sequence[Curve], spike: int, number: int) -> int:
        middle, reach = curves[0].middle >> MEAN_BITS, _WINDOW * (curves[0].spread >> MEAN_BITS) + _WINDOW
        first, last = middle - reach, middle + reach
        if coder.bit(self._beyond, int(not first <= number <= last)):
            out = self._lengths.signed(coder, number - (last if number > last else first))
            return out + (last if out > 0 else first)
        return coder.pick(_mixture(curves, spike, first), first, last, number)


def below(table: Sequence[int], distance: int, spread: int) -> int:
    """The weight under a point that lies `distance` from the middle of a curve."""
    position = (distance << (STEPS_BITS + _FRACTION_BITS)) // spread
    at = (position >> _FRACTION_BITS) + REACH
    if at < 0:
        return 0
    if at >= 2 * REACH:
        return WHOLE
    low = table[at]
    return low + ((table[at + 1] - low) * (position & ((1 << _FRACTION_BITS) - 1)) >> _FRACTION_BITS)


def _mixture(curves: Sequence[Curve], spike: int, first: int) -> Callable[[int], int]:
    """The weight of all numbers under one: each curve's share of it, the spike's, and 1 for every number."""

    def weigh(number: int) -> int:
        edge = (number << MEAN_BITS) - _HALF
        total = spike << WHOLE_BITS if number > 0 else 0
        for table, middle, spread, share in curves:
            total += share * below(table, edge - middle, spread)
        return (total >> _SHARE_BITS) + number - first

    return weigh
