"""Whether the values of one device fit each other; pure.

Internal consistency is level 2 of MADIS and §III of Zahumenský's guidelines (see `kit.model.quantities`, where the
rules stand). Of two values that contradict each other one is blamed: the more fragile instrument, which a frost
forecast can do without. A broken hygrometer must not take the thermometer's word away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import NamedTuple

from kit.model.quantities import DEW_POINT_AGREES_WITHIN_C, ORDERED, QUANTITIES

SAME_TIME_MS = 60_000
"""Values further apart than this need not fit each other."""

_DEW_TRIO = ("temperature", "humidity", "dew_point")
_RULES = tuple((rule.lower, rule.upper, rule.tolerance, rule.blamed) for rule in ORDERED)


class Partner(NamedTuple):
    """A quantity that a value has to fit: its name with the label, without it, and its unit."""

    name: str
    base: str
    unit: str


@lru_cache(maxsize=1024)
def partners(quantity: str) -> tuple[Partner, ...]:
    """What a value has to fit, with the same label (`humidity:probe2` for `temperature:probe2`)."""
    base, colon, label = quantity.partition(":")
    found = {name for rule in ORDERED if base in (rule.lower, rule.upper) for name in (rule.lower, rule.upper)}
    if base in _DEW_TRIO:
        found.update(_DEW_TRIO)
    found.discard(base)
    return tuple(Partner(name + colon + label, name, QUANTITIES[name].unit) for name in sorted(found))


def can_contradict(names: AbstractSet[str]) -> bool:
    """Whether any rule is about quantities that are all among these."""
    return names >= set(_DEW_TRIO) or any(rule.lower in names and rule.upper in names for rule in ORDERED)


def contradictions(values: Mapping[str, float]) -> set[str]:
    """The quantities that are to blame, by their names without labels.

    Args:
        values: of one device at one time, in the units of the table.
    """
    blamed: set[str] = set()
    for lower, upper, tolerance, culprit in _RULES:
        if lower in values and upper in values and values[lower] > values[upper] + tolerance:
            blamed.add(culprit)
    if "dew_point" in values and "humidity" in values and "temperature" in values and values["humidity"] > 0:
        expected = dew_point_of(values["temperature"], values["humidity"])
        if abs(expected - values["dew_point"]) > DEW_POINT_AGREES_WITHIN_C:
            blamed.add("dew_point")
    return blamed


def dew_point_of(temperature_c: float, humidity_percent: float) -> float:
    """Dew point over water, °C; FAO-56 eq. 14 (e° = 0.6108·exp(17.27 T/(T + 237.3))) turned round."""
    pressure = math.log(min(max(humidity_percent, 0.1), 100.0) / 100) + 17.27 * temperature_c / (temperature_c + 237.3)
    return 237.3 * pressure / (17.27 - pressure)
