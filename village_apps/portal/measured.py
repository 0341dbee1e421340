"""What the sensors measure now, place by place, in a villager's words.

A doubtful value is shown and called doubtful: somebody who knows the river can judge it better than the kit. What is
only of interest to a technician (batteries, signals, the heat of a chip) is not shown here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from kit.collect.speakers import MESH
from kit.model.places import NOWHERE
from kit.model.quantities import decimals, quantity_named
from kit.model.readings import Quality, is_usable
from kit.store.devices import Device, list_devices, places
from kit.store.readings import StoredReading, latest_readings
from village_apps.phrases import Phrase, phrase

FORGOTTEN_AFTER_MS = 7 * 86_400_000
"""A sensor that has said nothing for a week is no measurement of now."""

OLD_AFTER_MS = 3 * 3_600_000
"""Older than that, a value is said to be old."""

INSIDE = frozenset({"esp32", "switch", "light", "cover", "pm1", "supply"})
"""Labels of values that are a device's own, not its surroundings'."""

_NAMES: dict[str, tuple[Phrase, str]] = {
    "temperature": (phrase("Air"), "thermometer"),
    "dew_point": (phrase("Dew forms at"), "water"),
    "grass_temperature": (phrase("At the grass"), "frost"),
    "soil_temperature": (phrase("Soil"), "thermometer"),
    "water_temperature": (phrase("Water"), "thermometer"),
    "humidity": (phrase("Moisture in the air"), "water"),
    "pressure": (phrase("Air pressure"), "cloud"),
    "wind_speed": (phrase("Wind"), "wind"),
    "wind_gust": (phrase("Gusts"), "wind"),
    "wind_direction": (phrase("Wind comes from"), "wind"),
    "rain": (phrase("Rain"), "water"),
    "rain_total": (phrase("Rain since the gauge was set up"), "water"),
    "rain_rate": (phrase("Rain in an hour"), "water"),
    "snow_depth": (phrase("Snow"), "frost"),
    "solar_radiation": (phrase("Sunshine"), "sun"),
    "illuminance": (phrase("Brightness"), "sun"),
    "soil_moisture": (phrase("Moisture in the soil"), "plant"),
    "leaf_wetness": (phrase("Wet leaves"), "plant"),
    "water_level": (phrase("Water level"), "water"),
    "co2": (phrase("Used air (CO₂)"), "cloud"),
    "pm2_5": (phrase("Fine dust"), "cloud"),
    "pm10": (phrase("Dust"), "cloud"),
}
"""What a villager calls each quantity, and its picture; in the order in which they stand."""

_ORDER = {name: number for number, name in enumerate(_NAMES)}
_UNITS = {"Cel": "°C", "%RH": "%", "W/m2": "W/m²", "ug/m3": "µg/m³"}
_WINDS = (
    phrase("the north"),
    phrase("the north-east"),
    phrase("the east"),
    phrase("the south-east"),
    phrase("the south"),
    phrase("the south-west"),
    phrase("the west"),
    phrase("the north-west"),
)
_DOUBTS = (
    (Quality.IMPOSSIBLE, phrase("This cannot be right. The sensor needs a look.")),
    (Quality.STUCK, phrase("It has been the same for hours. The sensor may be stuck.")),
    (Quality.TIME_DOUBTFUL, phrase("It is not certain when this was measured.")),
    (Quality.INCONSISTENT, phrase("It does not fit what the same sensor says besides.")),
    (Quality.NEIGHBOUR, phrase("The sensors around it say something else.")),
    (Quality.STEP, phrase("It jumped. Look again in some minutes.")),
)
_DOUBTFUL = phrase("This value is doubtful.")


@dataclass(frozen=True)
class Value:
    """A value as it is shown: its name, what tells it from another of its kind, the number, when, and any doubt."""

    name: Phrase
    label: str
    picture: str
    shown: str | Phrase
    at_ms: int
    old: bool
    doubt: Phrase | None


@dataclass(frozen=True)
class PlaceNow:
    """What is measured at a place.

    Attributes:
        name: the place, or the sensor's name where nobody has said the place.
        sensors: the sensors that stand there.
        open: one of them has no password.
    """

    name: str
    sensors: tuple[str, ...]
    values: tuple[Value, ...]
    open: bool


def measured_now(connection: sqlite3.Connection, *, now_ms: int) -> list[PlaceNow]:
    """Every place with what was measured there last, by name."""
    placed = places(connection)
    owners = {device.name: device for device in list_devices(connection)}

    def where(reading: StoredReading) -> str:
        own, gateway = placed.get(reading.device), reading.device.partition("/")[0]
        return (own or placed.get(gateway, NOWHERE)).name or reading.device

    readings = [reading for reading in latest_readings(connection) if _is_shown(reading, now_ms)]
    readings.sort(key=lambda reading: (where(reading), _order(reading)))
    return [_place(name, list(held), owners, now_ms) for name, held in groupby(readings, key=where)]


def _place(name: str, readings: Sequence[StoredReading], owners: dict[str, Device], now_ms: int) -> PlaceNow:
    devices = tuple(sorted({reading.device for reading in readings}))
    several = {r.quantity for r in readings if sum(o.quantity == r.quantity for o in readings) > 1}
    values = tuple(_value(reading, now_ms, tell_apart=reading.quantity in several) for reading in readings)
    gateways = {device.partition("/")[0] for device in devices}
    unsafe = any(owners[gateway].open if gateway in owners else gateway == MESH for gateway in gateways)
    return PlaceNow(name, devices, values, unsafe)


def _value(reading: StoredReading, now_ms: int, *, tell_apart: bool) -> Value:
    quantity, _, label = reading.quantity.partition(":")
    name, picture = _NAMES[quantity]
    return Value(
        name=name,
        label=", ".join(filter(None, (label.replace("_", " "), reading.device if tell_apart else ""))),
        picture=picture,
        shown=_shown(quantity, reading),
        at_ms=reading.time_ms,
        old=now_ms - reading.time_ms > OLD_AFTER_MS,
        doubt=_doubt(reading.quality),
    )


def _shown(quantity: str, reading: StoredReading) -> str | Phrase:
    if quantity == "wind_direction" and is_usable(reading.quality):
        return _WINDS[round(reading.value / 45) % 8]
    digits = decimals(quantity)
    number = round(reading.value, digits) + 0.0
    # units stay on the line of their number
    return f"{number:,.{digits}f}\u00a0{_UNITS.get(reading.unit, reading.unit)}".replace("-", "−", 1)


def _doubt(quality: int) -> Phrase | None:
    for flag, sentence in _DOUBTS:
        if quality & flag:
            return sentence
    return None if is_usable(quality) else _DOUBTFUL


def _is_shown(reading: StoredReading, now_ms: int) -> bool:
    quantity, _, label = reading.quantity.partition(":")
    known = quantity_named(quantity)
    return (
        quantity in _NAMES
        and label not in INSIDE
        and known is not None
        and reading.unit == known.unit
        and now_ms - reading.time_ms < FORGOTTEN_AFTER_MS
    )


def _order(reading: StoredReading) -> tuple[int, str, str]:
    return _ORDER[reading.quantity.partition(":")[0]], reading.quantity, reading.device
