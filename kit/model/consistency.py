"""Whether the values of one device fit each other; pure.

Internal consistency is level 2 of MADIS and §III of Zahumenský's guidelines (see `kit.model.quantities`, where the
rules stand). Of two values that contradict each other one is blamed: the more fragile instrument, which a frost
forecast can do without. A broken hygrometer must not take the thermometer's word away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

from kit.model.quantities import DEW_POINT_AGREES_WITHIN_C, ORDERED

SAME_TIME_MS = 60_000
"""Values further apart than this need not fit each other."""

_DEW_TRIO = ("temperature", "humidity", "dew_point")


@lru_cache(maxsize=1024)
def partners(quantity: str) -> tuple[str, ...]:
    """The quantities that a value has to fit, with the same label (`humidity:probe2` for `temperature:probe2`)."""
    base, colon, label = quantity.partition(":")
    found = {name for rule in ORDERED if base in (rule.lower, rule.upper) for name in (rule.lower, rule.upper)}
    if base in _DEW_TRIO:
        found.update(_DEW_TRIO)
    found.discard(base)
    return tuple(name + colon + label for name in sorted(found))


def contradictions(values: Mapping[str, float]) -> set[str]:
    """The quantities that are to blame, by their names without labels.

    Args:
        values: of one device at one time, in the units of the table.
    """
    blamed = {
        rule.blamed
        for rule in ORDERED
        if rule.lower in values and rule.upper in values and values[rule.lower] > values[rule.upper] + rule.tolerance
    }
    if all(name in values for name in _DEW_TRIO) and values["humidity"] > 0:
        expected = dew_point_of(values["temperature"], values["humidity"])
        if abs(expected - values["dew_point"]) > DEW_POINT_AGREES_WITHIN_C:
            blamed.add("dew_point")
    return blamed


def dew_point_of(temperature_c: float, humidity_percent: float) -> float:
    """Dew point over water, °C; FAO-56 eq. 14 (e° = 0.6108·exp(17.27 T/(T + 237.3))) turned round."""
    pressure = math.log(min(max(humidity_percent, 0.1), 100.0) / 100) + 17.27 * temperature_c / (temperature_c + 237.3)
    return 237.3 * pressure / (17.27 - pressure)
