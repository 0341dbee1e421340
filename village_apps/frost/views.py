"""The page `/frost/`: the night as a curve, what it means, and who has seen the warning."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, render_template

from kit.model.alert_state import AlertState
from kit.model.forecast import FROST_FACT, NightForecast
from kit.model.quantities import series_of
from kit.store.alerts import find_alert
from kit.store.readings import find_readings
from village_apps.app import AppContext
from village_apps.frost import wording
from village_apps.frost.card import AFTER_SUNRISE_MS, PROBLEM_FACT, present_problem
from village_apps.frost.curve import Curve, draw, thin
from village_apps.frost.station_history import NOT_USED, choose_device
from village_apps.frost.tables import FrostWarning, StoredForecast, latest_forecast, latest_warning
from village_apps.web.doubts import doubt_about
from village_apps.web.pages import cached_page
from village_apps.web.reader import context, database, frame, now_ms

FIRST_HOUR = 15
BEFORE_SUNSET_MS = 3 * 3_600_000
"""The drawing begins so long before sunset, or when the first forecast was due."""

OLD_READING_MS = 2 * 3_600_000
NEWS_MS = 12 * 3_600_000
"""How long after it was over a warning is still spoken of."""


@dataclass(frozen=True)
class Reading:
    """The latest temperature."""

    value: str
    at_ms: int
    old: bool


def make_blueprint(app_context: AppContext) -> Blueprint:
    """The routes of the app."""
    del app_context
    routes = Blueprint("frost", __name__, url_prefix="/frost", template_folder="templates")
    routes.add_url_rule("/", "night", _night)
    return routes


@cached_page(FROST_FACT, PROBLEM_FACT)
def _night() -> str:
    found = latest_forecast(database().connection)
    device = found.forecast.device if found else choose_device(database().connection, context().settings.frost.device)
    current = found is not None and now_ms() <= found.forecast.sunrise_ms + AFTER_SUNRISE_MS
    warning, state = _warning()
    return render_template(
        "frost/night.html",
        forecast=found.forecast if found else None,
        current=current,
        curve=None if found is None else _draw(found, current=current),
        words=wording,
        coldest_at="" if found is None else frame().moments.clock(found.forecast.sunrise_ms),
        problem=present_problem(database()),
        reading=None if device is None else _latest(device),
        doubt=None if device is None else doubt_about(database().connection, device, "temperature", now_ms=now_ms()),
        warning=warning,
        state=state,
        lowest=None if found is None or current else _lowest(found.forecast),
    )


def _warning() -> tuple[FrostWarning | None, AlertState | None]:
    """The warning that stands, or one that ended this morning, with who has confirmed it."""
    warning = latest_warning(database().connection)
    if warning is None or (warning.over_ms is not None and now_ms() - warning.over_ms > NEWS_MS):
        return None, None
    return warning, find_alert(database().connection, warning.latest)


def _latest(device: str) -> Reading | None:
    since = now_ms() - 400 * 86_400_000
    last = None
    for window in (6 * 3_600_000, now_ms() - since):
        last = max(_temperatures(device, now_ms() - window, now_ms() + 1), default=None)
        if last is not None:
            return Reading(wording.tenths(last[1]), int(last[0]), now_ms() - last[0] > OLD_READING_MS)
    return None


def _temperatures(device: str, since_ms: int, until_ms: int) -> list[tuple[float, float]]:
    device, temperature = series_of(device, "temperature")
    rows = find_readings(
        database().connection, device=device, quantity=temperature, since_ms=since_ms, until_ms=until_ms
    )
    return [(float(row.time_ms), row.value) for row in rows if not row.quality & int(NOT_USED)]


def _lowest(forecast: NightForecast) -> str | None:
    """The lowest temperature measured in a night that is over."""
    seen = _temperatures(
        forecast.device, forecast.sunset_ms - BEFORE_SUNSET_MS, forecast.sunrise_ms + AFTER_SUNRISE_MS + 1
    )
    return wording.tenths(min(value for _, value in seen)) if seen else None


def _draw(found: StoredForecast, *, current: bool) -> Curve:
    forecast, now = found.forecast, now_ms()
    local_sunset = frame().moments.local(forecast.sunset_ms)
    first = local_sunset.replace(hour=FIRST_HOUR, minute=0, second=0, microsecond=0)
    start = min(int(first.timestamp() * 1000), forecast.sunset_ms - BEFORE_SUNSET_MS, forecast.issued_ms)
    end = forecast.sunrise_ms + AFTER_SUNRISE_MS
    observed = _temperatures(forecast.device, start, min(now, end) + 1)
    begins = observed[-1] if current and observed else None
    return draw(
        observed=thin(observed),
        expected=_path(found, forecast.tmin_c, begins),
        coldest=_path(found, forecast.tmin_p10_c, begins),
        warmest=_path(found, forecast.tmin_p90_c, begins),
        threshold_c=forecast.threshold_c,
        start_ms=start,
        end_ms=end,
        now_ms=now,
        hour_of=lambda at_ms: frame().moments.local(int(at_ms)).hour,
        degrees=wording.degrees,
    )


def _path(found: StoredForecast, minimum_c: float, begins: tuple[float, float] | None) -> list[tuple[float, float]]:
    """From the latest reading down to a minimum; nothing once the night is over."""
    if begins is None:
        return []
    at_ms, value = begins
    done = [(at, part) for at, part in found.descent if at > at_ms]
    already = max((part for at, part in found.descent if at <= at_ms), default=0.0)
    if not done or already >= 1:
        return []
    floor = min(minimum_c, value)
    return [begins, *((float(at), value - (part - already) / (1 - already) * (value - floor)) for at, part in done)]
