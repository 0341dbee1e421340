"""A weather station that lives through recorded weather, and misbehaves on request.

It is the sensor alone: it says what it would measure at a time, as SenML-named quantities, and knows nothing of
networks. Between two recorded hours it measures what lies between them. Give it to anything that publishes readings.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hardware.ports import HardwareClock, HardwareError

LONGEST_BRIDGE_S = 4 * 3600
"""Across a longer gap in the recording nothing is made up: that quantity is missing."""

DAY_S = 86_400.0


class RecordedHour(Protocol):
    """One recorded observation (`kit.weather_file.WeatherRow` fits); None where nothing was observed."""

    @property
    def at_s(self) -> int:
        """Unix seconds."""
        ...

    @property
    def air_temp_c(self) -> float | None:
        """°C."""
        ...

    @property
    def dew_point_c(self) -> float | None:
        """°C."""
        ...

    @property
    def pressure_hpa(self) -> float | None:
        """Sea-level pressure, hPa."""
        ...

    @property
    def wind_dir_deg(self) -> float | None:
        """Degrees from north."""
        ...

    @property
    def wind_speed_ms(self) -> float | None:
        """m/s."""
        ...

    @property
    def sky_oktas(self) -> float | None:
        """Eighths."""
        ...

    @property
    def rain_1h_mm(self) -> float | None:
        """Rain of the hour before, mm."""
        ...


QUANTITIES: Mapping[str, tuple[str, bool, Callable[[RecordedHour], float | None]]] = {
    "temperature": ("Cel", True, lambda row: row.air_temp_c),
    "dew_point": ("Cel", True, lambda row: row.dew_point_c),
    "pressure": ("hPa", True, lambda row: row.pressure_hpa),
    "wind_speed": ("m/s", True, lambda row: row.wind_speed_ms),
    "wind_direction": ("deg", False, lambda row: row.wind_dir_deg),
    "cloud_cover": ("%", False, lambda row: None if row.sky_oktas is None else row.sky_oktas * 12.5),
}
"""Name → SenML unit, whether it changes smoothly between two hours, and where it comes from."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured value: quantity, SenML unit, value."""

    quantity: str
    unit: str
    value: float


@dataclass
class SimulatedWeatherStation:
    """A station that follows a recording.

    Attributes:
        recording: observations, oldest first.
        clock: the kit's clock.
    """

    recording: Sequence[RecordedHour]
    clock: HardwareClock
    _times: list[int] = field(init=False, repr=False)
    _plugged: bool = field(default=True, init=False)
    _stuck: tuple[Measurement, ...] | None = field(default=None, init=False, repr=False)
    _drift: tuple[float, float] | None = field(default=None, init=False)
    _spikes: list[float] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Refuse an empty recording.

        Raises:
            HardwareError: there is nothing to follow.
        """
        if not self.recording:
            raise HardwareError("the simulated weather station has no recording; give it at least two hours of weather")
        self._times = [row.at_s for row in self.recording]

    @property
    def first_s(self) -> float:
        """When the recording begins, Unix seconds."""
        return float(self._times[0])

    @property
    def last_s(self) -> float:
        """When it ends."""
        return float(self._times[-1])

    def measure(self, at_s: float | None = None) -> tuple[Measurement, ...]:
        """What it measures at that time (now if None), faults included. Empty outside the recording.

        Raises:
            HardwareError: it is unplugged.
        """
        at_s = self.clock.now() if at_s is None else at_s
        if not self._plugged:
            raise HardwareError("the weather station does not answer; check that its plug and battery lead are in")
        if self._stuck is not None:
            return self._stuck
        return tuple(self._with_faults(one, at_s) for one in self.truth(at_s))

    def truth(self, at_s: float) -> tuple[Measurement, ...]:
        """What a faultless station would measure at that time."""
        found = ((name, unit, self._value(at_s, smooth, of)) for name, (unit, smooth, of) in QUANTITIES.items())
        return tuple(Measurement(name, unit, round(value, 1)) for name, unit, value in found if value is not None)

    def unplug(self) -> None:
        """Stop answering until `plug_in`."""
        self._plugged = False

    def plug_in(self) -> None:
        """Answer again."""
        self._plugged = True

    def stick(self) -> None:
        """Report the present values for ever, until `heal`."""
        self._stuck = self.measure()

    def drift(self, kelvin_per_day: float) -> None:
        """Let the thermometer go wrong slowly from now on, until `heal`."""
        self._drift = (self.clock.now(), kelvin_per_day)

    def spike(self, kelvin: float) -> None:
        """Make the next measured temperature wrong by that much, once."""
        self._spikes.append(kelvin)

    def heal(self) -> None:
        """End every fault except being unplugged."""
        self._stuck, self._drift = None, None
        self._spikes.clear()

    def _with_faults(self, one: Measurement, at_s: float) -> Measurement:
        if one.quantity != "temperature":
            return one
        wrong = self._spikes.pop(0) if self._spikes else 0.0
        if self._drift is not None and at_s > self._drift[0]:
            wrong += self._drift[1] * (at_s - self._drift[0]) / DAY_S
        return Measurement(one.quantity, one.unit, round(one.value + wrong, 1))

    def _value(self, at_s: float, smooth: bool, of: Callable[[RecordedHour], float | None]) -> float | None:  # noqa: FBT001 - one of the table's columns
        index = bisect_right(self._times, at_s) - 1
        if index < 0 or at_s > self._times[-1]:
            return None
        before = self._nearest(range(index, -1, -1), at_s, of)
        if before is None or before[0] == at_s or not smooth:
            return None if before is None else before[1]
        after = self._nearest(range(index + 1, len(self._times)), at_s, of)
        if after is None:
            return None
        part = (at_s - before[0]) / (after[0] - before[0])
        return before[1] + part * (after[1] - before[1])

    def _nearest(
        self, indices: range, at_s: float, of: Callable[[RecordedHour], float | None]
    ) -> tuple[float, float] | None:
        for index in indices:
            if abs(at_s - self._times[index]) > LONGEST_BRIDGE_S:
                return None
            value = of(self.recording[index])
            if value is not None:
                return float(self._times[index]), value
        return None
