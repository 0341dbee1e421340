"""What people read for the names and units of readings; pure. `/api/v1/series` has them as they are stored."""

from __future__ import annotations

from collections.abc import Callable

from kit.model.quantities import decimals
from village_apps.phrases import Phrase, phrase

NAMES: dict[str, Phrase] = {
    "temperature": phrase("temperature"),
    "dew_point": phrase("dew point"),
    "wet_bulb": phrase("wet bulb"),
    "soil_temperature": phrase("soil temperature"),
    "grass_temperature": phrase("grass temperature"),
    "water_temperature": phrase("water temperature"),
    "humidity": phrase("humidity"),
    "pressure": phrase("pressure"),
    "wind_speed": phrase("wind speed"),
    "wind_gust": phrase("wind gust"),
    "wind_direction": phrase("wind direction"),
    "rain": phrase("rain"),
    "rain_total": phrase("rain total"),
    "rain_rate": phrase("rain rate"),
    "snow_depth": phrase("snow depth"),
    "cloud_cover": phrase("cloud cover"),
    "solar_radiation": phrase("solar radiation"),
    "illuminance": phrase("illuminance"),
    "soil_moisture": phrase("soil moisture"),
    "leaf_wetness": phrase("leaf wetness"),
    "water_level": phrase("water level"),
    "co2": phrase("CO₂"),
    "pm2_5": phrase("fine dust (PM 2.5)"),
    "pm10": phrase("dust (PM 10)"),
    "battery_voltage": phrase("battery voltage"),
    "battery_level": phrase("battery level"),
    "voltage": phrase("voltage"),
    "current": phrase("current"),
    "power": phrase("power"),
    "energy": phrase("energy"),
    "frequency": phrase("frequency"),
    "signal": phrase("signal"),
}
"""By the name of the quantity; any other is shown as its device calls it."""

DEFINITIONS: dict[str, Phrase] = {
    "temperature": phrase("temperature of the air where the sensor hangs"),
    "dew_point": phrase("temperature at which the air would be saturated"),
    "wet_bulb": phrase("temperature of a wetted thermometer in moving air"),
    "soil_temperature": phrase("temperature of the soil at the depth of the probe"),
    "grass_temperature": phrase("temperature just above the grass, open to the sky"),
    "water_temperature": phrase("temperature of the water"),
    "humidity": phrase("relative humidity of the air over water"),
    "pressure": phrase("air pressure where the sensor is, not reduced to sea level"),
    "wind_speed": phrase("wind speed, averaged as the device does"),
    "wind_gust": phrase("largest wind speed since the device's last message"),
    "wind_direction": phrase("where the wind comes from, clockwise from north"),
    "rain": phrase("rain since the device's last message"),
    "rain_total": phrase("rain since the gauge was set to zero"),
    "rain_rate": phrase("how fast rain falls now"),
    "snow_depth": phrase("depth of snow on the ground"),
    "solar_radiation": phrase("radiation of sun and sky on a level surface"),
    "illuminance": phrase("brightness as the eye sees it"),
    "soil_moisture": phrase("water in the soil, as the probe scales it"),
    "leaf_wetness": phrase("how wet a leaf is, as the probe scales it"),
    "water_level": phrase("height of the water above the gauge's zero"),
    "co2": phrase("carbon dioxide in the air"),
    "pm2_5": phrase("mass of dust up to 2.5 micrometres in a cubic metre of air"),
    "pm10": phrase("mass of dust up to 10 micrometres in a cubic metre of air"),
    "battery_voltage": phrase("voltage of the device's battery"),
    "battery_level": phrase("charge of the device's battery"),
    "voltage": phrase("electric voltage"),
    "current": phrase("electric current"),
    "power": phrase("electric power"),
    "energy": phrase("electric energy, counted up"),
    "frequency": phrase("frequency"),
    "signal": phrase("strength at which the device's radio is received"),
}
"""What each means, as `kit.model.quantities` defines it for programs."""

_UNITS = {"Cel": "°C", "%RH": "%", "%EL": "%", "W/m2": "W/m²", "ug/m3": "µg/m³", "deg": "°"}


def plain_name(quantity: str, say: Callable[[Phrase], str]) -> str:
    """`soil_temperature:probe2` → `soil temperature (probe2)`, in the reader's language."""
    name, _, label = quantity.partition(":")
    known = NAMES.get(name)
    return (name.replace("_", " ") if known is None else say(known)) + (f" ({label})" if label else "")


def meaning(quantity: str) -> Phrase:
    """What a quantity is, in words; a name that the kit does not know is the device's own."""
    name, _, label = quantity.partition(":")
    told = DEFINITIONS.get(name, phrase("as the device names it; the kit has no definition"))
    return phrase("%(meaning)s (the device's '%(label)s')", meaning=told, label=label) if label else told


def plain_unit(symbol: str) -> str:
    """As people write it."""
    return _UNITS.get(symbol, symbol)


def figure(value: float | None, quantity: str) -> str:
    """A value with the digits its quantity is worth, and a real minus sign; a dash for none."""
    if value is None:
        return "–"
    digits = decimals(quantity)
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def shown(value: float, quantity: str, symbol: str) -> str:
    """`−7.1 °C`, `320°`: on one line."""
    gap = "" if symbol in {"deg", ""} else "\u00a0"
    return f"{figure(value, quantity)}{gap}{plain_unit(symbol)}"
