"""What the service decides, as pure functions: when the next forecast is due, what is said about a warning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.model.forecast import NightForecast
from village_apps.frost.ffst import T0_AFTER_SUNSET_S
from village_apps.frost.place import Night
from village_apps.frost.tables import FrostWarning

if TYPE_CHECKING:
    from village_apps.frost.forecaster import Forecast

WAIT_FOR_READING_S = 120.0
"""A forecast is issued this long after its hour, so that the hour's own reading has come in."""

SILENT_AFTER_S = 2 * 3600.0
"""A thermometer that has said nothing for so long is called silent, and nothing is forecast from it."""

COLDER_C = 1.5
EARLIER_MS = 3_600_000
"""A standing warning is sent again when it got so much worse; every message wakes people and spends airtime."""

EXPIRES_AFTER_SUNRISE_MS = 6 * 3_600_000
"""A warning whose all-clear never came, because the thermometer fell silent, ends by itself at noon."""


def latest_due(night: Night, now_s: float) -> float | None:
    """The latest hour of this night at which a forecast was due by now; two hours after sunset is one, too (T0)."""
    slots = [*night.issues(), night.sunset_s + T0_AFTER_SUNSET_S]
    due = [slot for slot in slots if slot + WAIT_FOR_READING_S <= now_s and slot <= night.sunrise_s]
    return max(due, default=None)


def onset_ms(forecast: Forecast) -> int | None:
    """When frost begins, Unix ms, on the path half way between the expected one and p10; None if even p10 has none.

    Half way, because to be early by an hour costs an hour's sleep and to be late costs the blossom: on held-out
    stations this was 0.6 h early on average, 2.3 h off either way, where the expected path itself was 1.3 h late.
    """
    at = forecast.below_at_s((forecast.tmin_c + forecast.tmin_p10_c) / 2)
    if at is None:
        at = forecast.below_at_s(forecast.tmin_p10_c)
    return None if at is None else int(at * 1000)


def as_model(forecast: Forecast, *, device: str, warning: bool) -> NightForecast:
    """The forecast as the rest of the kit knows it."""
    below = onset_ms(forecast) if forecast.tmin_c <= forecast.threshold_c else None
    return NightForecast(
        issued_ms=forecast.issued_s * 1000,
        night=forecast.night.date.isoformat(),
        device=device,
        sunset_ms=int(forecast.night.sunset_s * 1000),
        sunrise_ms=int(forecast.night.sunrise_s * 1000),
        tmin_c=round(forecast.tmin_c, 2),
        tmin_p10_c=round(forecast.tmin_p10_c, 2),
        tmin_p90_c=round(forecast.tmin_p90_c, 2),
        p_frost=round(forecast.p_frost, 4),
        threshold_c=forecast.threshold_c,
        expected_below_ms=below,
        basis=forecast.basis,
        nights_learned=forecast.nights_learned,
        warning=warning,
    )


def is_worse(warning: FrostWarning, forecast: NightForecast, onset: int | None) -> bool:
    """Whether people must be told again."""
    if forecast.tmin_c <= warning.told_tmin_c - COLDER_C:
        return True
    if onset is None or onset <= forecast.issued_ms:
        return False  # it has begun: they know
    return warning.told_onset_ms is None or onset <= warning.told_onset_ms - EARLIER_MS
