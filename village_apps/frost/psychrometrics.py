"""Water vapour in the air, by the FAO-56 equations.

Sources: Allen et al. (1998), FAO Irrigation and Drainage Paper 56, equations 7 (pressure), 11 (saturation)
and 17/A.3-1 (dew point). Within 0.1 °C of Goff-Gratch between -20 and 40 °C over water.
"""

from __future__ import annotations

import math


def saturation_pressure_kpa(temperature_c: float) -> float:
    """Saturation vapour pressure over water, kPa: e° = 0.6108 exp(17.27 T / (T + 237.3))."""
    return 0.6108 * math.exp(17.27 * temperature_c / (temperature_c + 237.3))


def dew_point_c(temperature_c: float, humidity_percent: float) -> float:
    """Dew point (°C) from temperature and relative humidity; below 1 %RH the sensor's word is not taken."""
    pressure = saturation_pressure_kpa(temperature_c) * min(max(humidity_percent, 1.0), 100.0) / 100
    logarithm = math.log(pressure / 0.6108)
    return 237.3 * logarithm / (17.27 - logarithm)


def air_pressure_kpa(elevation_m: float) -> float:
    """Mean air pressure at an elevation, kPa (standard atmosphere of FAO-56, 20 °C)."""
    return 101.3 * float(((293 - 0.0065 * elevation_m) / 293) ** 5.26)
