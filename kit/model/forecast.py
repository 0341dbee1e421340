"""What the kit says about the coming (or present) night; the fact `forecast/frost` is this as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

FROST_FACT = "forecast/frost"


@dataclass(frozen=True, kw_only=True)
class NightForecast:
    """The minimum air temperature expected from the issue until an hour after sunrise.

    Attributes:
        issued_ms: when it was made, Unix ms.
        night: local date of the sunrise, ISO 8601.
        device: the sensor it is for.
        sunset_ms, sunrise_ms: Unix ms.
        tmin_c: expected minimum, °C.
        tmin_p10_c, tmin_p90_c: one night in ten is colder than the first, one in ten warmer than the second, °C.
        p_frost: probability (0 to 1) that the minimum is at or below `threshold_c`.
        threshold_c: the grower's threshold, °C.
        expected_below_ms: when the air is expected to reach the threshold, Unix ms; None if it is not expected to.
        basis: "prior" or "site": which history the model learned from.
        nights_learned: radiation nights of this site it learned from.
        warning: whether a warning stands.
    """

    issued_ms: int
    night: str
    device: str
    sunset_ms: int
    sunrise_ms: int
    tmin_c: float
    tmin_p10_c: float
    tmin_p90_c: float
    p_frost: float
    threshold_c: float
    expected_below_ms: int | None
    basis: str
    nights_learned: int
    warning: bool

    def as_fact(self) -> dict[str, Any]:
        """As a JSON object with the field names above."""
        return asdict(self)

    @classmethod
    def from_fact(cls, value: dict[str, Any]) -> Self:
        """The inverse of `as_fact`; fields added by a newer version are ignored."""
        return cls(**{name: value[name] for name in cls.__dataclass_fields__})
