"""When a warning goes up, when it comes down, and what the grower is told.

A warning that comes too late is worth nothing, one that was wrong costs a night's sleep. So it goes up early only when
frost is likely, and later, when the air has come near the threshold and there is no time left to wait for a better
forecast, already at the grower's own probability. Once up it stands until after sunrise: people who have begun to act
are not called back by a wavering number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from village_apps.frost.forecaster import Forecast

SURE_ENOUGH = 0.65
"""Raise whatever the hour when frost is this likely: at least two such warnings of three come true, and waiting would
cost preparation."""

NEAR_C = 3.0
"""Above the threshold. Clear evening air falls by 1 to 1.5 °C an hour, so this is about two hours before frost."""

CLEAR_ABOVE_C = 0.5
"""Above the threshold: a thermometer's tolerance, so that the all-clear does not come at -0.4 °C."""

DEFAULT_PROBABILITY = 0.35


@dataclass(frozen=True, slots=True)
class Rule:
    """The grower's choice.

    Attributes:
        threshold_c: what counts as frost, °C.
        probability: warn when frost is at least this likely and near.
    """

    threshold_c: float = 0.0
    probability: float = DEFAULT_PROBABILITY


def should_warn(forecast: Forecast, rule: Rule) -> bool:
    """Whether this forecast raises a warning."""
    if forecast.p_frost >= max(SURE_ENOUGH, rule.probability):
        return True
    near = forecast.temperature_c - rule.threshold_c <= NEAR_C
    return near and forecast.p_frost >= rule.probability


def is_over(temperature_c: float, rule: Rule) -> bool:
    """Whether, after sunrise, this temperature ends a warning."""
    return temperature_c > rule.threshold_c + CLEAR_ABOVE_C
