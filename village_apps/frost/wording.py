"""What the grower is told, as phrases that any language can fill in. Pure.

One thought to a sentence, whole degrees, and what to do. Whole degrees because the forecast is not better than that,
rounded down where it matters for plants: never is 0.4 °C said to be warmer than it is.
"""

from __future__ import annotations

import math
from datetime import date

from kit.model.forecast import NightForecast
from village_apps.phrases import Phrase, phrase

LIKELY = 0.5

CLOSE = 0.25
"""From here on nobody is told that it will stay above frost: one such night in four does not."""

ALARM_EVENT = phrase("Frost")

INSTRUCTION = phrase(
    "Cover seedlings and young plants now, down to the ground. Water dry soil before dark. "
    "Keep the covers on until the sun has warmed the air. Tell your neighbours."
)

ALL_CLEAR = phrase("The frost of this night is over. Take the covers off when the sun is on the field.")


def no_night(day: date) -> Phrase:
    """Near the poles: there is no such night."""
    return phrase(
        "Here the sun does not rise and set every day around %(date)s, and without a night there is no frost forecast.",
        date=day.isoformat(),
    )


def degrees(value_c: float) -> str:
    """Whole degrees, rounded down, with a real minus sign: `−2 °C`."""
    whole = math.floor(value_c + 0.05)  # 0.96 is 1 on any thermometer
    return f"−{-whole} °C" if whole < 0 else f"{whole} °C"


def tenths(value_c: float) -> str:
    """A measured temperature, to a tenth: `−2.1 °C`."""
    value = round(value_c, 1)
    return f"−{-value:.1f} °C" if value < 0 else f"{abs(value):.1f} °C"


def expectation(forecast: NightForecast, *, coldest_at: str) -> Phrase:
    """What the night will bring, in one sentence.

    Args:
        forecast: the forecast.
        coldest_at: local time of sunrise, when it is coldest, `06:49`.
    """
    low = degrees(forecast.tmin_c)
    if forecast.tmin_c <= forecast.threshold_c:
        return phrase("Tonight it may fall to %(low)s. It is coldest at about %(time)s.", low=low, time=coldest_at)
    if forecast.warning or forecast.p_frost >= CLOSE:
        return phrase("Tonight it may come close to frost: about %(low)s at %(time)s.", low=low, time=coldest_at)
    return phrase("Tonight it will probably stay above frost: about %(low)s at %(time)s.", low=low, time=coldest_at)


def worst_case(forecast: NightForecast) -> Phrase:
    """How cold it could get: one night in ten is colder."""
    return phrase("It could be as cold as %(low)s.", low=degrees(forecast.tmin_p10_c))


def chance(forecast: NightForecast) -> Phrase:
    """The probability as people count it: of ten such nights."""
    times = round(forecast.p_frost * 10)
    if times <= 0:
        return phrase("Of ten nights like this, hardly one has frost.")
    if times >= 10:  # noqa: PLR2004 - of ten
        return phrase("On nights like this there is nearly always frost.")
    return phrase("Of ten nights like this, %(times)s have frost.", times=times)


def headline(forecast: NightForecast, *, onset_at: str | None) -> Phrase:
    """The warning in one line."""
    if onset_at is None:
        return phrase("Frost tonight: down to %(low)s", low=degrees(forecast.tmin_c))
    return phrase("Frost tonight from about %(time)s: down to %(low)s", low=degrees(forecast.tmin_c), time=onset_at)


def description(forecast: NightForecast, *, coldest_at: str) -> Phrase:
    """The warning's explanation."""
    return phrase(
        "%(expectation)s %(worst)s %(chance)s",
        expectation=expectation(forecast, coldest_at=coldest_at),
        worst=worst_case(forecast),
        chance=chance(forecast),
    )


def silent_sensor(device: str, *, hours: int) -> Phrase:
    """Why there is no forecast."""
    return phrase(
        "The thermometer %(device)s has been silent for %(hours)s hours. There is no forecast until it reports again: "
        "look at its battery and its cable.",
        device=device,
        hours=hours,
    )


def nothing_usable(device: str) -> Phrase:
    """Why there is no forecast although the thermometer is known: no value of it has a time to go by."""
    return phrase(
        "The thermometer %(device)s has given no usable reading of which the time is known. The forecast begins when "
        "it does.",
        device=device,
    )


def unusable_sensor(device: str) -> Phrase:
    """Why there is no forecast although the thermometer speaks."""
    return phrase(
        "The thermometer %(device)s sends values that cannot be right, and they are left out. There is no forecast "
        "until they are: look at its probe and its cable.",
        device=device,
    )


NO_SENSOR = phrase("No thermometer has reported yet. The forecast begins when one does.")

NO_TIME = phrase(
    "The kit does not know what time it is, and without that there is no forecast. "
    "Tell it from a phone on the first page."
)
