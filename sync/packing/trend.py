"""What comes next, learnt while it comes: least squares over three hints, in integers.

The next change of a series is a weighted sum of three hints (its own last change, what its neighbours do, what the
other quantities of the same row did). The weights start from a prior and are refined by every row: the normal
equations are sums of integers and are solved by Cramer's rule, so nothing rounds differently elsewhere.

Source: the textbook conjugate linear model (Bishop 2006, section 3.3): precision matrix `squares`, `products` with the
target, and a predictive variance of sigma^2 (1 + x' A^-1 x).
"""

from __future__ import annotations

from math import isqrt

FINE_BITS = 4
"""Hints and targets are in 1/16 of the series' unit."""

MEAN_BITS = 8
"""Means and deviations that come out are in 1/256 of it."""

_UP = MEAN_BITS - FINE_BITS
_ROUNDING = (1 << 2 * FINE_BITS) // 12
"""The variance of rounding to a whole unit is 1/12; the curve is of what lies behind the rounding."""

_LEAST_VARIANCE = 10
"""A deviation of 0.2 units: nearly certain, never quite."""

_FADE_AT = 192
"""Rows after which the past counts half: weather changes its habits over days."""

_HINT_REACH = 12
_ERROR_REACH = 5
"""Deviations. What is further out is a spike; it must not bend the weights."""

PRIOR_ROWS = 4
"""How many rows the deviation told in the head is worth."""

Hints = tuple[int, int, int]


class Trend:
    """Predicts the next change of every series of a quantity, and how sure that is.

    Args:
        spread: the deviation expected at first, in 1/256 units.
        weights: of the three hints at first, in 1/16.
        faith: how many rows the prior weights are worth, per hint; the third is in squares of `third_spread`.
        third_spread: the deviation of the third hint, in 1/256 units of that.
    """

    __slots__ = (
        "_count",
        "_hints",
        "_leverage",
        "_mean",
        "_prior_products",
        "_prior_squares",
        "_products",
        "_squares",
        "_sum",
        "_third",
    )

    def __init__(self, spread: int, weights: Hints, faith: Hints, third_spread: int) -> None:
        variance = max((spread >> _UP) ** 2, _LEAST_VARIANCE)
        third = max((third_spread >> _UP) ** 2, _LEAST_VARIANCE)
        diagonal = self._prior_squares = (faith[0] * variance, faith[1] * variance, faith[2] * third)
        self._squares = (diagonal[0], 0, 0, diagonal[1], 0, diagonal[2])
        products = [size * weight >> FINE_BITS for size, weight in zip(diagonal, weights, strict=True)]
        self._products = self._prior_products = (products[0], products[1], products[2])
        self._count = PRIOR_ROWS
        self._sum = PRIOR_ROWS * variance
        self._third = third
        self._mean = 0
        self._hints: Hints = (0, 0, 0)
        self._leverage = (0, 1)

    def predict(self, hints: Hints) -> tuple[int, int]:
        """The mean and the deviation of the next change, in 1/256 units."""
        variance = self._sum // self._count
        reach = isqrt(variance) * _HINT_REACH
        reach_third = isqrt(self._third) * _HINT_REACH
        x, y = max(-reach, min(reach, hints[0])), max(-reach, min(reach, hints[1]))
        z = max(-reach_third, min(reach_third, hints[2]))
        a, b, c, d, e, f = self._squares
        m0, m1, m2 = d * f - e * e, c * e - b * f, b * e - c * d
        m3, m4, m5 = a * f - c * c, b * c - a * e, a * d - b * b
        scale = a * m0 + b * m1 + c * m2
        u, v, w = m0 * x + m1 * y + m2 * z, m1 * x + m3 * y + m4 * z, m2 * x + m4 * y + m5 * z
        p, q, r = self._products
        self._mean = ((u * p + v * q + w * r) << _UP) // scale
        self._hints = (x, y, z)
        self._leverage = (u * x + v * y + w * z, scale)
        latent = max(variance - _ROUNDING, _LEAST_VARIANCE)
        return self._mean, isqrt((latent + latent * self._leverage[0] // scale) << 2 * _UP)

    def learn(self, change: int) -> None:
        """What really came after the last `predict`, in whole units."""
        x, y, z = self._hints
        unsure, scale = self._leverage
        reach = isqrt(self._sum // self._count) * _ERROR_REACH
        middle = self._mean >> _UP
        error = max(-reach, min(reach, (change << FINE_BITS) - middle))
        target = middle + error
        a, b, c, d, e, f = self._squares
        self._squares = (a + x * x, b + x * y, c + x * z, d + y * y, e + y * z, f + z * z)
        p, q, r = self._products
        self._products = (p + x * target, q + y * target, r + z * target)
        self._sum += error * error * scale // (scale + unsure)
        self._third += (z * z - self._third) >> 5
        self._count += 1
        if self._count >= _FADE_AT:
            self._fade()

    def tame(self, change: int) -> int:
        """A change as a hint for later, in 1/16 units: a spike is no sign of what comes."""
        reach = isqrt(self._sum // self._count) * _ERROR_REACH
        return max(-reach, min(reach, change << FINE_BITS))

    def _fade(self) -> None:
        # half of the prior stays in: rounding could otherwise leave normal equations without a solution
        a, b, c, d, e, f = self._squares
        a0, d0, f0 = self._prior_squares
        self._squares = ((a + a0) >> 1, b >> 1, c >> 1, (d + d0) >> 1, e >> 1, (f + f0) >> 1)
        p, q, r = self._products
        p0, q0, r0 = self._prior_products
        self._products = ((p + p0) >> 1, (q + q0) >> 1, (r + r0) >> 1)
        self._count >>= 1
        self._sum >>= 1
