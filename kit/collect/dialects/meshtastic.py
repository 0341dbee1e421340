"""Meshtastic: telemetry of the nodes of a mesh, as JSON over MQTT and as it comes out of the radio.

A radio with MQTT publishes `<root>/2/json/<channel>/<gateway>`; `from` is the node that measured. The same packets
reach the kit over its own radio without any MQTT: `read_metrics` is what both share.

Firmware before 2.6 writes 0 for every sensor that a node does not have. A humidity or pressure of 0 gives it away; then
a 0 counts as nothing measured, except a temperature beside a real humidity or pressure: that is frost.
"""

from __future__ import annotations

from collections.abc import Mapping
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
)
from kit.collect.dialects.reading import number, observe, read_object, subobject, text, time_of

FIELDS: dict[str, tuple[str, str]] = {
    "battery_level": ("battery_level", "%EL"),
    "channel_utilization": ("channel_utilization", "%"),
    "air_util_tx": ("air_util_tx", "%"),
    "temperature": ("temperature", "Cel"),
    "relative_humidity": ("humidity", "%RH"),
    "barometric_pressure": ("pressure", "hPa"),
    "lux": ("illuminance", "lx"),
    "wind_speed": ("wind_speed", "m/s"),
    "wind_gust": ("wind_gust", "m/s"),
    "wind_direction": ("wind_direction", "deg"),
    "rainfall_1h": ("rain", "mm"),
    "soil_moisture": ("soil_moisture", "%"),
    "soil_temperature": ("soil_temperature", "Cel"),
    "pm25_standard": ("pm2_5", "ug/m3"),
    "pm10_standard": ("pm1", "ug/m3"),  # telemetry.proto: pm10 is PM1.0, pm100 is PM10
    "pm100_standard": ("pm10", "ug/m3"),
    "co2": ("co2", "ppm"),
    "distance": ("distance", "mm"),
    "radiation": ("radiation", "uR/h"),
    "current": ("current", "mA"),
    "gas_resistance": ("gas_resistance", "MOhm"),
}
"""Fields of telemetry.proto → the kit's quantity and the unit that telemetry.proto gives."""

_PROOF = ("relative_humidity", "barometric_pressure")
_PLUGGED_IN = 100
"""A battery level above is how a node says that it hangs on a charger."""


class MeshtasticDialect(BelowPrefix):
    """See the module."""

    name = "meshtastic"
    prefix = "msh"
    guide = Guide(
        title="Meshtastic",
        what="LoRa nodes with Meshtastic firmware, with or without a weather sensor (BME280, SHT31, DFRobot Lark)",
        where="the app of the node that has Wi-Fi: Module configuration → MQTT",
        reads="`<root topic>/2/json/…` of type telemetry; telemetry that the kit's own radio hears, without MQTT",
        parts="by their node number: `mesh/da741924`",
        notes=(
            "Switch “JSON enabled” on, and “Uplink enabled” for the channel. The nRF52 boards have no JSON.",
            "Nodes that the kit's own radio hears need nothing of this: they appear as `mesh/…` by themselves.",
        ),
        sources=(
            "https://meshtastic.org/docs/software/integrations/mqtt/",
            "https://github.com/meshtastic/protobufs/blob/master/meshtastic/telemetry.proto",
        ),
    )

    def settings(self, base: str, access: Access) -> list[Setting]:
        """The fields of the app; the client id is the node's own."""
        return [
            Setting("MQTT enabled", "on"),
            Setting("Server address", f"{access.host}:{access.port}"),
            Setting("Username", access.username),
            Setting("Password", access.password),
            Setting("Encryption enabled", "off"),
            Setting("JSON enabled", "on"),
            Setting("Root topic", base),
        ]

    def recognise(self, topic: str, payload: bytes) -> str | None:
        """By the version and kind of its topics."""
        del payload
        for kind in ("/2/json/", "/2/e/", "/2/stat/", "/2/map/"):
            root, found, _ = topic.partition(kind)
            if found and root:
                return root
        return None

    def parse(self, heard: Heard) -> Parsed:
        """Read a telemetry message."""
        levels = (heard.below or "").split("/")
        if "json" not in levels:
            return NOTHING  # the same packet, encrypted or as protobuf
        told = read_object(heard.payload)
        if text(told, "type") != "telemetry":
            return NOTHING
        sender = told.get("from")
        if not isinstance(sender, int) or isinstance(sender, bool) or not 0 < sender < 2**32:
            raise DialectError("the message does not say which node it is from")
        metrics = subobject(told, "payload")
        return Parsed(read_metrics(metrics, node=sender, time_s=time_of(told.get("timestamp"))))


DIALECT = MeshtasticDialect()


def node_name(node: int) -> str:
    """A node's number as its makers write it, without the exclamation mark."""
    return f"{node:08x}"


def read_metrics(metrics: Mapping[str, Any], *, node: int, time_s: float | None) -> list[Observation]:
    """The observations of a group of metrics.

    Args:
        metrics: fields of telemetry.proto by their names.
        node: the node that measured.
        time_s: when, Unix seconds; None = it does not know.
    """
    values = {field: value for field, told in metrics.items() if (value := number(told)) is not None}
    if any(values.get(field) == 0 for field in _PROOF):
        measured = any(values.get(field) for field in _PROOF)
        values = {field: value for field, value in values.items() if value or (measured and field == "temperature")}
    found = []
    for field, value in values.items():
        quantity, unit = FIELDS.get(field, ("", ""))
        if field == "voltage":
            # device metrics know the battery; the same word of a power sensor is what it measures
            quantity, unit = ("battery_voltage" if "battery_level" in metrics else "voltage"), "V"
        if not quantity or (field == "battery_level" and value > _PLUGGED_IN) or (field == "voltage" and value <= 0):
            continue
        found.append(observe(field, value, unit=unit, quantity=quantity, part=node_name(node), time_s=time_s))
    return found
