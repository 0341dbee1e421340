"""FAO's frost forecast FFST: the minimum from temperature and dew point two hours after sunset.

Source: Snyder & de Melo-Abreu (2005), Frost Protection: fundamentals, practice and economics, vol. 1, FAO, chapter 5.
Two steps, not one joint regression: Tmin on T0, then what that leaves on Td0; `Tp = b·T0 + a·Td0 + c`. Valid for
radiation nights only (clear, calm, no front), which is why the fit is given only those.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST_NIGHTS = 10
"""FAO: "at least 10" radiation nights; with fewer the shipped prior is better than the site's own fit."""

T0_AFTER_SUNSET_S = 7200
"""By then net radiation has settled, which is what makes the fall predictable (FAO, ch. 5)."""


@dataclass(frozen=True, slots=True)
class RadiationNight:
    """One clear, calm night as FFST sees it, °C.

    Attributes:
        t0_c: air temperature two hours after sunset.
        td0_c: dew point at that time; None if it was not measured.
        tmin_c: the minimum that followed.
    """

    t0_c: float
    td0_c: float | None
    tmin_c: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ffst:
    """A fitted FFST: Tmin = slope_t0 · T0 + slope_td0 · Td0 + intercept.

    Attributes:
        slope_t0: per °C of T0.
        intercept_t0: of the first step alone, °C; used when there is no dew point.
        slope_td0: per °C of Td0.
        intercept_td0: of the second step, °C.
        error_c: root mean square error of the fit, °C, for the degrees of freedom left.
        nights: how many it was fitted on.
    """

    slope_t0: float
    intercept_t0: float
    slope_td0: float
    intercept_td0: float
    error_c: float
    nights: int

    @property
    def intercept_c(self) -> float:
        """The constant of the full equation."""
        return self.intercept_t0 + self.intercept_td0

    def minimum_c(self, t0_c: float, td0_c: float | None) -> float:
        """The minimum to expect."""
        first = self.slope_t0 * t0_c + self.intercept_t0
        return first if td0_c is None else first + self.slope_td0 * td0_c + self.intercept_td0


def fit_ffst(nights: Sequence[RadiationNight]) -> Ffst | None:
    """Fit both steps by least squares; None with fewer than `FEWEST_NIGHTS` nights or when T0 never differed."""
    if len(nights) < FEWEST_NIGHTS:
        return None
    first = _line([night.t0_c for night in nights], [night.tmin_c for night in nights])
    if first is None:
        return None
    slope, intercept = first
    moist = [
        (night.td0_c, night.tmin_c - slope * night.t0_c - intercept) for night in nights if night.td0_c is not None
    ]
    second = _line([dew for dew, _ in moist], [left for _, left in moist]) if len(moist) >= FEWEST_NIGHTS else None
    slope_dew, intercept_dew = second or (0.0, 0.0)
    fitted = Ffst(
        slope_t0=slope,
        intercept_t0=intercept,
        slope_td0=slope_dew,
        intercept_td0=intercept_dew,
        error_c=0.0,
        nights=len(nights),
    )
    squares = sum((night.tmin_c - fitted.minimum_c(night.t0_c, night.td0_c)) ** 2 for night in nights)
    freedom = max(1, len(nights) - (4 if second else 2))
    return Ffst(
        slope_t0=slope,
        intercept_t0=intercept,
        slope_td0=slope_dew,
        intercept_td0=intercept_dew,
        error_c=math.sqrt(squares / freedom),
        nights=len(nights),
    )


def _line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float] | None:
    """Slope and intercept of ordinary least squares; None when x never differs."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - mean_x) ** 2 for a in x)
    if spread < 1e-9:  # noqa: PLR2004 - a thousandth of the square of a sensor's last digit
        return None
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    return slope, mean_y - slope * mean_x
