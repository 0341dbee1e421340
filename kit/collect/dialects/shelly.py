"""Shelly of the second generation and later (Plus, Pro, Gen3, Gen4): RPC notifications, and status topics.

`<prefix>/events/rpc` carries `NotifyStatus` and `NotifyFullStatus` with a time (`params.ts`); `<prefix>/status/…`
carries the same of one component, without a time. A component is a kind and a number, `temperature:0`; from 100 on
they are the probes of an add-on. The temperature inside a relay is kept as its own, never as the air's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kit.collect.dialects.port import (
    NOTHING,
    Access,
    BelowPrefix,
    DialectError,
    Guide,
    Heard,
    Observation,
    Parsed,
    Setting,
    plain_settings,
)
from kit.collect.dialects.reading import number, observe, read_object, subobject, text, time_of

_FIELDS: dict[str, tuple[tuple[str, str | None, str], ...]] = {
    "temperature": (("tC", "temperature", "Cel"),),
    "humidity": (("rh", "humidity", "%RH"),),
    "illuminance": (("lux", "illuminance", "lx"),),
    "voltmeter": (("voltage", "voltage", "V"),),
    "devicepower": (("battery.V", "battery_voltage", "V"), ("battery.percent", "battery_level", "%EL")),
    "wifi": (("rssi", "signal", "dBm"),),
    "input": (("percent", None, "%"), ("xpercent", None, "")),
    "em": (
        ("total_act_power", "power", "W"),
        ("total_current", "current", "A"),
        ("a_voltage", "voltage", "V"),
        ("a_freq", "frequency", "Hz"),
    ),
    "emdata": (("total_act", "energy", "Wh"),),
}
_METER = (
    ("apower", "power", "W"),
    ("act_power", "power", "W"),
    ("voltage", "voltage", "V"),
    ("current", "current", "A"),
    ("freq", "frequency", "Hz"),
    ("aenergy.total", "energy", "Wh"),
    ("temperature.tC", "temperature", "Cel"),
)
"""What every switched or metering component has: the field, the kit's quantity, the unit."""

_METERING = frozenset({"switch", "light", "cover", "pm1", "em1", "em1data", "rgbw"})
_NOTIFICATIONS = frozenset({"NotifyStatus", "NotifyFullStatus"})


class ShellyDialect(BelowPrefix):
    """See the module."""

    name = "shelly"
    prefix = "shelly"
    hear = ("shellies/#",)
    read = ("shellies/command",)
    guide = Guide(
        title="Shelly Gen2 and later",
        what="Shelly Plus, Pro, Gen3 and Gen4 devices: H&T, Plus 1PM, Uni, with or without the sensor add-on",
        where="the device's own page: Settings → MQTT",
        reads="`<prefix>/events/rpc` (RPC status notifications), or `<prefix>/status/…` (generic status update)",
        notes=(
            "Switch “RPC status notifications over MQTT” on; leave “Generic status update” off, or all comes twice.",
            "Devices of the first generation (Shelly 1, H&T without Plus) speak otherwise and are not read.",
        ),
        sources=("https://shelly-api-docs.shelly.cloud/gen2/General/Notifications",),
    )

    def settings(self, base: str, access: Access) -> list[Setting]:
        """The fields of its page."""
        server = Setting("Server", f"{access.host}:{access.port}")
        return [server, *plain_settings(access, base.replace("/", "-"), Setting("MQTT prefix", base))]

    def recognise(self, topic: str, payload: bytes) -> str | None:
        """By what stands behind the prefix."""
        del payload
        for end in ("/events/rpc", "/online"):
            if topic.endswith(end):
                return topic[: -len(end)] or None
        before, status, component = topic.rpartition("/status/")
        return before if status and before and component.partition(":")[0] in _FIELDS.keys() | _METERING else None

    def parse(self, heard: Heard) -> Parsed:
        """Read a notification or a status."""
        if heard.below == "events/rpc":
            told = read_object(heard.payload)
            if text(told, "method") not in _NOTIFICATIONS:
                return NOTHING  # a button was pressed, an answer to a command
            params = told.get("params")
            if not isinstance(params, dict):
                raise DialectError("the notification has no 'params'")
            time_s = time_of(params.get("ts"))
            return Parsed([found for key, held in params.items() for found in _component(key, held, time_s)])
        if heard.below is not None and heard.below.startswith("status/"):
            component = heard.below.removeprefix("status/")
            return Parsed(list(_component(component, read_object(heard.payload), None)))
        return NOTHING


DIALECT = ShellyDialect()


def _component(key: str, held: Any, time_s: float | None) -> Iterator[Observation]:
    if not isinstance(held, dict):
        return
    kind, _, identity = key.partition(":")
    fields = _FIELDS.get(kind) or (_METER if kind in _METERING else ())
    for field, quantity, unit in fields:
        value = _value(held, field)
        if value is None:
            continue
        inside = field == "temperature.tC"
        label = "" if identity in {"", "0"} else identity
        yield observe(
            field,
            value,
            unit=unit,
            quantity=quantity or f"{kind}_{field}",
            label=f"{kind}{label}" if inside else label,
            time_s=time_s,
        )


def _value(held: Mapping[str, Any], field: str) -> float | None:
    first, _, second = field.partition(".")
    return number(subobject(held, first).get(second) if second else held.get(first))
