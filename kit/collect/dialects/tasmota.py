"""Tasmota: JSON on `tele/<topic>/SENSOR` and `STATE`, and the same as answers on `stat/<topic>/STATUS8|10|11`.

A message names each sensor chip and, under it, each value (`{"BME280": {"Temperature": 8.2}}`); the units of all chips
stand at its end (`TempUnit`, `PressureUnit`, `SpeedUnit`). `Time` is local time without a zone, so it is not used.
Where two chips measure the same, each gets a series of its own (`temperature:bme280`), also while one of them says
`null`: else the other's series would change its name when a lead breaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kit.collect.dialects.port import (
    NOTHING,
    Access,
    Guide,
    Heard,
    Observation,
    Parsed,
    Setting,
    plain_settings,
)
from kit.collect.dialects.reading import meaning, number, observe, read_object, repeated, subobject
from kit.model.grants import ALERTS, Grants

_WORDS = {
    "Temperature": "TempUnit",
    "DewPoint": "TempUnit",
    "Pressure": "PressureUnit",
    "SeaPressure": "PressureUnit",
    "Speed": "SpeedUnit",
}
"""Which of a message's unit fields holds for a value."""

_NAMES = {
    ("ENERGY", "Total"): ("energy_total", "kWh"),
    ("ENERGY", "Factor"): ("power_factor", ""),
    ("TX23", "Speed.Act"): ("wind_speed", "SpeedUnit"),
    ("TX23", "Speed.Max"): ("wind_gust", "SpeedUnit"),
    ("TX23", "Dir.Deg"): ("wind_direction", "deg"),
    ("", "CarbonDioxide"): ("co2", "ppm"),
    ("", "PM2.5"): ("pm2_5", "ug/m3"),
    ("", "PM10"): ("pm10", "ug/m3"),
    ("", "Moisture"): ("soil_moisture", "%"),
}
"""Values whose Tasmota name says something else, by chip ("" = any): the kit's name, and the unit or its field."""

_DEFAULT_UNITS = {"TempUnit": "C", "PressureUnit": "hPa", "SpeedUnit": "km/h"}
_CHIPS_OWN = ("ESP32",)
"""Chips whose temperature is their own, not the air's."""

_NO_SENSOR = frozenset({"Wifi", "Berry", "Ethernet", "Hostname"})
_SKIPPED = frozenset({"Id", "Address", "TotalStartTime", "Period", "Index", "Channel"})
_READ = frozenset({"SENSOR", "STATE", "STATUS8", "STATUS10", "STATUS11"})


class _Value(NamedTuple):
    chip: str
    name: str
    value: Any


class TasmotaDialect:
    """See the module."""

    name = "tasmota"
    guide = Guide(
        title="Tasmota",
        what="sensors and plugs with an ESP chip that run Tasmota, such as Sonoff TH, Athom plugs, NodeMCU boards",
        where="the device's own page: Configuration → Configure MQTT (and Configure Other, MQTT enabled)",
        reads="`tele/…/SENSOR` and `tele/…/STATE`; `stat/…/STATUS8`, `STATUS10` and `STATUS11` when asked",
        notes=(
            "°C or °F, hPa, mmHg or inHg, and the unit of speed are taken from the message.",
            "`TelePeriod 60` in its console sends a reading a minute instead of every five.",
        ),
        sources=("https://tasmota.github.io/docs/MQTT/", "https://tasmota.github.io/docs/JSON-Status-Responses/"),
    )

    def base(self, name: str) -> str:
        """Its Topic."""
        return name

    def grants(self, base: str) -> Grants:
        """What `%prefix%/%topic%/` makes of it, and the discovery that it sends at every start."""
        return Grants(
            publish=(f"tele/{base}/#", f"stat/{base}/#"),
            hear=("tasmota/discovery/#", "homeassistant/#"),
            read=(f"cmnd/{base}/#", "cmnd/tasmotas/#", ALERTS),
        )

    def settings(self, base: str, access: Access) -> list[Setting]:
        """The fields of its page Configure MQTT."""
        return plain_settings(access, base, Setting("Topic", base), Setting("Full Topic", "%prefix%/%topic%/"))

    def recognise(self, topic: str, payload: bytes) -> str | None:
        """By the prefix and the last word."""
        del payload
        levels = topic.split("/")
        known = len(levels) == 3 and levels[0] in {"tele", "stat"} and levels[2].isupper()  # noqa: PLR2004 - tele/x/Y
        return levels[1] if known else None

    def parse(self, heard: Heard) -> Parsed:
        """Read SENSOR, STATE and their like; everything else is an answer to somebody's command."""
        if heard.below not in _READ:
            return NOTHING
        told = read_object(heard.payload)
        told = subobject(told, "StatusSNS") or subobject(told, "StatusSTS") or told
        if heard.below in {"STATE", "STATUS11"}:
            return Parsed(list(_state(told)))
        values = list(_values(told))
        meant = {value: _meaning(value, told) for value in values}
        several = repeated(name for value, (name, _) in meant.items() if not value.chip.startswith(_CHIPS_OWN))
        observations: list[Observation] = []
        ignored: list[str] = []
        for value, (name, unit) in meant.items():
            found = number(value.value)
            if found is None:
                if value.value is None:
                    ignored.append(f"the {value.chip} gives no {value.name}; check the chip and its lead")
                continue
            own = name in several or value.chip.startswith(_CHIPS_OWN)
            observations.append(observe(name, found, unit=unit, label=value.chip if own else ""))
        return Parsed(observations, ignored)


DIALECT = TasmotaDialect()


def _values(told: Mapping[str, Any]) -> Iterator[_Value]:
    for chip, held in told.items():
        if not isinstance(held, dict) or chip in _NO_SENSOR:
            continue
        for name, value in held.items():
            if name in _SKIPPED:
                continue
            if isinstance(value, dict):
                yield from (_Value(chip, f"{name}.{under}", deep) for under, deep in value.items() if _is_plain(deep))
            elif isinstance(value, list):
                yield from (_Value(chip, f"{name}{at}", one) for at, one in enumerate(value, start=1) if _is_plain(one))
            elif _is_plain(value):
                yield _Value(chip, name, value)


def _is_plain(value: Any) -> bool:
    return (
        value is None or (isinstance(value, int | float) and not isinstance(value, bool)) or number(value) is not None
    )


def _meaning(value: _Value, told: Mapping[str, Any]) -> tuple[str, str]:
    """The kit's name and the device's unit of a value."""
    chip = value.chip.partition("-")[0]
    known = _NAMES.get((chip, value.name)) or _NAMES.get(("TX23" if chip == "TX20" else "", value.name))
    name, unit = known or (value.name, _WORDS.get(value.name.partition(".")[0], ""))
    if unit in _DEFAULT_UNITS:
        spoken = told.get(unit)
        unit = spoken if isinstance(spoken, str) else _DEFAULT_UNITS[unit]
    found = meaning(name)
    return (name if found is None or found.label else found.quantity), unit


def _state(told: Mapping[str, Any]) -> Iterator[Observation]:
    volts = number(told.get("Vcc"))
    if volts is not None:
        yield observe("voltage", volts, unit="V", label="supply")
    signal = number(subobject(told, "Wifi").get("Signal"))
    if signal is not None:
        yield observe("signal", signal, unit="dBm")
