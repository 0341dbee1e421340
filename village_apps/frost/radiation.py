"""Which nights are radiation nights: clear, calm and dry, when the ground cools by its own radiation.

FAO (Frost Protection vol. 1, ch. 5) asks for clear, calm nights without a front. Where wind and sky are measured they
decide; where they are not, a steady fall of the thermometer stands in for them.
"""

from __future__ import annotations

import math

from village_apps.frost.ffst import T0_AFTER_SUNSET_S, RadiationNight
from village_apps.frost.place import Night
from village_apps.frost.series import Column, Series

CALM_MS = 2.6
"""5 knots: the mean wind above which the air near the ground is stirred."""

CLEAR_OKTAS = 3.0
"""Mean cover; more cloud gives back most of what the ground radiates."""

RISE_C = 2.0
"""A warming by more than this during the night means that cloud, wind or other air came in."""

STEADY_FALL_C_PER_H = 0.3
"""The least mean fall, where neither wind nor sky is measured."""

NEAREST_S = 2700.0
"""How far from two hours after sunset a reading may be to stand for T0."""


def is_radiation_night(series: Series, night: Night, *, until_s: float) -> bool:
    """Whether the night has been one from sunset until then."""
    start = night.sunset_s
    wind, sky = series["wind_ms"].mean(start, until_s), series["sky_oktas"].mean(start, until_s)
    rain = sum(series["rain_mm"].between(start, until_s))
    air = list(series.temperature.between(start, until_s))
    if rain > 0 or wind > CALM_MS or sky > CLEAR_OKTAS or not air or _largest_rise(air) > RISE_C:
        return False
    if not (math.isnan(wind) and math.isnan(sky)):
        return True
    hours = max(1.0, (until_s - start) / 3600)
    return (air[0] - min(air)) / hours >= STEADY_FALL_C_PER_H


def start_of_night(series: Series, night: Night) -> tuple[float, float | None] | None:
    """T0 and Td0: the readings nearest to two hours after sunset; None if there is no temperature near."""
    at = night.sunset_s + T0_AFTER_SUNSET_S
    t0 = _nearest(series.temperature, at)
    return None if t0 is None else (t0, _nearest(series["dew_point_c"], at))


def radiation_night(series: Series, night: Night, *, tmin_c: float) -> RadiationNight | None:
    """The finished night for FFST to learn from; None if it was no radiation night or T0 is missing."""
    start = start_of_night(series, night)
    if start is None or not is_radiation_night(series, night, until_s=night.sunrise_s):
        return None
    return RadiationNight(start[0], start[1], tmin_c)


def _nearest(column: Column, at_s: float) -> float | None:
    near = column.pairs(at_s - NEAREST_S, at_s + NEAREST_S)
    return min(near, key=lambda pair: abs(pair[0] - at_s))[1] if near else None


def _largest_rise(air: list[float]) -> float:
    low, rise = math.inf, 0.0
    for value in air:
        low = min(low, value)
        rise = max(rise, value - low)
    return rise
