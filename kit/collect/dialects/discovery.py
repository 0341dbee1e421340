"""Home Assistant's MQTT discovery: what a device says about its own topics, before it says anything on them.

On `homeassistant/<component>/[<node>/]<object>/config` stands JSON with `state_topic`, `unit_of_measurement`,
`device_class` and a `value_template`, each also under a short name. Learned from it is one line of JSON per sensor.
Of the template language only the way to a value is understood (`{{ value_json.boiler.temp }}`); a template that
calculates would give wrong values in silence, so such a sensor is named as not understood.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from kit.collect.dialects.port import NOTHING, DialectError, Heard, Observation, Parsed
from kit.collect.dialects.reading import meaning, number, observe, read_object, subobject, text
from kit.model.quantities import plain_name

PREFIX = "homeassistant/"
_SENSORS = frozenset({"sensor", "number"})
MAX_KEY, MAX_VALUE = 256, 600
"""Of what is learned, in characters."""

MAX_DEPTH = 8
"""Levels of JSON between a message and its value."""

_CLASSES = {
    "temperature": "temperature",
    "humidity": "humidity",
    "pressure": "pressure",
    "atmospheric_pressure": "pressure",
    "battery": "battery_level",
    "voltage": "voltage",
    "current": "current",
    "power": "power",
    "energy": "energy",
    "frequency": "frequency",
    "illuminance": "illuminance",
    "irradiance": "solar_radiation",
    "wind_speed": "wind_speed",
    "precipitation": "rain_total",
    "precipitation_intensity": "rain_rate",
    "moisture": "soil_moisture",
    "carbon_dioxide": "co2",
    "pm25": "pm2_5",
    "pm10": "pm10",
    "signal_strength": "signal",
}
"""https://www.home-assistant.io/integrations/sensor/#device-class → the kit's quantities."""

_ROOT = "value_json"
_STEP = r"""(?:\.[A-Za-z_]\w{0,63}|\[\s*(?:'[^'\]]{1,64}'|"[^"\]]{1,64}"|\d{1,3})\s*\])"""
_TEMPLATE = re.compile(
    r"\{\{-?\s*(?:value|" + _ROOT + "(" + _STEP + r"*))\s*"
    r"(?:\|\s*(?:float|int|round|default|is_defined)\s*(?:\([^(){}]{0,20}\))?\s*)*"
    # `x if x is defined else 0` is the value or a stand-in
    r"(?:if\s+[^{}]{1,200}\s+else\s+[^{}]{1,60})?\s*-?\}\}"
)
_STEPS = re.compile(_STEP)


class Sensor(NamedTuple):
    """What a discovery message says of one sensor.

    Attributes:
        topic: where its values come.
        path: the way through the JSON there; empty = the payload is the number.
        unit, device_class, name: as the device has them.
    """

    topic: str
    path: tuple[str, ...]
    unit: str
    device_class: str
    name: str


def is_discovery(topic: str) -> bool:
    """Whether it is a discovery topic."""
    return topic.startswith(PREFIX) and topic.endswith("/config")


def learn(heard: Heard) -> Parsed:
    """What a discovery message teaches; keys are its topic (and component), values one `Sensor` each.

    Raises:
        DialectError: it is no JSON object.
    """
    component = heard.topic.split("/")[1]
    own = [key for key in heard.known if key == heard.topic or key.startswith(f"{heard.topic}#")]
    forgotten = dict.fromkeys(own, "")
    if not heard.payload:
        return Parsed((), (), forgotten) if forgotten else NOTHING
    if component not in _SENSORS and component != "device":
        return NOTHING
    told = read_object(heard.payload)
    learned: dict[str, str] = dict(forgotten)
    ignored: list[str] = []
    for key, config in _configs(heard.topic, told, component):
        try:
            sensor = _sensor(config, fallback=key.removesuffix("/config").rpartition("/")[2])
        except DialectError as error:
            ignored.append(str(error))
            continue
        packed = json.dumps(sensor, ensure_ascii=False)
        if len(key) <= MAX_KEY and len(packed) <= MAX_VALUE:
            learned[key] = packed
    return Parsed((), ignored, {key: value for key, value in learned.items() if heard.known.get(key, "") != value})


def all_sensors(known: Mapping[str, str]) -> list[Sensor]:
    """The sensors that were learned."""
    return [sensor for sensor in map(_unpack, known.values()) if sensor is not None]


def announced(topic: str, payload: bytes) -> list[Sensor]:
    """The sensors of one discovery message; none if it cannot be read."""
    try:
        learned = learn(Heard(topic, payload, None)).learned
    except DialectError:
        return []
    return all_sensors(learned)


def read_state(heard: Heard) -> Parsed:
    """Read a message by what was learned; NOTHING if nothing was learned about its topic.

    Raises:
        DialectError: it is not what the discovery said.
    """
    everything = all_sensors(heard.known)
    sensors = [sensor for sensor in everything if sensor.topic == heard.topic]
    if not sensors or not heard.payload:
        return NOTHING
    told: Any = None
    if any(sensor.path for sensor in sensors):
        told = read_object(heard.payload)
    observations = []
    for sensor in sensors:
        plain = heard.payload[:64].decode("utf-8", "replace").strip() if not sensor.path else _walk(told, sensor.path)
        found = number(plain)
        if found is not None:
            observations.append(observe_as(sensor, found, everything))
    return Parsed(observations)


def observe_as(sensor: Sensor, value: float, others: Sequence[Sensor]) -> Observation:
    """The value under the name of its sensor, or under its class with the name as label.

    A chip's name before the quantity (`BME280 Temperature`) is a label only where another chip measures the same.

    Args:
        sensor: whose value it is.
        value: finite.
        others: all sensors of the device.
    """
    named = meaning(sensor.name)
    if named is not None:
        return observe(sensor.name, value, unit=sensor.unit)
    chip = _chip(sensor.name)
    if chip is not None:
        quantity, label = chip
        alone = sum(_quantity(other) == quantity for other in others) == 1
        return observe(sensor.name, value, unit=sensor.unit, quantity=quantity, label="" if alone else label)
    if sensor.device_class not in _CLASSES:
        return observe(sensor.name, value, unit=sensor.unit)
    return observe(sensor.name, value, unit=sensor.unit, quantity=_CLASSES[sensor.device_class], label=sensor.name)


_CHIP = re.compile(
    r"((?:bm[ep]\d{3}|dht\d\d|am23\d\d|sht\w{2,3}|si70\d\d|htu\d\d\w?|aht\d\d|hdc\d{4}|ds18b20|lm75\w?|mcp9808"
    r"|tmp\d{3}|bh1750|tsl\d{4}|veml\d{4}|ms5611|lps\d\d\w{0,2}|scd\d\dx?|mh_?z19\w?|pms\w{4,5}|sds011)\w?)_(.+)"
)
"""Chips that stand before the quantity in the names people give their sensors."""


def _chip(name: str) -> tuple[str, str] | None:
    """The quantity behind a chip's name, and the chip."""
    found = _CHIP.fullmatch(plain_name(name))
    meant = meaning(found[2]) if found is not None else None
    return None if found is None or meant is None else (meant.quantity, found[1])


def _quantity(sensor: Sensor) -> str | None:
    named, chip = meaning(sensor.name), _chip(sensor.name)
    if named is not None:
        return None if named.label else named.quantity
    return chip[0] if chip is not None else None


def _configs(topic: str, told: dict[str, Any], component: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if component != "device":
        yield topic, told
        return
    # one message for all sensors of a device, since Home Assistant 2024.11
    shared = {key: value for key, value in told.items() if key not in {"components", "cmps"}}
    for name, config in (subobject(told, "components") or subobject(told, "cmps")).items():
        if isinstance(config, dict) and text(config, "platform", "p") in _SENSORS:
            yield f"{topic}#{name}", {**shared, "name": name, **config}


def _sensor(config: dict[str, Any], *, fallback: str) -> Sensor:
    root = text(config, "~")
    topic = text(config, "state_topic", "stat_t")
    if topic.startswith("~"):
        topic = root + topic[1:]
    elif topic.endswith("~"):
        topic = topic[:-1] + root
    name = text(config, "name") or text(config, "object_id", "obj_id") or fallback
    template = text(config, "value_template", "val_tpl")
    if not topic:
        raise DialectError(f"the discovery of '{name[:60]}' names no state_topic")
    path: tuple[str, ...] = ()
    if template:
        found = _TEMPLATE.fullmatch(template.strip())
        if found is None:
            raise DialectError(
                f"the discovery of '{name[:60]}' calculates its value ({template[:80]}); only plain values are read"
            )
        path = tuple(step.strip(".[]'\" ") for step in _STEPS.findall(found[1] or ""))
        if len(path) > MAX_DEPTH:
            raise DialectError(f"the value of '{name[:60]}' lies {len(path)} levels deep; at most {MAX_DEPTH} are read")
    unit = text(config, "unit_of_measurement", "unit_of_meas")
    return Sensor(topic, path, unit, text(config, "device_class", "dev_cla"), name)


def _walk(told: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if isinstance(told, dict):
            told = told.get(step)
        elif isinstance(told, list) and step.isdecimal() and int(step) < len(told):
            told = told[int(step)]
        else:
            return None
    return told


@lru_cache(maxsize=4096)
def _unpack(packed: str) -> Sensor | None:
    try:
        told = json.loads(packed)
    except (ValueError, RecursionError):
        return None  # learned by another dialect
    if not isinstance(told, list) or len(told) != len(Sensor._fields) or not isinstance(told[1], list):
        return None
    topic, path, unit, device_class, name = told
    if not all(isinstance(word, str) for word in (topic, unit, device_class, name, *path)):
        return None
    return Sensor(topic, tuple(path), unit, device_class, name)
