"""What the forecast looks at, at one issue hour: numbers that say how fast and how far the air will cool.

Each is there for a physical reason (see docs/frost.md). A missing one is nan and later counts as "as usual": no sensor
but the thermometer is needed. Only observations up to the issue hour are in the `Series`, so nothing can look ahead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from village_apps.frost.place import Night
from village_apps.frost.series import Series

HOUR_S = 3600.0
DAY_S = 86_400.0

STALEST_S = 6 * HOUR_S
"""With no temperature for longer than this there is no forecast: it would be a guess with a decimal point."""

USUAL_WIND_MS = 3.0
USUAL_DEPRESSION_C = 6.0
"""Stand in for a missing wind or dew point inside products; near the means of the stations the prior knows."""

NIGHTS_REMEMBERED = 5
"""Recent nights whose remaining fall at the same hour is averaged: long enough to calm, short enough for the season."""

NAMES = (
    "dew_point_depression",
    "temperature",
    "change_1h",
    "change_3h",
    "change_24h",
    "root_wind",
    "calm",
    "clear",
    "sky_missing",
    "pressure_change_3h",
    "fall_last_night",
    "fall_recent_nights",
    "night_length",
    "depression_when_calm",
    "depression_when_clear",
    "clear_and_calm",
    "dew_point_change_3h",
    "dew_point_change_24h",
    "below_warmest",
    "rain",
    "wind_from_pole",
    "wind_from_east",
    "above_coldest",
    "above_mean",
    "dew_point_anomaly",
)


@dataclass(frozen=True, slots=True)
class Look:
    """One issue hour as the model sees it.

    Attributes:
        temperature_c: the latest air temperature, °C.
        age_s: how old it is at the issue.
        values: the features in the order of `NAMES`; nan = not known.
    """

    temperature_c: float
    age_s: float
    values: tuple[float, ...]


def look(series: Series, *, night: Night, issue_s: float, minima: Mapping[date, float], latitude: float) -> Look | None:
    """Take the features at an issue hour; None when the thermometer has been silent for too long.

    Args:
        series: what was observed up to the issue.
        night: the night being forecast.
        issue_s: Unix seconds.
        minima: the minimum of each earlier night, °C.
        latitude: degrees north; tells which wind comes from the pole.
    """
    latest = series.temperature.last(issue_s, within_s=STALEST_S)
    if latest is None:
        return None
    at, now = latest
    air, dew = series.temperature, series["dew_point_c"]
    depression = now - dew.near(at)
    wind, sky = _recent(series, "wind_ms", at), _recent(series, "sky_oktas", at)
    calm = math.exp(-_or(wind, USUAL_WIND_MS) / 2)
    clear = 1 - _or(sky, 4.0) / 8
    falls = [_fall(series, night, at, minima, back) for back in range(1, NIGHTS_REMEMBERED + 1)]
    known = [fall for fall in falls if not math.isnan(fall)]
    pole, east = _wind_from(series, at, latitude)
    day = (at - DAY_S, at)
    values = (
        depression,
        now,
        now - air.near(at - HOUR_S),
        now - air.near(at - 3 * HOUR_S),
        now - air.near(at - DAY_S),
        math.sqrt(_or(wind, USUAL_WIND_MS)),
        calm,
        clear,
        float(math.isnan(sky)),
        series["pressure_hpa"].near(at) - series["pressure_hpa"].near(at - 3 * HOUR_S),
        falls[0],
        sum(known) / len(known) if known else math.nan,
        night.length_h,
        _or(depression, USUAL_DEPRESSION_C) * calm,
        _or(depression, USUAL_DEPRESSION_C) * clear,
        clear * calm,
        dew.near(at) - dew.near(at - 3 * HOUR_S),
        dew.near(at) - dew.near(at - DAY_S),
        now - air.most(*day),
        math.log1p(_or(_recent(series, "rain_mm", at), 0.0)),
        pole,
        east,
        now - air.least(*day),
        now - air.mean(*day),
        dew.near(at) - dew.mean(*day),
    )
    return Look(temperature_c=now, age_s=issue_s - at, values=values)


def _recent(series: Series, quantity: str, at: float) -> float:
    return series[quantity].mean(at - 3 * HOUR_S, at)


def _fall(series: Series, night: Night, at: float, minima: Mapping[date, float], back: int) -> float:
    """How far the air still fell, `back` nights ago, from this hour on."""
    least = minima.get(night.date - timedelta(days=back))
    return math.nan if least is None else series.temperature.near(at - back * DAY_S) - least


def _wind_from(series: Series, at: float, latitude: float) -> tuple[float, float]:
    direction, speed = series["wind_dir_deg"].near(at), series["wind_ms"].near(at)
    if math.isnan(direction) or not speed > 0:
        return 0.0, 0.0
    towards_pole = math.cos(math.radians(direction))
    return towards_pole if latitude >= 0 else -towards_pole, math.sin(math.radians(direction))


def _or(value: float, usual: float) -> float:
    return usual if math.isnan(value) else value
