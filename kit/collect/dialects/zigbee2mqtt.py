"""Zigbee2MQTT: a gateway that publishes each of its devices as JSON on `<base>/<friendly name>`.

`voltage` is millivolts where a device has a battery and volts where it hangs on the mains. Everything below
`<base>/bridge` is about the gateway itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kit.collect.dialects.port import (
    NOTHING,
    Access,
    BelowPrefix,
    Guide,
    Heard,
    Observation,
    Parsed,
    Setting,
    plain_settings,
)
from kit.collect.dialects.reading import meaning, number, observe, part_name, read_number, read_object

PREFIX = "zigbee2mqtt"
_NOT_READINGS = frozenset({"set", "get", "availability", "action"})
_SKIPPED = frozenset(
    {"update_available", "update", "last_seen", "elapsed", "device", "power_outage_count", "trigger_count"}
)
_UNITS = {"energy": "kWh", "pm25": "ug/m3", "pm10": "ug/m3"}
MILLIVOLTS_ABOVE = 1000.0
"""No battery and no mains has so many volts."""


class Zigbee2MqttDialect(BelowPrefix):
    """See the module."""

    name = "zigbee2mqtt"
    prefix = PREFIX
    hear = ("homeassistant/#",)
    read = ("homeassistant/status",)
    guide = Guide(
        title="Zigbee2MQTT",
        what="Zigbee sensors of any maker (Aqara, Sonoff SNZB, Tuya, IKEA) behind a Zigbee stick and Zigbee2MQTT",
        where="its page: Settings → MQTT, or `mqtt:` in its configuration.yaml",
        reads="`<base topic>/<friendly name>`, as JSON or with `output: attribute`",
        parts="by their friendly names: `gate/weather_guest_room`",
        notes=("Set a client ID: it makes up a new one at every start otherwise, and cannot keep its session.",),
        sources=("https://www.zigbee2mqtt.io/guide/usage/mqtt_topics_and_messages.html",),
    )

    def settings(self, base: str, access: Access) -> list[Setting]:
        """The fields of its page."""
        server = Setting("MQTT server", f"mqtt://{access.host}:{access.port}")
        return [server, *plain_settings(access, base.replace("/", "-"), Setting("Base topic", base))]

    def recognise(self, topic: str, payload: bytes) -> str | None:
        """By its usual base topic."""
        del payload
        return PREFIX if topic.startswith(f"{PREFIX}/") else None

    def parse(self, heard: Heard) -> Parsed:
        """Read a device's state."""
        levels = (heard.below or "").split("/")
        if not levels[0] or levels[0] == "bridge" or levels[-1] in _NOT_READINGS or not heard.payload:
            return NOTHING
        plain = read_number(heard.payload)
        if plain is not None and len(levels) > 1 and meaning(levels[-1]) is not None:
            told: Mapping[str, Any] = {levels[-1]: plain}
            levels.pop()
        elif not heard.payload.lstrip().startswith(b"{") and len(levels) > 1:
            return NOTHING  # one attribute that is no number
        else:
            told = read_object(heard.payload)
        part = part_name("_".join(levels))
        return Parsed([found for key, value in told.items() for found in _observe(key, value, told, part)])


DIALECT = Zigbee2MqttDialect()


def _observe(key: str, value: Any, told: Mapping[str, Any], part: str) -> list[Observation]:
    found = number(value)
    if found is None or key in _SKIPPED:
        return []
    quantity, unit = None, _UNITS.get(key, "")
    if key == "voltage":
        quantity = "battery_voltage" if "battery" in told or found > MILLIVOLTS_ABOVE else None
        unit = "mV" if found > MILLIVOLTS_ABOVE else "V"
    elif key == "linkquality":
        quantity = "linkquality"
    return [observe(key, found, unit=unit, quantity=quantity, part=part)]
