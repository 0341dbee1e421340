"""Where a sensor stands, in a villager's words, and perhaps on the map."""

from __future__ import annotations

import math
from typing import NamedTuple

LONGEST = 60
"""Characters; the words stand beside a value on a phone."""

USUAL = ("field", "river bank", "room")
"""Offered first where a place is asked for."""


class PlaceError(ValueError):
    """The place cannot be used; the sentence says why."""


class Place(NamedTuple):
    """A place; every part may be unknown.

    Attributes:
        name: as people say it: "upper field", "river bank", "classroom 2".
        latitude, longitude: WGS 84 degrees; both or neither.
    """

    name: str = ""
    latitude: float | None = None
    longitude: float | None = None

    @classmethod
    def of(cls, name: str = "", latitude: float | None = None, longitude: float | None = None) -> Place:
        """A place from what a person typed.

        Raises:
            PlaceError: it is none.
        """
        tidy = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
        if len(tidy) > LONGEST:
            raise PlaceError(f"a place has at most {LONGEST} letters; shorten '{tidy[:20]}…'")
        if (latitude is None) != (longitude is None):
            raise PlaceError("a position on the map needs both a latitude and a longitude")
        if latitude is not None and not (math.isfinite(latitude) and abs(latitude) <= 90):  # noqa: PLR2004 - the pole
            raise PlaceError(f"{latitude} is no latitude; it lies between -90 (south) and 90 (north)")
        if longitude is not None and not (math.isfinite(longitude) and abs(longitude) <= 180):  # noqa: PLR2004 - the date line
            raise PlaceError(f"{longitude} is no longitude; it lies between -180 (west) and 180 (east)")
        return cls(tidy, latitude, longitude)

    @classmethod
    def typed(cls, name: str, position: str) -> Place:
        """A place from two fields, the second of them "latitude, longitude" or empty.

        Raises:
            PlaceError: it is none.
        """
        if not position.strip():
            return cls.of(name)
        try:
            latitude, longitude = (float(part) for part in position.replace(";", ",").split(","))
        except ValueError:
            raise PlaceError(f"'{position[:40]}' is no position; write it like -0.37, 36.32") from None
        return cls.of(name, latitude, longitude)

    def as_row(self) -> tuple[str, float | None, float | None]:
        """For the store."""
        return self.name, self.latitude, self.longitude


NOWHERE = Place()
"""Nobody has said yet."""
