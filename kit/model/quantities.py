"""What can be measured, in which unit, between which limits: the kit's one table of quantities.

Units are SenML symbols: the primary ones of RFC 8428 §12.1 where people use them (`Cel`, `%RH`, `m/s`), the secondary
ones of RFC 8798 §3 where the primary would be unreadable (`hPa`, `mm`, `km`). Whatever unit a device speaks, a reading
of a known quantity is stored in the unit given here.

Limits are the fixed-value range checks for automatic weather stations, I. Zahumenský, "Guidelines on Quality Control
Procedures for Data from Automatic Weather Stations" (WMO, CBS/OPAG-IOS ET AWS-3, 2004), §II, which restates the
measurement ranges of WMO-No. 8 (CIMO Guide), Part I, Annex 1.B; what it does not list says so. The largest change in
a minute ("suspect" limits) is from the same guidelines. How long a value may stay the same before it counts as stuck
is the kit's own choice: the guidelines' 60 minutes suppose a research-grade resolution, a village sensor of 0.1 °C
rests longer in fog without being broken.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

HOUR_S = 3600
INFINITY = math.inf
MAX_NAME = 64
"""Longer names are cut: nobody reads them, and they would be sent with every batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One thing that can be measured.

    Attributes:
        name: as it is stored and shown.
        unit: SenML symbol it is stored in.
        low, high: what is physically possible; beyond is flagged, never dropped.
        resolution: the last digit worth showing.
        step_per_minute: a larger change between neighbouring readings is suspect; None = any change can happen.
        stuck_after_s: the same value for longer is suspect; None = it may stay the same for ever.
        rests_at_most, rests_at_least: values at or beyond which staying the same is natural (calm, night, fog).
        neighbour: the smallest deviation from the neighbours, beyond what is usual between them, that is worth a
            question (`kit.model.neighbourhood`); None = this quantity differs from one place to the next.
    """

    name: str
    unit: str
    low: float
    high: float
    resolution: float
    step_per_minute: float | None = None
    stuck_after_s: int | None = None
    rests_at_most: float = -INFINITY
    rests_at_least: float = INFINITY
    neighbour: float | None = None


def _q(name: str, unit: str, limits: tuple[float, float], resolution: float, **more: float | None) -> Quantity:
    stuck = more.pop("stuck_h", None)
    return Quantity(
        name=name,
        unit=unit,
        low=limits[0],
        high=limits[1],
        resolution=resolution,
        step_per_minute=more.pop("step", None),
        stuck_after_s=None if stuck is None else round(stuck * HOUR_S),
        **{key: value for key, value in more.items() if value is not None},
    )


_ALL = (
    _q("temperature", "Cel", (-80, 60), 0.1, step=3, stuck_h=6, neighbour=4),
    _q("dew_point", "Cel", (-80, 35), 0.1, step=4, stuck_h=6, neighbour=4),
    _q("wet_bulb", "Cel", (-80, 40), 0.1, step=4, stuck_h=6),
    _q("soil_temperature", "Cel", (-50, 50), 0.1, step=1, stuck_h=72, neighbour=5),
    _q("grass_temperature", "Cel", (-80, 80), 0.1, step=5, stuck_h=6),
    _q("water_temperature", "Cel", (-2, 60), 0.1, stuck_h=72),
    # saturated air reads 100 %RH for nights on end; cheap sensors stay at 95–99 there
    _q("humidity", "%RH", (0, 100), 1, step=15, stuck_h=6, rests_at_least=95, neighbour=20),
    _q("pressure", "hPa", (500, 1080), 0.1, step=2, stuck_h=12, neighbour=3),
    _q("wind_speed", "m/s", (0, 75), 0.1, stuck_h=12, rests_at_most=0.5),
    _q("wind_gust", "m/s", (0, 150), 0.1, stuck_h=12, rests_at_most=0.5),
    # a vane rests in a calm, and whether it is calm another series knows
    _q("wind_direction", "deg", (0, 360), 1),
    _q("rain", "mm", (0, 500), 0.1),
    _q("rain_total", "mm", (0, 100_000), 0.1),  # a gauge's running total: the kit's own limit
    _q("rain_rate", "mm/h", (0, 2000), 0.1),
    _q("snow_depth", "mm", (0, 25_000), 10),
    _q("solar_radiation", "W/m2", (0, 1600), 1, stuck_h=24, rests_at_most=5),
    _q("illuminance", "lx", (0, 200_000), 1, stuck_h=24, rests_at_most=5),  # full sun is about 120 klx
    _q("soil_moisture", "%", (0, 100), 1),
    _q("leaf_wetness", "%", (0, 100), 1),
    _q("water_level", "m", (-100, 1000), 0.01),
    _q("co2", "ppm", (0, 40_000), 1, stuck_h=12),
    _q("pm2_5", "ug/m3", (0, 10_000), 1, stuck_h=24, rests_at_most=2),
    _q("pm10", "ug/m3", (0, 10_000), 1, stuck_h=24, rests_at_most=2),
    # what follows is electrical, with limits that only catch nonsense
    _q("battery_voltage", "V", (0, 100), 0.01),
    _q("battery_level", "%EL", (0, 100), 1),
    _q("voltage", "V", (-100_000, 100_000), 0.01),
    _q("current", "A", (-10_000, 10_000), 0.001),
    _q("power", "W", (-1e8, 1e8), 1),
    _q("energy", "Wh", (-1e12, 1e12), 1),
    _q("frequency", "Hz", (0, 1e12), 0.01),
    _q("signal", "dBm", (-200, 40), 1),
)
QUANTITIES: dict[str, Quantity] = {quantity.name: quantity for quantity in _ALL}


@dataclass(frozen=True, slots=True)
class Ordered:
    """Of two values of one device at one time, `lower` is never above `upper` by more than `tolerance`."""

    lower: str
    upper: str
    tolerance: float
    blamed: str


ORDERED = (
    # Zahumenský §III.a and b; the tolerances are the accuracy of two cheap instruments side by side
    Ordered("dew_point", "temperature", 1.0, blamed="dew_point"),
    Ordered("wet_bulb", "temperature", 1.0, blamed="wet_bulb"),
    Ordered("dew_point", "wet_bulb", 1.0, blamed="dew_point"),
    Ordered("wind_speed", "wind_gust", 0.5, blamed="wind_gust"),
)
DEW_POINT_AGREES_WITHIN_C = 3.0
"""A device's own dew point and the one that its temperature and humidity make; ±5 %RH is ±1.5 °C at most humidities."""

_ALIASES = {
    "temperature": "t temp tempc temp_c temperature_c air_temperature airtemp air_temp outdoor_temperature out_temp "
    "ambient_temperature outside_temperature outside_temp temperature_outside tair ta",
    "dew_point": "dewpoint dew dew_point_c dewpoint_c td",
    "wet_bulb": "wetbulb tw",
    "soil_temperature": "soiltemp soil_temp tsoil",
    "grass_temperature": "grass_temp surface_temperature",
    "water_temperature": "watertemp water_temp",
    "humidity": "h hum rh relative_humidity humidity_percent air_humidity",
    "pressure": "p press baro barometer air_pressure atmospheric_pressure station_pressure barometric_pressure",
    "wind_speed": "windspeed wind wspd avg_wind_speed",
    "wind_gust": "windgust gust wind_speed_gust wind_max",
    "wind_direction": "winddir wind_dir wdir wind_bearing",
    "rain": "rainfall precipitation precip",
    "rain_total": "rainfall_total precipitation_total",
    "rain_rate": "rainrate rain_intensity",
    "snow_depth": "snow snowdepth",
    "solar_radiation": "solar irradiance global_radiation radiation shortwave",
    "illuminance": "lux light light_level",
    "soil_moisture": "soilmoisture soil_humidity moisture",
    "leaf_wetness": "leafwetness",
    "water_level": "waterlevel level river_level",
    "co2": "carbon_dioxide eco2",
    "pm2_5": "pm25",
    "battery_voltage": "vbat vbatt batt_v battery_v battery_volts",
    "battery_level": "battery batt battery_percent bat soc",
    "voltage": "volt volts",
    "current": "amps ampere",
    "power": "watt watts",
    "energy": "energy_total kwh",
    "signal": "rssi signal_strength",
}
_BY_NAME = {alias: name for name, aliases in _ALIASES.items() for alias in aliases.split()} | {
    name: name for name in QUANTITIES
}

_BY_UNIT = {
    "Cel": "temperature",
    "%RH": "humidity",
    "hPa": "pressure",
    "m/s": "wind_speed",
    "deg": "wind_direction",
    "mm": "rain",
    "mm/h": "rain_rate",
    "W/m2": "solar_radiation",
    "lx": "illuminance",
    "V": "voltage",
    "A": "current",
    "W": "power",
    "Wh": "energy",
    "%EL": "battery_level",
    "dBm": "signal",
    "ppm": "co2",
}
"""What an unnamed (or strangely named) value most likely is, by the unit the kit keeps it in."""

# Linear conversions: stored = told × factor + offset. Exact by definition (SI brochure; 1 in = 25.4 mm, 1 mi =
# 1609.344 m, 1 kn = 1852 m/h, 1 psi and inHg by NIST SP 811 appendix B).
_CONVERSIONS: dict[tuple[str, str], tuple[float, float]] = {
    ("K", "Cel"): (1.0, -273.15),
    ("degF", "Cel"): (5 / 9, -160 / 9),
    ("Pa", "hPa"): (0.01, 0.0),
    ("kPa", "hPa"): (10.0, 0.0),
    ("bar", "hPa"): (1000.0, 0.0),
    ("inHg", "hPa"): (33.86389, 0.0),
    ("mmHg", "hPa"): (1.33322387415, 0.0),
    ("psi", "hPa"): (68.947572932, 0.0),
    ("km/h", "m/s"): (1 / 3.6, 0.0),
    ("mph", "m/s"): (0.44704, 0.0),
    ("kn", "m/s"): (1852 / 3600, 0.0),
    ("ft/s", "m/s"): (0.3048, 0.0),
    ("rad", "deg"): (180 / math.pi, 0.0),
    ("m", "mm"): (1000.0, 0.0),
    ("cm", "mm"): (10.0, 0.0),
    ("in", "mm"): (25.4, 0.0),
    ("l/m2", "mm"): (1.0, 0.0),
    ("mm", "m"): (0.001, 0.0),
    ("cm", "m"): (0.01, 0.0),
    ("km", "m"): (1000.0, 0.0),
    ("ft", "m"): (0.3048, 0.0),
    ("in", "m"): (0.0254, 0.0),
    ("m/s", "mm/h"): (3_600_000.0, 0.0),
    ("in/h", "mm/h"): (25.4, 0.0),
    ("/", "%RH"): (100.0, 0.0),
    ("%", "%RH"): (1.0, 0.0),
    ("/", "%"): (100.0, 0.0),
    ("%RH", "%"): (1.0, 0.0),
    ("%EL", "%"): (1.0, 0.0),
    ("%", "%EL"): (1.0, 0.0),
    ("/", "%EL"): (100.0, 0.0),
    ("/", "ppm"): (1e6, 0.0),
    ("kW", "W"): (1000.0, 0.0),
    ("mW", "W"): (0.001, 0.0),
    ("mV", "V"): (0.001, 0.0),
    ("mA", "A"): (0.001, 0.0),
    ("kWh", "Wh"): (1000.0, 0.0),
    ("J", "Wh"): (1 / 3600, 0.0),
    ("kJ", "Wh"): (1 / 3.6, 0.0),
    ("kHz", "Hz"): (1000.0, 0.0),
    ("MHz", "Hz"): (1e6, 0.0),
    ("dBW", "dBm"): (1.0, 30.0),
}

_UNIT_SPELLINGS = {
    "°c": "Cel",
    "c": "Cel",
    "degc": "Cel",
    "deg c": "Cel",
    "celsius": "Cel",
    "cel": "Cel",
    "°f": "degF",
    "degf": "degF",
    "f": "degF",
    "fahrenheit": "degF",
    "[degf]": "degF",
    "kelvin": "K",
    "%rh": "%RH",
    "mbar": "hPa",
    "hpa": "hPa",
    "kmh": "km/h",
    "kph": "km/h",
    "[mi_i]/h": "mph",
    "mi/h": "mph",
    "kt": "kn",
    "knots": "kn",
    "kn": "kn",
    "°": "deg",
    "degrees": "deg",
    "inches": "in",
    "[in_i]": "in",
    "mm/hr": "mm/h",
    "w/m²": "W/m2",
    "w/m^2": "W/m2",
    "lux": "lx",
    "µg/m³": "ug/m3",
    "μg/m³": "ug/m3",
    "µg/m3": "ug/m3",
    "100": "%",
    "/100": "%",
    "percent": "%",
    "volt": "V",
    "watt": "W",
}
MAX_UNIT = 24
_UNSAFE = re.compile(r"[^a-z0-9_.]+")


def decimals(quantity: str) -> int:
    """How many digits after the point a value of it is worth; two for what the kit does not know."""
    known = quantity_named(quantity)
    return 2 if known is None else max(0, len(f"{known.resolution:g}".partition(".")[2]))


def quantity_named(name: str) -> Quantity | None:
    """The table's entry for a stored name; a label behind a colon (`temperature:probe2`) does not matter."""
    return QUANTITIES.get(name.partition(":")[0])


def series_of(sensor: str, quantity: str) -> tuple[str, str]:
    """Device and stored quantity of a sensor: `pump:sht3x` is the probe that the device `pump` labels `sht3x`."""
    device, _, label = sensor.partition(":")
    return device, f"{quantity}:{label}" if label else quantity


_DEFINITIONS = {
    "temperature": "temperature of the air where the sensor hangs",
    "dew_point": "temperature at which the air would be saturated",
    "wet_bulb": "temperature of a wetted thermometer in moving air",
    "soil_temperature": "temperature of the soil at the depth of the probe",
    "grass_temperature": "temperature just above the grass, open to the sky",
    "water_temperature": "temperature of the water",
    "humidity": "relative humidity of the air over water",
    "pressure": "air pressure where the sensor is, not reduced to sea level",
    "wind_speed": "wind speed, averaged as the device does",
    "wind_gust": "largest wind speed since the device's last message",
    "wind_direction": "where the wind comes from, clockwise from north",
    "rain": "rain since the device's last message",
    "rain_total": "rain since the gauge was set to zero",
    "rain_rate": "how fast rain falls now",
    "snow_depth": "depth of snow on the ground",
    "solar_radiation": "radiation of sun and sky on a level surface",
    "illuminance": "brightness as the eye sees it",
    "soil_moisture": "water in the soil, as the probe scales it",
    "leaf_wetness": "how wet a leaf is, as the probe scales it",
    "water_level": "height of the water above the gauge's zero",
    "co2": "carbon dioxide in the air",
    "pm2_5": "mass of dust up to 2.5 micrometres in a cubic metre of air",
    "pm10": "mass of dust up to 10 micrometres in a cubic metre of air",
    "battery_voltage": "voltage of the device's battery",
    "battery_level": "charge of the device's battery",
    "voltage": "electric voltage",
    "current": "electric current",
    "power": "electric power",
    "energy": "electric energy, counted up",
    "frequency": "frequency",
    "signal": "strength at which the device's radio is received",
}
"""For the data dictionary."""


def definition_of(name: str) -> str:
    """What a quantity is, in words; a name that is not of the table is the device's own."""
    plain, _, label = name.partition(":")
    told = _DEFINITIONS.get(plain, "as the device names it; the kit has no definition")
    return f"{told} (the device's '{label}')" if label else told


def units_converted(unit: str) -> list[str]:
    """The units that the kit converts into this one."""
    return sorted(told for told, kept in _CONVERSIONS if kept == unit)


def recognise_name(name: str) -> str | None:
    """The quantity that a device means by a name, or None. Case, spaces and hyphens do not matter."""
    return _BY_NAME.get(name) or _BY_NAME.get(plain_name(name))


def recognise_unit(unit: str) -> str | None:
    """The quantity a value in this unit most likely is, when its name says nothing."""
    unit = spell_unit(unit)
    if unit in _BY_UNIT:
        return _BY_UNIT[unit]
    for stored, name in _BY_UNIT.items():
        # "/" and "%" may be a ratio of anything, "m" a length of anything
        if unit not in {"/", "%", "m", "cm", "km", "J"} and (unit, stored) in _CONVERSIONS:
            return name
    return None


def plain_name(name: str) -> str:
    """The name in lower case with `_` for whatever is no letter, digit or dot, bounded; may be empty."""
    return _UNSAFE.sub("_", name.lower()).strip("_")[:MAX_NAME]


def spell_unit(unit: str) -> str:
    """The SenML symbol for a common other spelling (`°C` → `Cel`); what is not known stays, printable and bounded."""
    unit = unit.strip()
    return _UNIT_SPELLINGS.get(unit.lower()) or printable(unit)[:MAX_UNIT]


def printable(text: str) -> str:
    """The text with `?` for what a terminal might obey or a database refuse: control characters, lone surrogates."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)


def convert(value: float, unit: str, to: str) -> float | None:
    """The value in another unit, or None when the kit knows no way. An empty unit counts as the wanted one."""
    if unit == to or not unit:
        return value
    unit = spell_unit(unit)
    if unit == to:
        return value
    linear = _CONVERSIONS.get((unit, to))
    if linear is None:
        return None
    # twelve digits hide the dust of binary fractions (32 °F is 0 °C) and keep more than any sensor has
    return round(value * linear[0] + linear[1], 12) + 0.0
