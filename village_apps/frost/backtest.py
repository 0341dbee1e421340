"""Walk forward through recorded weather, issuing each forecast from what was observed before it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from kit.weather_file import WeatherRow
from village_apps.frost.forecaster import Forecast, SiteForecaster
from village_apps.frost.hourly_model import Prior
from village_apps.frost.place import Place
from village_apps.frost.scorecard import Issued, Scorecard, score
from village_apps.frost.series import Observation, Series
from village_apps.frost.verdict import Rule, is_over, should_warn

COLUMNS = ("issued_utc", "night", "hours_to_sunrise", "tmin_c", "tmin_p10_c", "tmin_p90_c", "p_frost", "alert")


def observations_of(rows: Iterable[WeatherRow]) -> list[Observation]:
    """A weather file's rows as the forecast takes them."""
    return [
        Observation(
            at_s=row.at_s,
            temperature_c=row.air_temp_c,
            dew_point_c=row.dew_point_c,
            wind_ms=row.wind_speed_ms,
            wind_dir_deg=row.wind_dir_deg,
            sky_oktas=row.sky_oktas,
            pressure_hpa=row.pressure_hpa,
            rain_mm=row.rain_1h_mm,
        )
        for row in rows
    ]


def walk(observations: Sequence[Observation], *, place: Place, prior: Prior, rule: Rule) -> list[Issued]:
    """Every hourly forecast that the observations allow, with the state of the warning after it."""
    issued, _ = _walk(observations, place=place, prior=prior, rule=rule)
    return issued


def backtest(
    observations: Sequence[Observation], *, place: Place, prior: Prior, rule: Rule
) -> tuple[list[Issued], Scorecard]:
    """Walk forward, then compare with what came."""
    issued, series = _walk(observations, place=place, prior=prior, rule=rule)
    return issued, score(issued, series.temperature, threshold_c=rule.threshold_c)


def _walk(
    observations: Sequence[Observation], *, place: Place, prior: Prior, rule: Rule
) -> tuple[list[Issued], Series]:
    forecaster = SiteForecaster(place, prior, threshold_c=rule.threshold_c)
    if not observations:
        return [], forecaster.series
    forecasts = forecaster.advance(observations, until_s=observations[-1].at_s)
    return _with_warnings(forecasts, forecaster.series, rule), forecaster.series


def _with_warnings(forecasts: Iterable[Forecast], series: Series, rule: Rule) -> list[Issued]:
    issued: list[Issued] = []
    stands: Forecast | None = None
    for forecast in forecasts:
        if stands is not None and stands.night.date != forecast.night.date:
            warmest = series.temperature.most(stands.night.sunrise_s, forecast.issued_s)
            stands = None if is_over(warmest, rule) else stands
        if stands is None and should_warn(forecast, rule):
            stands = forecast
        issued.append(Issued(forecast, stands is not None))
    return issued


def forecasts_as_csv(issued: Iterable[Issued]) -> str:
    """The forecasts as CSV text with the header `COLUMNS`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in issued:
        forecast = one.forecast
        writer.writerow(
            (
                datetime.fromtimestamp(forecast.issued_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                forecast.night.date.isoformat(),
                f"{forecast.hours_to_sunrise:.2f}",
                f"{forecast.tmin_c:.2f}",
                f"{forecast.tmin_p10_c:.2f}",
                f"{forecast.tmin_p90_c:.2f}",
                f"{forecast.p_frost:.4f}",
                int(one.alert),
            )
        )
    return out.getvalue()
