"""The forecast of one site: observations come in in order, hourly forecasts go out, every finished night teaches.

Invariant: a forecast depends only on observations up to its issue, and on nothing else; the same observations give the
same forecasts, whether they come in a row or one by one. The backtest and the service run this same code.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

from village_apps.frost.features import DAY_S, HOUR_S, Look, look
from village_apps.frost.ffst import FEWEST_NIGHTS, T0_AFTER_SUNSET_S, Ffst, RadiationNight, fit_ffst
from village_apps.frost.hourly_model import HourlyModel, Prior, Spread, hour_model
from village_apps.frost.place import Night, Place, night_at, nights_from
from village_apps.frost.radiation import is_radiation_night, radiation_night, start_of_night
from village_apps.frost.series import Observation, Series

REMEMBER_S = 10 * DAY_S
"""For a service that runs for years: no look goes back further than five nights, no warning stands longer than two."""

LARGEST_GAP_S = 3 * HOUR_S
"""A night with a longer gap may have hidden its minimum: nothing is learned from it."""

FRESH_S = 1800.0
"""A reading this young is the present temperature: the minimum from now on cannot be above it."""

AGEING_PER_HOUR = 0.25
"""How much wider the interval gets per hour that the latest reading is old."""

RADIATION_NIGHTS_KEPT = 120
"""FFST learns from the latest ones: about two years at a dry site; older ones knew other trees and other sensors."""

FFST_MOST = 0.15
"""The largest part FFST gets on a radiation night: best of 0, 0.15, 0.3 and 0.45 there on held-out stations."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The minimum expected from the issue until an hour after sunrise.

    Attributes:
        issued_s: Unix seconds.
        night: the night.
        temperature_c: the latest temperature at the issue, °C.
        tmin_c, tmin_p10_c, tmin_p90_c: expected minimum; one night in ten is colder, one in ten warmer, °C.
        p_frost: probability that the minimum is at or below `threshold_c`.
        threshold_c: °C.
        descent: (Unix s, part of the coming fall done by then), from the issue to the end of the night.
        ffst_c: FAO's equation, if this is a radiation night whose T0 is known, °C.
        nights_learned: radiation nights of this site.
    """

    issued_s: int
    night: Night
    temperature_c: float
    tmin_c: float
    tmin_p10_c: float
    tmin_p90_c: float
    p_frost: float
    threshold_c: float
    descent: tuple[tuple[float, float], ...]
    ffst_c: float | None
    nights_learned: int

    @property
    def basis(self) -> str:
        """Whose nights FFST was fitted on: "site" from ten radiation nights on, "prior" before."""
        return "site" if self.nights_learned >= FEWEST_NIGHTS else "prior"

    @property
    def hours_to_sunrise(self) -> float:
        """From the issue."""
        return (self.night.sunrise_s - self.issued_s) / HOUR_S

    def path(self, minimum_c: float) -> tuple[tuple[float, float], ...]:
        """The curve (Unix s, °C) of a night that falls to `minimum_c`."""
        fall = self.temperature_c - minimum_c
        return tuple((at, self.temperature_c - part * fall) for at, part in self.descent)

    def below_at_s(self, minimum_c: float) -> float | None:
        """When a night that falls to `minimum_c` reaches the threshold; None if it does not."""
        before: tuple[float, float] | None = None
        for at, value in self.path(minimum_c):
            if value <= self.threshold_c:
                if before is None or before[1] <= value:
                    return at
                part = (before[1] - self.threshold_c) / (before[1] - value)
                return before[0] + part * (at - before[0])
            before = (at, value)
        return None


@dataclass(frozen=True)
class Sample:
    """One issue hour with its outcome, for learning.

    Attributes:
        hour: the hour model.
        look: what was seen.
        fall_c: how far the air fell from there.
        error_c: forecast - observed minimum.
        night: whose it is.
    """

    hour: int
    look: Look
    fall_c: float
    error_c: float
    night: date


@dataclass
class _Pending:
    """What was seen and said this night, to be compared in the morning."""

    night: Night
    issued: list[tuple[int, Look, float, float | None]] = field(default_factory=list)


class SiteForecaster:
    """Forecasts and learning for one site.

    Args:
        place: where.
        prior: where the model starts.
        threshold_c: what counts as frost, °C.
        keep_samples: keep every learned sample in `samples` (to fit a prior).
        remember_s: how much of `series` is kept; what was learned from the rest stays.
    """

    def __init__(
        self,
        place: Place,
        prior: Prior | None,
        *,
        threshold_c: float = 0.0,
        keep_samples: bool = False,
        remember_s: float = math.inf,
    ) -> None:
        self.place, self.threshold_c = place, threshold_c
        self.series = Series(remember_s=remember_s)
        self.samples: list[Sample] = []
        self.radiation_nights: deque[RadiationNight] = deque(maxlen=RADIATION_NIGHTS_KEPT)
        self._prior = prior
        self._model = None if prior is None else HourlyModel(prior)
        self._ffst: Ffst | None = None if prior is None else prior.ffst
        self._ffst_error, self._model_error = 1.0, 1.0
        self._keep = keep_samples
        self._minima: dict[date, float] = {}
        self._pending: _Pending | None = None
        self._next_s: float | None = None

    @property
    def nights_learned(self) -> int:
        """Radiation nights of this site that FFST has learned from."""
        return len(self.radiation_nights)

    def advance(self, observations: Iterable[Observation], *, until_s: float) -> list[Forecast]:
        """Take in observations and return the hourly forecasts that fell due, up to and including `until_s`.

        Args:
            observations: in order of time; what is not later than the latest known is ignored.
            until_s: observations after it are left out.
        """
        issued: list[Forecast] = []
        for observation in observations:
            if observation.at_s > until_s:
                break
            issued += self._issue_before(observation.at_s)
            self.series.append(observation)
        if self.series.latest_s > -math.inf:
            issued += self._issue_before(math.nextafter(until_s, math.inf))
        return issued

    def forecast_at(self, issue_s: float) -> Forecast | None:
        """A forecast outside the hourly rhythm; nothing is learned from it. None when the thermometer is silent."""
        night = night_at(self.place, issue_s)
        seen = self._look(night, issue_s)
        return None if seen is None or self._prior is None else self._forecast(night, int(issue_s), seen)

    def _issue_before(self, limit_s: float) -> list[Forecast]:
        """All forecasts due before `limit_s`; observations at the very time of an issue belong to it."""
        if self._next_s is None:
            self._next_s = self._first_issue(limit_s)
        issued = []
        while self._next_s < limit_s:
            forecast = self._issue(self._next_s)
            if forecast is not None:
                issued.append(forecast)
            self._next_s = self._issue_after(self._next_s)
        return issued

    def _first_issue(self, at_s: float) -> float:
        night = night_at(self.place, at_s)
        return next((issue for issue in night.issues() if issue >= at_s), None) or self._issue_after(night.sunrise_s)

    def _issue_after(self, at_s: float) -> float:
        for night in nights_from(self.place, at_s):
            for issue in night.issues():
                if issue > at_s:
                    return issue
        raise AssertionError("nights do not end")

    def _issue(self, issue_s: float) -> Forecast | None:
        night = night_at(self.place, issue_s)
        if self._pending is None or self._pending.night.date != night.date:
            self._learn_pending()
            self._pending = _Pending(night)
        seen = self._look(night, issue_s)
        if seen is None:
            return None
        if self._prior is None:
            self._pending.issued.append((int(issue_s), seen, math.nan, None))
            return None
        forecast = self._forecast(night, int(issue_s), seen)
        self._pending.issued.append((int(issue_s), seen, forecast.tmin_c, forecast.ffst_c))
        return forecast

    def _look(self, night: Night, issue_s: float) -> Look | None:
        return look(self.series, night=night, issue_s=issue_s, minima=self._minima, latitude=self.place.latitude)

    def _forecast(self, night: Night, issue_s: int, seen: Look) -> Forecast:
        assert self._prior is not None
        assert self._model is not None
        hours = (night.sunrise_s - issue_s) / HOUR_S
        hour = hour_model(hours)
        ffst = self._ffst_minimum(night, issue_s)
        expected = seen.temperature_c - self._model.fall_c(hour, seen.values)
        if ffst is not None:
            part = self._ffst_part()
            expected = (1 - part) * expected + part * ffst
        stale = AGEING_PER_HOUR * max(0.0, seen.age_s / HOUR_S - 1)
        spread = Spread(expected, self._model.scale_c(hour) * (1 + stale), self._prior.levels, self._prior.quantiles)
        boundary = self.series.boundary_c(self.threshold_c)
        ceiling = seen.temperature_c if seen.age_s <= FRESH_S else math.inf
        p_frost = 1.0 if ceiling <= self.threshold_c else spread.chance_at_or_below(boundary)
        low, high = spread.quantile_c(0.1), spread.quantile_c(0.9)
        return Forecast(
            issued_s=issue_s,
            night=night,
            temperature_c=seen.temperature_c,
            tmin_c=min(expected, ceiling),
            tmin_p10_c=min(low, ceiling),
            tmin_p90_c=min(high, ceiling),
            p_frost=min(1.0, max(0.0, p_frost)),
            threshold_c=self.threshold_c,
            descent=descent(self._prior.descent[hour], issue_s=issue_s, night=night),
            ffst_c=ffst,
            nights_learned=self.nights_learned,
        )

    def _ffst_minimum(self, night: Night, issue_s: float) -> float | None:
        if self._ffst is None or issue_s < night.sunset_s + T0_AFTER_SUNSET_S:
            return None
        start = start_of_night(self.series, night)
        if start is None or not is_radiation_night(self.series, night, until_s=issue_s):
            return None
        return self._ffst.minimum_c(*start)

    def _ffst_part(self) -> float:
        """By how well each did: the inverse of their squared errors, which is optimal for independent errors."""
        return min(FFST_MOST, self._model_error / (self._model_error + self._ffst_error))

    def _learn_pending(self) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        night = pending.night
        tmin = self._minimum(night.first_issue_s, night.end_s)
        if tmin is None:
            return
        self._minima[night.date] = tmin
        for issue_s, seen, said, ffst in pending.issued:
            self._learn(night, issue_s, seen, said, ffst)
        found = radiation_night(self.series, night, tmin_c=tmin)
        if found is not None:
            self.radiation_nights.append(found)
            self._ffst = fit_ffst(list(self.radiation_nights)) or self._ffst

    def _learn(self, night: Night, issue_s: int, seen: Look, said: float, ffst: float | None) -> None:
        observed = self._minimum(issue_s, night.end_s)
        if observed is None:
            return
        hour, fall = hour_model((night.sunrise_s - issue_s) / HOUR_S), seen.temperature_c - observed
        if self._keep:
            self.samples.append(Sample(hour, seen, fall, said - observed, night.date))
        if self._model is None:
            return
        if ffst is not None:
            own = seen.temperature_c - self._model.fall_c(hour, seen.values)
            self._ffst_error = 0.99 * self._ffst_error + 0.01 * (ffst - observed) ** 2
            self._model_error = 0.99 * self._model_error + 0.01 * (own - observed) ** 2
        if seen.age_s <= HOUR_S:
            self._model.learn_error(hour, said - observed)
            self._model.learn(hour, seen.values, fall_c=fall)

    def _minimum(self, from_s: float, until_s: float) -> float | None:
        """The observed minimum of a finished span; None if a gap may have hidden it."""
        seen = self.series.temperature.pairs(from_s, until_s)
        times = [from_s, *(at for at, _ in seen), until_s]
        if not seen or max(b - a for a, b in pairwise(times)) > LARGEST_GAP_S:
            return None
        return min(value for _, value in seen)


def descent(parts: Sequence[float], *, issue_s: float, night: Night) -> tuple[tuple[float, float], ...]:
    """When which part of the coming fall is done, hourly from the issue to the end of the night.

    Args:
        parts: the part done by the hour before sunrise, by the hour before that, and so on.
        issue_s: Unix seconds.
        night: the night.
    """
    points = [(float(issue_s), 0.0)]
    first = hour_model((night.sunrise_s - issue_s) / HOUR_S)
    for hour in range(first - 1, -1, -1):
        points.append((issue_s + (first - hour) * HOUR_S, max(points[-1][1], parts[hour])))
    points.append((max(night.sunrise_s, points[-1][0] + 1), 1.0))
    points.append((max(night.end_s, points[-1][0] + 1), 1.0))
    return tuple(points)
