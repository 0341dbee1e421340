"""How far the air will still fall: hourly ridge regressions that start from a prior and learn each night.

One linear model per hour before sunrise. It starts as the shipped prior and is brought up to date with every finished
night by recursive least squares with forgetting (Ljung, System Identification, 2nd ed., 11.2), which equals ridge
regression towards the prior. Its error scale learns the same way, so that the interval fits the site. Linear on
purpose: random non-linear features on top made it worse on stations held out (docs/frost.md).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from village_apps.frost.ffst import Ffst

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

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
    weights: Vector
    precision: Vector
    scale: Vector
    levels: tuple[float, ...]
    quantiles: tuple[float, ...]
    descent: tuple[tuple[float, ...], ...]
    ffst: Ffst

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Prior:
        """The inverse of `as_json`."""
        size = len(told["mean"]) + 1
        upper = np.triu_indices(size)
        precision = np.zeros((HOURS, size, size))
        for hour in range(HOURS):
            precision[hour][upper] = told["precision"][hour // 3]
            precision[hour] = precision[hour] + np.triu(precision[hour], 1).T
        return cls(
            mean=np.array(told["mean"]),
            spread=np.array(told["spread"]),
            weights=np.array(told["weights"]),
            precision=precision,
            scale=np.array(told["scale"]),
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
        self._weights = prior.weights.copy()
        size = prior.weights.shape[1]
        self._covariance = np.linalg.inv(prior.precision * PRIOR_NIGHTS + 1e-3 * np.eye(size))
        self._error_sum = np.full(HOURS, SCALE_NIGHTS)
        self._error_count = np.full(HOURS, SCALE_NIGHTS)

    def fall_c(self, hour: int, values: Sequence[float]) -> float:
        """How far the air is expected to fall below the present temperature, °C."""
        return float(self._standard(values) @ self._weights[hour])

    def scale_c(self, hour: int) -> float:
        """The size of this site's errors at that hour, °C."""
        return float(self._prior.scale[hour] * self._error_sum[hour] / self._error_count[hour])

    def learn(self, hour: int, values: Sequence[float], *, fall_c: float) -> None:
        """Take in what really happened after an issue."""
        x = self._standard(values)
        error = fall_c - float(x @ self._weights[hour])
        spread = self._covariance[hour] @ x
        gain = spread / (1.0 + float(x @ spread))
        self._weights[hour] += gain * error
        self._covariance[hour] = (self._covariance[hour] - np.outer(gain, spread)) / REMEMBER

    def learn_error(self, hour: int, error_c: float) -> None:
        """Take in the size of an error made before the outcome was known; one wild night counts as four usual ones."""
        size = min(abs(error_c) / float(self._prior.scale[hour]), 4.0)
        self._error_sum[hour] = self._error_sum[hour] * SCALE_REMEMBER + size
        self._error_count[hour] = self._error_count[hour] * SCALE_REMEMBER + 1.0

    def _standard(self, values: Sequence[float]) -> Vector:
        scaled = (np.asarray(values) - self._prior.mean) / self._prior.spread
        return np.concatenate(([1.0], np.clip(np.nan_to_num(scaled, nan=0.0), -FARTHEST, FARTHEST)))


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
        z = float(np.interp(1.0 - level, self.levels, self.quantiles))
        return self.expected_c - self.scale_c * z

    def chance_at_or_below(self, temperature_c: float) -> float:
        """The probability that the minimum is at or below."""
        z = (self.expected_c - temperature_c) / self.scale_c
        if z > self.quantiles[-1]:
            return (1.0 - self.levels[-1]) * float(np.exp(-(z - self.quantiles[-1]) / TAIL))
        if z < self.quantiles[0]:
            return 1.0 - self.levels[0] * float(np.exp(-(self.quantiles[0] - z) / TAIL))
        if bisect_left(self.quantiles, z) == 0:
            return 1.0 - self.levels[0]
        return 1.0 - float(np.interp(z, self.quantiles, self.levels))
