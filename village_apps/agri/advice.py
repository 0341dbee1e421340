"""What tonight's cold does to a crop, and what to do by when. Pure: the same forecast and stage give the same verdict.

Only two points of the kill curve are published (T10 and T90). Between and beyond them a logistic curve through both is
drawn; that is this kit's own interpolation, so the page says "about" and counts in tenths.

What to do follows FAO, Frost Protection: fundamentals, practice and economics, vol. 1 (Snyder & de Melo-Abreu, 2005),
chapters 6 (passive: moist bare soil, no tall grass, covers) and 7 (active: sprinklers started before the critical
temperature and not stopped before the ice melts; many small heaters rather than few large ones; smoke does not help).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from kit.model.forecast import NightForecast
from village_apps.agri.crops import Crop, Stage
from village_apps.phrases import Phrase, phrase

SMALLEST_FALL_C = 0.01
"""Below the threshold by less, the night has no slope that could be computed; no thermometer shows it either."""

START_ABOVE_C = 1.0
"""Protection starts this much above T10: leaves under a clear sky are colder than the air that is measured."""

LOGIT_90 = math.log(9.0)
"""The logistic curve is ln 9 from its middle where it reaches 90 per cent."""


class Level(StrEnum):
    """How bad the night is for the crop."""

    SAFE = "safe"
    CARE = "care"
    HARM = "harm"
    SEVERE = "severe"


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        text: what.
        picture: id of a symbol in the shared sprite.
        by_ms: until when it must be done, Unix ms; None = no fixed time.
        late_helps: whether it is still worth doing after `by_ms`; water poured on cold soil warms nothing.
    """

    text: Phrase
    picture: str
    by_ms: int | None = None
    late_helps: bool = True


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a night does to a crop.

    Attributes:
        level: how bad.
        sentence: what the grower reads first.
        detail: the temperatures behind it.
        killed_warm, killed, killed_cold: share (0 to 1) that dies without protection at the forecast's warm tenth, at
            its expected minimum, and at its cold tenth.
        start_ms: when the air is expected to come within `START_ABOVE_C` of T10, Unix ms; None if that is not known.
        steps: what to do, in order; empty when there is nothing to do.
    """

    level: Level
    sentence: Phrase
    detail: Phrase
    killed_warm: float
    killed: float
    killed_cold: float
    start_ms: int | None
    steps: tuple[Step, ...]


def judge_night(forecast: NightForecast, crop: Crop, stage: Stage) -> Verdict:
    """What this night does to this crop, with the sentence the grower reads."""
    warm, expected, cold = (
        killed_share(stage, temperature) for temperature in (forecast.tmin_p90_c, forecast.tmin_c, forecast.tmin_p10_c)
    )
    level = _level(forecast, stage)
    start_ms = None if level is Level.SAFE else _start_ms(forecast, stage, level)
    return Verdict(
        level=level,
        sentence=_sentence(level, stage, expected),
        detail=phrase(
            "The coldest hour is expected at %(expected)s. One night in ten gets as cold as %(cold)s. "
            "The %(part)s begin to die at %(critical)s.",
            expected=degrees(forecast.tmin_c),
            cold=degrees(forecast.tmin_p10_c),
            part=stage.part,
            critical=degrees(stage.t10_c),
        ),
        killed_warm=warm,
        killed=expected,
        killed_cold=cold,
        start_ms=start_ms,
        steps=() if level is Level.SAFE else _steps(forecast, crop, stage, start_ms),
    )


def steps_left(steps: tuple[Step, ...], now_ms: int) -> tuple[Step, ...]:
    """Those that still help."""
    return tuple(step for step in steps if step.late_helps or step.by_ms is None or now_ms < step.by_ms)


def killed_share(stage: Stage, temperature_c: float) -> float:
    """The share (0 to 1) that dies after half an hour at that temperature: 0.1 at T10, 0.9 at T90."""
    middle = (stage.t10_c + stage.t90_c) / 2
    half_width = (stage.t10_c - stage.t90_c) / 2
    exponent = LOGIT_90 * (temperature_c - middle) / half_width
    return 1.0 / (1.0 + math.exp(min(exponent, 60.0)))


def out_of_ten(share: float) -> int:
    """A share as a grower counts it: so many of ten. Half of one counts as one: a loss is not rounded away."""
    return min(10, math.floor(share * 10 + 0.5))


def degrees(value_c: float) -> str:
    """`"−1.5 °C"` with a real minus sign and a space that does not break; never `"−0.0"`."""
    rounded = round(value_c, 1) + 0.0
    return f"{rounded:.1f}\N{NO-BREAK SPACE}°C".replace("-", "−")


def _level(forecast: NightForecast, stage: Stage) -> Level:
    if forecast.tmin_c <= stage.t90_c:
        return Level.SEVERE
    if forecast.tmin_c <= stage.t10_c:
        return Level.HARM
    return Level.CARE if forecast.tmin_p10_c <= stage.t10_c else Level.SAFE


def _sentence(level: Level, stage: Stage, share: float) -> Phrase:
    if level is Level.SAFE:
        return phrase("Tonight is not cold enough to hurt this crop.")
    if level is Level.CARE:
        return phrase("Tonight will probably not hurt this crop, but it may. Be ready.")
    if level is Level.HARM:
        return phrase(
            "If you do nothing, tonight will kill about %(count)s of every 10 %(part)s.",
            count=max(1, out_of_ten(share)),
            part=stage.part,
        )
    return phrase("If you do nothing, tonight will kill nearly all %(part)s.", part=stage.part)


def _start_ms(forecast: NightForecast, stage: Stage, level: Level) -> int | None:
    """When to start, from the cooling of a clear night: T(t) = T0 - k·sqrt(t) after sunset (Reuter 1951).

    T0 and k come from the two moments that the forecast names: when the threshold is reached, and the minimum at
    sunrise. A night that only *may* be too cold is taken at its cold tenth.
    """
    if forecast.expected_below_ms is None or forecast.threshold_c - forecast.tmin_c < SMALLEST_FALL_C:
        return None
    night, below = forecast.sunrise_ms - forecast.sunset_ms, forecast.expected_below_ms - forecast.sunset_ms
    if not 0 < below < night:
        return None
    fall = (forecast.threshold_c - forecast.tmin_c) / (math.sqrt(night) - math.sqrt(below))
    at_sunset_c = forecast.threshold_c + fall * math.sqrt(below)
    coldest_c = forecast.tmin_p10_c if level is Level.CARE else forecast.tmin_c
    fall = (at_sunset_c - coldest_c) / math.sqrt(night)
    after_sunset = max(0.0, (at_sunset_c - stage.t10_c - START_ABOVE_C) / fall) ** 2
    return forecast.sunset_ms + min(night, int(after_sunset))


def _steps(forecast: NightForecast, crop: Crop, stage: Stage, start_ms: int | None) -> tuple[Step, ...]:
    water = Step(
        phrase("If the soil is dry, water it while the day is still warm. Wet soil keeps the warmth of the sun."),
        "water",
        forecast.sunset_ms,
        late_helps=False,
    )
    watch = Step(
        phrase(
            "Hang a thermometer at the height of the %(part)s and look at it. At %(start)s it is time to protect.",
            part=stage.part,
            start=degrees(stage.t10_c + START_ABOVE_C),
        ),
        "thermometer",
        start_ms,
    )
    if crop.published == "range":  # low field crops, which can be covered
        return (
            water,
            Step(
                phrase("Cover the plants with cloth, mats or dry grass. Let the cover reach down to the ground."),
                "cover",
                forecast.sunset_ms,
            ),
            watch,
            Step(phrase("Take the covers off when the sun has warmed the air."), "sun"),
        )
    return (
        water,
        Step(
            phrase("Cut tall grass and weeds below the trees, so that cold air can flow away."),
            "tools",
            forecast.sunset_ms,
            late_helps=False,
        ),
        Step(
            phrase("Make ready what you have: sprinklers with enough water, or many small fires."),
            "people",
            forecast.sunset_ms,
        ),
        watch,
        Step(
            phrase("Start the sprinklers or light the fires. Many small fires help more than one big fire."),
            "fire",
            start_ms,
        ),
        Step(phrase("Do not stop the sprinklers before the sun is up and all the ice has melted."), "sun"),
    )
