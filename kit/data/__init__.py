"""Recorded data that ships with the kit, for `kit run --sim`, the documentation and the tests. See README.md there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from importlib.resources import as_file, files

from kit.weather_file import WeatherRow, read_weather


@dataclass(frozen=True, kw_only=True)
class FrostNight:
    """A recorded spring night with frost, with the weeks before it and three days after.

    Attributes:
        place: for people.
        latitude, longitude: degrees north and east.
        elevation_m: metres above sea level.
        timezone: IANA name.
        night: local date of the sunrise.
        start_s: 15:00 local time the day before, where a simulation begins; Unix seconds.
        sunrise_s: Unix seconds.
        rows: hourly observations, oldest first.
    """

    place: str
    latitude: float
    longitude: float
    elevation_m: float
    timezone: str
    night: date
    start_s: float
    sunrise_s: float
    rows: tuple[WeatherRow, ...]

    @property
    def end_s(self) -> float:
        """The last observation, Unix seconds."""
        return float(self.rows[-1].at_s)


def load_frost_night() -> FrostNight:
    """The night that ships."""
    folder = files("kit.data")
    told = json.loads((folder / "frost-night.json").read_text(encoding="utf-8"))
    with as_file(folder / told["file"]) as file:
        rows = tuple(read_weather(file))
    return FrostNight(
        place=told["place"],
        latitude=float(told["latitude"]),
        longitude=float(told["longitude"]),
        elevation_m=float(told["elevation_m"]),
        timezone=told["timezone"],
        night=date.fromisoformat(told["night"]),
        start_s=datetime.fromisoformat(told["start_utc"]).timestamp(),
        sunrise_s=datetime.fromisoformat(told["sunrise_utc"]).timestamp(),
        rows=rows,
    )
