"""How good the forecasts were: the scores meteorologists use, counted per night.

POD = hits / (hits + misses), FAR = false alarms / (hits + late + false alarms), CSI = hits / (hits + misses + false
alarms); see Wilks, Statistical Methods in the Atmospheric Sciences, ch. 9. A warning *hits* when it stood at least two
hours before the air first reached the threshold; one that came later is a miss that was not a false alarm. A night
whose frost came less than two hours after the first issue could be hit by nobody and is left out of these counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import pairwise
from statistics import median
from typing import Any

from village_apps.frost.forecaster import LARGEST_GAP_S, Forecast
from village_apps.frost.place import Night
from village_apps.frost.series import Column

LEAD_S = 7200.0
"""What it takes to light heaters or start water, and what the scores ask for."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A forecast and whether a warning stood once it was out."""

    forecast: Forecast
    alert: bool


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """Scores of one station; None where nothing could be counted.

    Attributes:
        nights: nights with forecasts and an unbroken record to compare with.
        forecasts: hourly forecasts compared.
        frost_nights: those that reached the threshold.
        unwarnable: of these, frost within two hours of the first issue; not in the counts below.
        hits, late, misses, false_alarms: nights, by warning.
        rmse_c, bias_c: of the expected minimum over all issue hours, °C; bias = forecast - observed.
        rmse_after_dusk_c: of issues from two hours after sunset on, °C.
        rmse_evening_c: of the first issue two hours or more after sunset, one per night, °C.
        rmse_reuter_c: of Reuter's square-root cooling for the same issues, fitted on the nights before, °C.
        rmse_evening_ffst_nights_c, rmse_ffst_c: this forecast and FAO's equation on the radiation nights, evening, °C.
        pod, far, csi: with lead of at least two hours.
        coverage: part of the outcomes inside p10 to p90.
        brier: mean squared error of p_frost; climatology's is in `brier_climatology`.
        median_lead_h: of the hits, hours.
    """

    nights: int
    forecasts: int
    frost_nights: int
    unwarnable: int
    hits: int
    late: int
    misses: int
    false_alarms: int
    rmse_c: float | None
    bias_c: float | None
    rmse_after_dusk_c: float | None
    rmse_evening_c: float | None
    rmse_reuter_c: float | None
    rmse_evening_ffst_nights_c: float | None
    rmse_ffst_c: float | None
    pod: float | None
    far: float | None
    csi: float | None
    coverage: float | None
    brier: float | None
    brier_climatology: float | None
    median_lead_h: float | None

    def as_json(self) -> dict[str, Any]:
        """With numbers rounded to three digits after the point."""
        return {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class _Outcome:
    issued: Issued
    observed_c: float
    reuter_c: float | None


def score(issued: Sequence[Issued], temperature: Column, *, threshold_c: float) -> Scorecard:
    """Compare forecasts with what was observed.

    Args:
        issued: in order of time.
        temperature: the believable observations, °C.
        threshold_c: what counts as frost, °C.
    """
    nights: dict[date, list[Issued]] = {}
    for one in issued:
        nights.setdefault(one.forecast.night.date, []).append(one)
    outcomes: list[_Outcome] = []
    warnings: list[tuple[str, float]] = []
    reuter: list[float] = []
    for rows in nights.values():
        night = rows[0].forecast.night
        if not _unbroken(temperature, night.first_issue_s, night.end_s):
            continue
        outcomes += [
            _Outcome(one, temperature.least(one.forecast.issued_s - 1, night.end_s), _reuter(one, reuter))
            for one in rows
            if temperature.pairs(one.forecast.issued_s, night.end_s)
        ]
        warnings.append(_judge(rows, temperature, night, threshold_c))
        reuter += _cooling_factor(temperature, night)
    return _summarise(outcomes, warnings, threshold_c)


def _summarise(outcomes: list[_Outcome], warnings: list[tuple[str, float]], threshold_c: float) -> Scorecard:
    kinds = [kind for kind, _ in warnings]
    hits, late, missed, false = (kinds.count(kind) for kind in ("hit", "late", "miss", "false alarm"))
    frosts = [o.observed_c <= threshold_c for o in outcomes]
    rate = sum(frosts) / len(frosts) if frosts else 0.0
    dusk = [o for o in outcomes if o.issued.forecast.issued_s >= o.issued.forecast.night.sunset_s + 7200]
    evening = list({o.issued.forecast.night.date: o for o in reversed(dusk)}.values())
    classic = [o for o in evening if o.reuter_c is not None]
    ffst = [o for o in evening if o.issued.forecast.ffst_c is not None]
    return Scorecard(
        nights=len(warnings),
        forecasts=len(outcomes),
        frost_nights=hits + late + missed + kinds.count("unwarnable"),
        unwarnable=kinds.count("unwarnable"),
        hits=hits,
        late=late,
        misses=missed,
        false_alarms=false,
        rmse_c=_rmse([_error(o) for o in outcomes]),
        bias_c=_mean([_error(o) for o in outcomes]),
        rmse_after_dusk_c=_rmse([_error(o) for o in dusk]),
        rmse_evening_c=_rmse([_error(o) for o in classic]),
        rmse_reuter_c=_rmse([(o.reuter_c or 0.0) - o.observed_c for o in classic]),
        rmse_evening_ffst_nights_c=_rmse([_error(o) for o in ffst]),
        rmse_ffst_c=_rmse([(o.issued.forecast.ffst_c or 0.0) - o.observed_c for o in ffst]),
        pod=_ratio(hits, hits + late + missed),
        far=_ratio(false, hits + late + false),
        csi=_ratio(hits, hits + late + missed + false),
        coverage=_mean(
            [float(o.issued.forecast.tmin_p10_c <= o.observed_c <= o.issued.forecast.tmin_p90_c) for o in outcomes]
        ),
        brier=_mean([(o.issued.forecast.p_frost - f) ** 2 for o, f in zip(outcomes, frosts, strict=True)]),
        brier_climatology=rate * (1 - rate) if outcomes else None,
        median_lead_h=median(lead for kind, lead in warnings if kind == "hit") / 3600 if hits else None,
    )


def _judge(rows: list[Issued], temperature: Column, night: Night, threshold_c: float) -> tuple[str, float]:
    """What became of a night's warning, and its lead in seconds."""
    raised = next((one.forecast.issued_s for one in rows if one.alert), None)
    reached = next(
        (at for at, value in temperature.pairs(night.first_issue_s, night.end_s) if value <= threshold_c), None
    )
    if reached is None:
        return ("false alarm" if raised is not None else "quiet"), 0.0
    if reached - night.first_issue_s < LEAD_S:
        return "unwarnable", 0.0
    if raised is None or raised > reached:
        return "miss", 0.0
    return ("hit" if reached - raised >= LEAD_S else "late"), reached - raised


def _unbroken(temperature: Column, from_s: float, until_s: float) -> bool:
    times = [from_s, *(at for at, _ in temperature.pairs(from_s, until_s)), until_s]
    return max(b - a for a, b in pairwise(times)) <= LARGEST_GAP_S


def _cooling_factor(temperature: Column, night: Night) -> list[float]:
    """Reuter's k of a finished night: T(t) = T0 - k √t with t in hours from two hours after sunset."""
    start = night.sunset_s + 7200
    t0, hours = temperature.near(start), (night.sunrise_s - start) / 3600
    least = temperature.least(start, night.end_s)
    return [] if math.isnan(t0) or math.isnan(least) or hours <= 0 else [(t0 - least) / math.sqrt(hours)]


def _reuter(one: Issued, factors: list[float]) -> float | None:
    """Persistence of cooling: tonight's k is the mean of the seven nights before."""
    hours = one.forecast.hours_to_sunrise
    if not factors or hours < 0:
        return None
    recent = factors[-7:]
    return one.forecast.temperature_c - sum(recent) / len(recent) * math.sqrt(hours)


def _error(outcome: _Outcome) -> float:
    return outcome.issued.forecast.tmin_c - outcome.observed_c


def _rmse(errors: list[float]) -> float | None:
    return math.sqrt(sum(e * e for e in errors) / len(errors)) if errors else None


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
