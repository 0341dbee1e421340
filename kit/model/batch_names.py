"""What a packed body says first: the names of its devices, and which quantity each of its columns is."""

from __future__ import annotations

from collections.abc import Sequence

from kit.model.batch_error import BatchError
from sync.packing.coder import Bit, Coder
from sync.packing.names import Names
from sync.packing.numbers import Lengths

MAX_NAMES = 5_000
"""What a decoder believes."""

KNOWN: tuple[tuple[str, str], ...] = (
    ("temperature", "Cel"),
    ("humidity", "%RH"),
    ("dew_point", "Cel"),
    ("pressure", "hPa"),
    ("wind_speed", "m/s"),
    ("wind_gust", "m/s"),
    ("wind_direction", "deg"),
    ("rain", "mm"),
    ("soil_temperature", "Cel"),
    ("soil_moisture", "%"),
    ("battery_voltage", "V"),
    ("battery_level", "%EL"),
    ("leaf_wetness", "%"),
    ("solar_radiation", "W/m2"),
    ("illuminance", "lx"),
    ("grass_temperature", "Cel"),
    ("wet_bulb", "Cel"),
    ("water_temperature", "Cel"),
    ("rain_total", "mm"),
    ("rain_rate", "mm/h"),
    ("snow_depth", "mm"),
    ("water_level", "m"),
    ("co2", "ppm"),
    ("pm2_5", "ug/m3"),
    ("pm10", "ug/m3"),
    ("voltage", "V"),
    ("current", "A"),
    ("power", "W"),
    ("energy", "Wh"),
    ("frequency", "Hz"),
    ("signal", "dBm"),
)
"""Quantities that go as a number. Their places are on the wire: add at the end, change nothing."""

Kind = tuple[str, str]
"""A quantity and its unit."""


def code_names(coder: Coder, devices: Sequence[str], kinds: Sequence[Kind]) -> tuple[list[str], list[Kind]]:
    """The devices and what each column is; a decoder is told nothing.

    Raises:
        BatchError: the bits make no sense.
        PackingError: they are no names.
    """
    names, count = Names(), Lengths(2)
    devices_told = [
        names.code(coder, devices[at] if devices else "") for at in range(_count(coder, count, len(devices)))
    ]
    labels, known, places = Names(), Bit(1, 15), Lengths(1)
    kinds_told: list[Kind] = []
    for at in range(_count(coder, count, len(kinds))):
        kind = kinds[at] if kinds else ("", "")
        if coder.bit(known, int(kind in KNOWN)):
            place = places.natural(coder, KNOWN.index(kind) if kind in KNOWN else 0)
            if place >= len(KNOWN):
                raise BatchError("the batch holds a quantity that this version does not know; update the kit")
            kinds_told.append(KNOWN[place])
        else:
            kinds_told.append((labels.code(coder, kind[0]), labels.code(coder, kind[1])))
    return devices_told, kinds_told


def _count(coder: Coder, lengths: Lengths, count: int) -> int:
    told = lengths.natural(coder, count)
    if told > MAX_NAMES:
        raise BatchError(f"the batch claims {told} names")
    return told
