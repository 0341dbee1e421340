"""The hardware a unit may have, as ports. Drivers are real devices, simulated ones ship and misbehave on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
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


@dataclass(frozen=True)
class PluggedStick:
    """A USB stick of a wanted label that is plugged in.

    Attributes:
        label: of its file system.
        path: where it is mounted; None = it is not.
        serial: changes when another stick, or the same one again, is plugged in.
        trouble: "" or why it cannot be used, and what to do.
    """

    label: str
    path: Path | None
    serial: str
    trouble: str = ""


class StickWatcher(Protocol):
    """The USB sticks that belong to the kit: known by the label of their file system."""

    def sticks(self) -> Sequence[PluggedStick]:
        """Those that are plugged in now. Mounted or not: mounting is the operating system's."""
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


@dataclass(frozen=True)
class TimeFix:
    """What a satellite receiver says the time is.

    Attributes:
        unix_s: UTC as Unix seconds, as of when `read` returned.
        satellites: how many were used; None if it does not say.
    """

    unix_s: float
    satellites: int | None = None


class TimeSource(Protocol):
    """A receiver that knows the time."""

    def read(self) -> TimeFix | None:
        """The time now; None while it has no fix.

        Raises:
            HardwareError: the receiver does not answer.
        """
        ...
