"""Where the village is, and when its nights begin and end.

A *night* is named by the local date of its sunrise. It is watched from 15:00 local time the day before until one hour
after sunrise: the minimum usually falls at sunrise, and in still air often some minutes later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kit.errors import UsageError

FIRST_ISSUE_HOUR = 15
"""Local hour of the first forecast: late enough to have seen the day's warmth, early enough to prepare."""

ISSUE_EVERY_S = 3600
AFTER_SUNRISE_S = 3600
"""How long after sunrise the air may still fall to its minimum."""

MOST_CLOCK_OFFSET_H = 4.0
"""Between the sun's noon and the clock's. The largest in use is about 3 h (western China, summer time in Galicia);
beyond this the time zone belongs to another place."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A site.

    Attributes:
        latitude: degrees north.
        longitude: degrees east.
        elevation_m: metres above sea level.
        timezone: IANA name.
    """

    latitude: float
    longitude: float
    elevation_m: float
    timezone: str

    def __post_init__(self) -> None:
        """Refuse what no place on Earth has.

        Raises:
            UsageError: the sentence names the value and its range.
        """
        _check("latitude", self.latitude, -90.0, 90.0, "degrees north; south is negative")
        _check("longitude", self.longitude, -180.0, 180.0, "degrees east; west is negative")
        _check("elevation", self.elevation_m, -450.0, 6500.0, "metres above sea level")
        try:
            zone = ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise UsageError(
                f"'{self.timezone}' is no time zone; use a name from the IANA list, for example Africa/Nairobi"
            ) from error
        offset = datetime(2024, 3, 20, 12, tzinfo=zone).utcoffset() or timedelta()
        apart = (offset.total_seconds() / 3600 - self.longitude / 15 + 12) % 24 - 12
        if abs(apart) > MOST_CLOCK_OFFSET_H:
            raise UsageError(
                f"longitude {self.longitude:g} does not fit the time zone {self.timezone} (the sun's noon is "
                f"{abs(apart):.0f} hours from the clock's); check its sign: west of Greenwich is negative"
            )

    @property
    def zone(self) -> ZoneInfo:
        """The time zone's rules."""
        return ZoneInfo(self.timezone)

    def local(self, at_s: float) -> datetime:
        """A Unix time as local time."""
        return datetime.fromtimestamp(at_s, UTC).astimezone(self.zone)


@dataclass(frozen=True, kw_only=True)
class Night:
    """One night at one place; Unix seconds.

    Attributes:
        date: local date of the sunrise.
        first_issue_s: 15:00 local time the day before.
        sunset_s: of the day before.
        sunrise_s: of `date`.
    """

    date: date
    first_issue_s: int
    sunset_s: float
    sunrise_s: float

    @property
    def end_s(self) -> float:
        """One hour after sunrise."""
        return self.sunrise_s + AFTER_SUNRISE_S

    @property
    def length_h(self) -> float:
        """From sunset to sunrise, hours."""
        return (self.sunrise_s - self.sunset_s) / 3600

    def issues(self) -> range:
        """The hourly issue times, from 15:00 local time to sunrise."""
        return range(self.first_issue_s, int(self.sunrise_s) + 1, ISSUE_EVERY_S)


class NoNightError(UsageError):
    """The sun does not set or does not rise there on that day.

    Attributes:
        day: whose sunrise would have ended the night.
    """

    def __init__(self, place: Place, day: date) -> None:
        super().__init__(
            f"at latitude {place.latitude:g} the sun does not rise and set every day around {day.isoformat()}; "
            "the frost forecast needs a sunset and a sunrise"
        )
        self.day = day


@lru_cache(maxsize=1024)
def night_of(place: Place, day: date) -> Night:
    """The night that ends with the sunrise of `day`.

    Sunrise and sunset (upper limb, standard refraction, good to about a minute) by astral, which follows NOAA's solar
    calculator.

    Raises:
        NoNightError: polar day or polar night.
    """
    from astral import Observer
    from astral.sun import sunrise, sunset

    observer, before = Observer(place.latitude, place.longitude), day - timedelta(days=1)
    try:
        rises, sets = sunrise(observer, day, tzinfo=place.zone), sunset(observer, before, tzinfo=place.zone)
    except ValueError as error:
        raise NoNightError(place, day) from error
    first = datetime(before.year, before.month, before.day, FIRST_ISSUE_HOUR, tzinfo=place.zone)
    return Night(date=day, first_issue_s=int(first.timestamp()), sunset_s=sets.timestamp(), sunrise_s=rises.timestamp())


def night_at(place: Place, at_s: float) -> Night:
    """The night that is watched at that time, or else the next one."""
    day = place.local(at_s).date()
    today = night_of(place, day)
    return today if at_s <= today.end_s else night_of(place, day + timedelta(days=1))


def nights_from(place: Place, at_s: float) -> Iterator[Night]:
    """The night watched at that time (or the next one), and all that follow."""
    night = night_at(place, at_s)
    while True:
        yield night
        night = night_of(place, night.date + timedelta(days=1))


def _check(name: str, value: float, least: float, most: float, unit: str) -> None:
    if not least <= value <= most:
        raise UsageError(f"{name} {value:g} is not possible; it lies between {least:g} and {most:g} ({unit})")
