"""The site's own history: what the kit's store holds of one device, as the forecast takes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kit.model.messages import MESH
from kit.model.readings import Quality
from kit.store.devices import list_devices
from kit.store.readings import Span, count_readings, find_readings, spans

if TYPE_CHECKING:
    from village_apps.frost.series import Observation

HISTORY_MS = 400 * 86_400_000
"""A year and a month: last year's season is worth remembering, older sensors and trees are not."""

NOT_USED = (
    Quality.IMPOSSIBLE | Quality.TIME_GUESSED | Quality.TIME_DOUBTFUL | Quality.UNIT_UNKNOWN | Quality.INCONSISTENT
)
"""A value that stood still for hours may be fog; what is really stuck, `Series` decides over a longer time."""

FIELDS = {
    "temperature": "temperature_c",
    "dew_point": "dew_point_c",
    "humidity": "humidity",
    "wind_speed": "wind_ms",
    "wind_direction": "wind_dir_deg",
    "cloud_cover": "sky_oktas",
    "pressure": "pressure_hpa",
    "rain": "rain_mm",
}
"""Quantity in the store → field of an `Observation` (humidity becomes a dew point)."""

OKTAS_PER_PERCENT = 8 / 100


_HYGROMETERS = ("sht", "bme", "am2", "dht", "aht", "hdc", "htu", "si7", "hyt", "air", "outdoor", "outside")
"""How labels begin of chips that measure the air's moisture too, and therefore hang in the air."""

_NOT_THE_AIR = (
    *("ds18", "soil", "water", "ground", "probe", "pipe", "tank", "fridge", "inside", "indoor", "room"),
    *("esp32", "cpu", "chip", "board", "switch", "light", "cover", "supply", "battery", "internal", "device"),
)
"""How labels begin of probes on a wire and of the heat of the device itself; only where there is nothing else."""


def choose_device(connection: sqlite3.Connection, wished: str) -> str | None:
    """The thermometer to forecast for, `device` or `device:label`: the one the settings name, else the best one.

    One that anybody could pretend to be (no password, or heard over the mesh) only where there is no other: a stranger
    must not be able to warn a village, or to keep it from being warned. Of those, one that is its device's only one,
    or by its label hangs in the air, comes before other chips and probes; and then the one with the longest record.
    """
    found = spans(connection, "temperature", labelled=True)
    if wished:
        from kit.model.quantities import series_of  # a large table; `kit status` asks for the names alone

        device, exactly = series_of(wished, "temperature")
        its = [span for span in found if span.device == device]
        if exactly != "temperature" or not its:
            return wished
        found = its
    unlocked = {MESH, *(device.name for device in list_devices(connection) if device.open)}
    best = min(found, key=lambda span: (span.device.partition("/")[0] in unlocked, _fitness(span)), default=None)
    if best is None:
        return None
    return _name(best)


def thermometers(connection: sqlite3.Connection) -> list[str]:
    """All that `[frost] device` could name, the one with the longest record first."""
    return [_name(span) for span in spans(connection, "temperature", labelled=True)]


def _name(span: Span) -> str:
    label = span.quantity.partition(":")[2]
    return f"{span.device}:{label}" if label else span.device


def _fitness(span: Span) -> int:
    """How likely it is that it measures the air; small is good."""
    label = span.quantity.partition(":")[2]
    if label.startswith(_NOT_THE_AIR):
        return 2
    return 0 if not label or label.startswith(_HYGROMETERS) else 1


def observations(connection: sqlite3.Connection, sensor: str, *, since_ms: int, until_ms: int) -> Iterator[Observation]:
    """What a sensor measured from `since_ms` to before `until_ms`, one observation per instant, oldest first.

    The air's temperature is that of `sensor` alone; what its chip or its device measures besides goes with it.
    """
    from kit.model.quantities import series_of

    device, temperature = series_of(sensor, "temperature")
    ours = {temperature: "temperature", **{name: name for name in FIELDS if name != "temperature"}}
    ours |= {series_of(sensor, name)[1]: name for name in FIELDS if name != "temperature"}
    at_ms: int | None = None
    fields: dict[str, float] = {}
    for reading in find_readings(connection, device=device, since_ms=since_ms, until_ms=until_ms):
        field = FIELDS.get(ours.get(reading.quantity, ""))
        # the kit's table of quantities has no cloud cover; it is kept as the device said it, in per cent
        doubt = reading.quality & int(NOT_USED) and field != "sky_oktas"
        if field is None or doubt:
            continue
        if at_ms is not None and reading.time_ms != at_ms:
            yield _observation(at_ms, fields)
            fields = {}
        at_ms = reading.time_ms
        if ":" in reading.quantity or field not in fields:  # the same chip before the rest of the device
            fields[field] = reading.value * OKTAS_PER_PERCENT if field == "sky_oktas" else reading.value
    if at_ms is not None:
        yield _observation(at_ms, fields)


def count_temperatures(connection: sqlite3.Connection, sensor: str, *, since_ms: int, until_ms: int) -> int:
    """How many temperatures the store holds of that time; more than were read means that some came in late."""
    from kit.model.quantities import series_of

    device, temperature = series_of(sensor, "temperature")
    return count_readings(
        connection, device=device, quantity=temperature, since_ms=since_ms, until_ms=until_ms, without=NOT_USED
    )


def _observation(at_ms: int, fields: dict[str, float]) -> Observation:
    from village_apps.frost.psychrometrics import dew_point_c
    from village_apps.frost.series import Observation

    known: dict[str, Any] = dict(fields)
    humidity = known.pop("humidity", None)
    if humidity is not None and "temperature_c" in known and "dew_point_c" not in known:
        known["dew_point_c"] = dew_point_c(known["temperature_c"], humidity)
    return Observation(at_s=at_ms / 1000, **known)
