"""How far the air will still fall: hourly ridge regressions that start from a prior and learn each night.

One linear model per hour before sunrise. It starts as the shipped prior and is brought up to date with every finished
night by recursive least squares with forgetting (Ljung, System Identification, 2nd ed., 11.2), which equals ridge
regression towards the prior. Its error scale learns the same way, so that the interval fits the site. Linear on
purpose: random non-linear features on top made it worse on stations held out (docs/frost.md).

In plain Python on purpose: 26 numbers an hour, eighteen hours a night, are learned from in two milliseconds, and numpy
would keep thirteen megabytes of the village's memory for it all day.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Any

from village_apps.frost.ffst import Ffst

Vector = Sequence[float]
Matrix = Sequence[Vector]

HOURS = 18
"""Models: 0 to 1 h before sunrise, 1 to 2 h … the last takes all that is further off."""

PRIOR_NIGHTS = 60.0
"""What the prior weighs. 40 to 100 gave the same error on held-out stations (within 0.01 °C)."""

REMEMBER = 0.997
"""Per night: a night counts half after 230, so that the model follows the seasons."""

SCALE_NIGHTS, SCALE_REMEMBER = 40.0, 0.99
"""The same for the error scale, which must follow changes faster."""

FARTHEST = 4.0
"""Standard deviations beyond which a feature counts as no further off: a line must not be followed out of its data."""

TAIL = 0.35
"""Decay of the error's probability beyond the outermost quantile, in error scales (exponential tail)."""


@dataclass(frozen=True)
class Prior:
    """What the kit knows before it has seen the site, from the stations named in prior.json.

    Attributes:
        mean, spread: of each feature.
        weights: per hour model, intercept first.
        precision: per hour model, the features' mean cross products (what makes least squares recursive).
        scale: per hour model, mean absolute error on a station never seen before, °C.
        levels, quantiles: of the errors (forecast - observed) in units of their scale.
        descent: per hour model, the part of the coming fall that is done by each later hour before sunrise.
        ffst: FAO's equation over all stations' radiation nights.
    """

    mean: Vector
    spread: Vector
    weights: Matrix
    precision: Sequence[Matrix]
    scale: Vector
    levels: tuple[float, ...]
    quantiles: tuple[float, ...]
    descent: tuple[tuple[float, ...], ...]
    ffst: Ffst

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Prior:
        """The inverse of `as_json`."""
        size = len(told["mean"]) + 1
        shared = [_symmetric(upper, size) for upper in told["precision"]]
        return cls(
            mean=tuple(told["mean"]),
            spread=tuple(told["spread"]),
            weights=tuple(map(tuple, told["weights"])),
            precision=tuple(shared[hour // 3] for hour in range(HOURS)),
            scale=tuple(told["scale"]),
            levels=tuple(told["levels"]),
            quantiles=tuple(told["quantiles"]),
            descent=tuple(tuple(row) for row in told["descent"]),
            ffst=Ffst(**told["ffst"]),
        )


def hour_model(hours_to_sunrise: float) -> int:
    """Which model serves an issue so long before sunrise."""
    return max(0, min(HOURS - 1, int(hours_to_sunrise)))


class HourlyModel:
    """The site's own models; deterministic: the same nights in the same order give the same numbers."""

    def __init__(self, prior: Prior) -> None:
        self._prior = prior
        self._weights = [list(row) for row in prior.weights]
        # several hours share their precision, and what is made of it is never changed in place
        inverses = {id(matrix): inverse(_weighed(matrix)) for matrix in prior.precision}
        self._covariance = [inverses[id(matrix)] for matrix in prior.precision]
        self._error_sum = [SCALE_NIGHTS] * HOURS
        self._error_count = [SCALE_NIGHTS] * HOURS

    def fall_c(self, hour: int, values: Sequence[float]) -> float:
        """How far the air is expected to fall below the present temperature, °C."""
        return _dot(self._standard(values), self._weights[hour])

    def scale_c(self, hour: int) -> float:
        """The size of this site's errors at that hour, °C."""
        return self._prior.scale[hour] * self._error_sum[hour] / self._error_count[hour]

    def learn(self, hour: int, values: Sequence[float], *, fall_c: float) -> None:
        """Take in what really happened after an issue."""
        x = self._standard(values)
        error = fall_c - _dot(x, self._weights[hour])
        spread = [_dot(row, x) for row in self._covariance[hour]]
        certainty = 1.0 + _dot(x, spread)
        gain = [each / certainty for each in spread]
        self._weights[hour] = [weight + part * error for weight, part in zip(self._weights[hour], gain, strict=True)]
        self._covariance[hour] = [
            [(old - part * other) / REMEMBER for old, other in zip(row, spread, strict=True)]
            for row, part in zip(self._covariance[hour], gain, strict=True)
        ]

    def learn_error(self, hour: int, error_c: float) -> None:
        """Take in the size of an error made before the outcome was known; one wild night counts as four usual ones."""
        size = min(abs(error_c) / self._prior.scale[hour], 4.0)
        self._error_sum[hour] = self._error_sum[hour] * SCALE_REMEMBER + size
        self._error_count[hour] = self._error_count[hour] * SCALE_REMEMBER + 1.0

    def _standard(self, values: Sequence[float]) -> list[float]:
        scaled = [
            (value - mean) / spread
            for value, mean, spread in zip(values, self._prior.mean, self._prior.spread, strict=True)
        ]
        return [1.0, *(0.0 if math.isnan(each) else max(-FARTHEST, min(FARTHEST, each)) for each in scaled)]


@dataclass(frozen=True)
class Spread:
    """The distribution of the minimum around its expectation: `expected - scale · z`, z as the prior's errors are.

    Attributes:
        expected_c: °C.
        scale_c: °C.
        levels, quantiles: of z.
    """

    expected_c: float
    scale_c: float
    levels: tuple[float, ...]
    quantiles: tuple[float, ...]

    def quantile_c(self, level: float) -> float:
        """The temperature that the minimum stays below with that probability."""
        z = _between(1.0 - level, self.levels, self.quantiles)
        return self.expected_c - self.scale_c * z

    def chance_at_or_below(self, temperature_c: float) -> float:
        """The probability that the minimum is at or below."""
        z = (self.expected_c - temperature_c) / self.scale_c
        if z > self.quantiles[-1]:
            return (1.0 - self.levels[-1]) * math.exp(-(z - self.quantiles[-1]) / TAIL)
        if z < self.quantiles[0]:
            return 1.0 - self.levels[0] * math.exp(-(self.quantiles[0] - z) / TAIL)
        if bisect_left(self.quantiles, z) == 0:
            return 1.0 - self.levels[0]
        return 1.0 - _between(z, self.quantiles, self.levels)


def inverse(matrix: Matrix) -> list[list[float]]:
    """The inverse, by Gauss-Jordan elimination with row exchange.

    Raises:
        ValueError: there is none.
    """
    size = len(matrix)
    rows = [[*row, *(1.0 if at == of else 0.0 for of in range(size))] for at, row in enumerate(matrix)]
    for column in range(size):
        best = max(range(column, size), key=lambda at: abs(rows[at][column]))
        if not rows[best][column]:
            raise ValueError("a matrix that has no inverse")
        rows[column], rows[best] = rows[best], rows[column]
        lead = rows[column][column]
        pivot = rows[column] = [value / lead for value in rows[column]]
        for at, row in enumerate(rows):
            factor = row[column]
            if at != column and factor:
                rows[at] = [value - factor * other for value, other in zip(row, pivot, strict=True)]
    return [row[size:] for row in rows]


def _dot(left: Iterable[float], right: Iterable[float]) -> float:
    total: float = sum(map(mul, left, right))
    return total


def _weighed(precision: Matrix) -> Matrix:
    """What the prior knows for its `PRIOR_NIGHTS`, and a little on the diagonal, so that it has an inverse."""
    return [
        [value * PRIOR_NIGHTS + (1e-3 if at == of else 0.0) for of, value in enumerate(row)]
        for at, row in enumerate(precision)
    ]


def _symmetric(upper: Sequence[float], size: int) -> Matrix:
    """The matrix whose upper triangle this is, row by row."""
    rows = [[0.0] * size for _ in range(size)]
    told = iter(upper)
    for at in range(size):
        for of in range(at, size):
            rows[at][of] = rows[of][at] = next(told)
    return rows


def _between(x: float, known: Sequence[float], values: Sequence[float]) -> float:
    """Linear interpolation; beyond the ends, the value at the end."""
    if x <= known[0] or x >= known[-1]:
        return values[0] if x <= known[0] else values[-1]
    at = bisect_right(known, x)
    part = (x - known[at - 1]) / (known[at] - known[at - 1])
    return values[at - 1] + part * (values[at] - values[at - 1])
