"""What a LoRaWAN codec makes of a payload: a JSON object of any shape, whose names are the codec's author's.

Understood are plain names (`temperature`, `soil_moisture_2`), Cayenne LPP (`temperature_3`), the codecs of Dragino
(`TempC_SHT`), SenseCAP's lists of measurements, and The Things Stack's normalized payload, which has units by
definition. What else is a number is kept under its own name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kit.collect.dialects.port import DialectError, Observation
from kit.collect.dialects.reading import meaning, number, observe

MAX_DEPTH, MAX_VALUES = 5, 200
"""Of a decoded payload; codecs nest two or three levels."""

_NAMES: dict[str, tuple[str, str, str]] = {
    # Dragino: https://github.com/dragino/dragino-end-node-decoder
    "TempC_SHT": ("temperature", "Cel", ""),
    "TempC_DS": ("temperature", "Cel", "ds"),
    "TempC1": ("temperature", "Cel", "1"),
    "TempC2": ("temperature", "Cel", "2"),
    "TempC3": ("temperature", "Cel", "3"),
    "Hum_SHT": ("humidity", "%RH", ""),
    "BatV": ("battery_voltage", "V", ""),
    "Bat": ("battery_voltage", "V", ""),
    "temp_SOIL": ("soil_temperature", "Cel", ""),
    "water_SOIL": ("soil_moisture", "%", ""),
    "ILL_lx": ("illuminance", "lx", ""),
    # SenseCAP, by measurement id: https://sensecap-docs.seeed.cc/measurement_list.html
    "4097": ("temperature", "Cel", ""),
    "4098": ("humidity", "%RH", ""),
    "4099": ("illuminance", "lx", ""),
    "4100": ("co2", "ppm", ""),
    "4101": ("pressure", "Pa", ""),
    "4102": ("soil_temperature", "Cel", ""),
    "4103": ("soil_moisture", "%", ""),
    "4104": ("wind_direction", "deg", ""),
    "4105": ("wind_speed", "m/s", ""),
    "4113": ("rain_rate", "mm/h", ""),
    "4191": ("wind_gust", "m/s", ""),
    "4213": ("rain_total", "mm", ""),
    "3000": ("battery_level", "%EL", ""),
    # The Things Stack, normalized: https://www.thethingsindustries.com/docs/integrations/payload-formatters/
    "air.temperature": ("temperature", "Cel", ""),
    "air.relativeHumidity": ("humidity", "%RH", ""),
    "air.pressure": ("pressure", "hPa", ""),
    "air.co2": ("co2", "ppm", ""),
    "air.lightIntensity": ("illuminance", "lx", ""),
    "soil.temperature": ("soil_temperature", "Cel", ""),
    "soil.moisture": ("soil_moisture", "%", ""),
    "water.temperature.current": ("water_temperature", "Cel", ""),
    "wind.speed": ("wind_speed", "m/s", ""),
    "wind.direction": ("wind_direction", "deg", ""),
    "rain.intensity": ("rain_rate", "mm/h", ""),
    "rain.cumulative": ("rain_total", "mm", ""),
}
"""A codec's name → quantity, unit, label."""

_SKIPPED = frozenset({"latitude", "longitude", "err", "valid", "measurementId", "f_port", "port"})
VOLTS_BELOW = 25.0
"""`battery: 3.98` is a voltage; no battery that sends has so few per cent and a fraction."""


def decoded(told: Any, *, part: str, time_s: float | None) -> list[Observation]:
    """The observations of a codec's object.

    Raises:
        DialectError: it is larger than any sensor's.
    """
    observations: list[Observation] = []
    for name, value in _flat(told, (), 0):
        if len(observations) >= MAX_VALUES:
            raise DialectError(f"the decoded payload has more than {MAX_VALUES} values")
        observations.append(_observe(name, value, part, time_s))
    return observations


def radio(signals: list[Any], *, part: str, time_s: float | None) -> list[Observation]:
    """The strongest signal at which a gateway heard it."""
    heard = [number(one.get("rssi")) for one in signals if isinstance(one, dict)]
    strengths = [strength for strength in heard if strength is not None]
    if not strengths:
        return []
    return [observe("signal", max(strengths), unit="dBm", part=part, time_s=time_s)]


def _flat(told: Any, path: tuple[str, ...], depth: int) -> Iterator[tuple[str, float]]:
    if depth > MAX_DEPTH:
        return
    if isinstance(told, list):
        for one in told:
            yield from _flat(one, path, depth + 1)
        return
    if not isinstance(told, dict):
        return
    measured = number(told.get("measurementValue"))
    if measured is not None:
        named = str(told.get("measurementId", ""))[:64]
        yield (named if named in _NAMES else str(told.get("type", named))[:64]), measured
        return
    for key, value in told.items():
        here = (*path, key[:64])
        if isinstance(value, dict | list):
            yield from _flat(value, here, depth + 1)
        elif key not in _SKIPPED and not isinstance(value, str):
            found = number(value)
            if found is not None:
                yield ".".join(here), found


def _observe(name: str, value: float, part: str, time_s: float | None) -> Observation:
    last = name.rpartition(".")[2]
    known = _NAMES.get(name) or _NAMES.get(last)
    if known is not None:
        quantity, unit, label = known
        return observe(last, value, unit=unit, quantity=quantity, label=label, part=part, time_s=time_s)
    found = meaning(last)
    if found is not None and found.quantity == "battery_level" and value < VOLTS_BELOW and not value.is_integer():
        return observe(last, value, unit="V", quantity="battery_voltage", part=part, time_s=time_s)
    if found is None:
        return observe(name.replace(".", "_"), value, part=part, time_s=time_s)
    return observe(last, value, part=part, time_s=time_s)
