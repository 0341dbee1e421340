"""The hardware a unit may have, as ports. Drivers are real devices, simulated ones ship and misbehave on request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class HardwareError(Exception):
    """A device does not answer or refused; the message says which lead, pin or setting to check."""


class Siren(Protocol):
    """Something loud."""

    def sound(self, seconds: float) -> None:
        """Start sounding for that long, or extend it; returns at once.

        Raises:
            HardwareError: it could not be switched on.
        """
        ...

    def silence(self) -> None:
        """Stop at once."""
        ...

    @property
    def sounding(self) -> bool:
        """Whether it is on now."""
        ...


@dataclass(frozen=True)
class PowerReading:
    """The state of the battery.

    Attributes:
        source: "mains", "battery", "solar" or "unknown".
        battery_percent: 0 to 100, or None if there is no battery gauge.
        charging: None if not known.
    """

    source: str
    battery_percent: float | None
    charging: bool | None


class Power(Protocol):
    """What the unit runs on."""

    def read(self) -> PowerReading:
        """The state now.

        Raises:
            HardwareError: the gauge does not answer.
        """
        ...


class Modem(Protocol):
    """The mobile network."""

    def online(self) -> bool:
        """Whether there is a way out now."""
        ...


class HardwareClock(Protocol):
    """What a driver or simulator needs of the kit's clock (`kit.clock.Clock` fits)."""

    def now(self) -> float:
        """Wall time, Unix seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since boot."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait that many (kit) seconds."""
        ...

    def real(self, seconds: float) -> float:
        """How many real seconds that many kit seconds take."""
        ...
