"""What a station observed, cleaned as it comes in.

Invariant: what this says about a time depends only on observations up to the latest one appended. A suspicious reading
is held back until the next one confirms or contradicts it; it never reaches back and changes what was said before.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace

COLDEST_C, WARMEST_C = -60.0, 55.0
"""Outside these no inhabited place has been; a DS18B20 that lost its power reports 85."""

LARGEST_STEP_C = 12.0
"""Per hour. The largest real one in 44,000 station hours (a lake front at Chicago) was 11.7 °C; spikes are larger."""

STUCK_AFTER_S = 18 * 3600
"""Fog has held a real thermometer still for 14 hours; one still for longer is stuck."""

COARSEST_C = 1.0
"""The coarsest thermometers report whole degrees."""

QUANTITIES = (
    "temperature_c",
    "dew_point_c",
    "wind_ms",
    "wind_dir_deg",
    "sky_oktas",
    "pressure_hpa",
    "rain_mm",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was measured at one time; None where nothing was.

    Attributes:
        at_s: Unix seconds.
        temperature_c: air, °C.
        dew_point_c: °C.
        wind_ms: m/s.
        wind_dir_deg: from where, degrees from north.
        sky_oktas: cloud cover, 0 to 8.
        pressure_hpa: hPa; only its changes are used.
        rain_mm: in the hour before.
    """

    at_s: float
    temperature_c: float | None = None
    dew_point_c: float | None = None
    wind_ms: float | None = None
    wind_dir_deg: float | None = None
    sky_oktas: float | None = None
    pressure_hpa: float | None = None
    rain_mm: float | None = None


class Column:
    """One quantity over time, sorted by time."""

    def __init__(self) -> None:
        self._times = array("d")
        self._values = array("d")

    def __len__(self) -> int:
        return len(self._times)

    def append(self, at_s: float, value: float) -> None:
        """Add a value; times must not go back."""
        self._times.append(at_s)
        self._values.append(value)

    def forget(self, before_s: float) -> None:
        """Keep what is not older, and the latest in any case."""
        first = min(bisect_left(self._times, before_s), len(self._times) - 1)
        if first > 0:
            del self._times[:first]
            del self._values[:first]

    def last(self, at_s: float, *, within_s: float) -> tuple[float, float] | None:
        """The latest (time, value) at or before `at_s` and not older than `within_s`."""
        index = bisect_right(self._times, at_s) - 1
        if index < 0 or at_s - self._times[index] > within_s:
            return None
        return self._times[index], self._values[index]

    def near(self, at_s: float, *, within_s: float = 5400.0) -> float:
        """As `last`, only the value; nan if there is none."""
        found = self.last(at_s, within_s=within_s)
        return math.nan if found is None else found[1]

    def between(self, after_s: float, until_s: float) -> array[float]:
        """Values with `after_s` < time ≤ `until_s`."""
        return self._values[bisect_right(self._times, after_s) : bisect_right(self._times, until_s)]

    def pairs(self, from_s: float, until_s: float) -> list[tuple[float, float]]:
        """(time, value) with `from_s` ≤ time ≤ `until_s`."""
        first, end = bisect_left(self._times, from_s), bisect_right(self._times, until_s)
        return list(zip(self._times[first:end], self._values[first:end], strict=True))

    def mean(self, after_s: float, until_s: float) -> float:
        """Mean of `between`; nan if there is nothing."""
        values = self.between(after_s, until_s)
        return sum(values) / len(values) if values else math.nan

    def least(self, after_s: float, until_s: float) -> float:
        """Minimum of `between`; nan if there is nothing."""
        return min(self.between(after_s, until_s), default=math.nan)

    def most(self, after_s: float, until_s: float) -> float:
        """Maximum of `between`; nan if there is nothing."""
        return max(self.between(after_s, until_s), default=math.nan)


class Series:
    """A station's observations, believable ones only, in order of time.

    Args:
        observations: the first ones.
        remember_s: so much of the latest time is kept, at least; a minute's sensor would else fill 25 MB a year.
    """

    def __init__(self, observations: Iterable[Observation] = (), *, remember_s: float = math.inf) -> None:
        self._remember_s, self._kept_since_s = remember_s, math.inf
        self._columns = {name: Column() for name in QUANTITIES}
        self._latest_s = -math.inf
        self._suspect: tuple[float, float] | None = None
        self._still_since_s = math.inf
        self._values: list[float] = []
        for observation in observations:
            self.append(observation)

    def __getitem__(self, quantity: str) -> Column:
        return self._columns[quantity]

    @property
    def latest_s(self) -> float:
        """Time of the latest observation; -inf if there is none."""
        return self._latest_s

    @property
    def temperature(self) -> Column:
        """Air temperature, °C."""
        return self._columns["temperature_c"]

    def boundary_c(self, threshold_c: float) -> float:
        """The true temperature from which on a reading is at or below the threshold.

        A thermometer rounds: one that reports whole °F shows 0.0 °C up to 0.28 °C. The boundary lies half way between
        the two neighbouring values it has ever shown; without neighbours within `COARSEST_C` it is the threshold.
        """
        index = bisect_right(self._values, threshold_c)
        if not 0 < index < len(self._values):
            return threshold_c
        below, above = self._values[index - 1], self._values[index]
        if max(threshold_c - below, above - threshold_c) > COARSEST_C:
            return threshold_c
        return (below + above) / 2

    def append(self, observation: Observation) -> None:
        """Add one; what is not later than the latest is ignored (it was delivered twice)."""
        if observation.at_s <= self._latest_s:
            return
        self._latest_s = observation.at_s
        believable = believe(observation)
        if believable.temperature_c is not None:
            self._append_temperature(observation.at_s, believable.temperature_c)
        for name in QUANTITIES[1:]:
            value = getattr(believable, name)
            if value is not None:
                self._columns[name].append(observation.at_s, value)
        self._forget(observation.at_s)

    def _forget(self, now_s: float) -> None:
        """Now and then, so that forgetting costs nothing."""
        self._kept_since_s = min(self._kept_since_s, now_s)
        if now_s - self._kept_since_s > 2 * self._remember_s:
            self._kept_since_s = now_s - self._remember_s
            for column in self._columns.values():
                column.forget(self._kept_since_s)

    def _append_temperature(self, at_s: float, value: float) -> None:
        before = self.temperature.last(at_s, within_s=math.inf)
        suspect, self._suspect = self._suspect, None
        if before is not None and suspect is not None and _confirms(suspect, (at_s, value), before):
            self._accept(suspect[0], suspect[1], before)
            self._accept(at_s, value, suspect)
        elif before is None or _could_follow(before, (at_s, value)):
            self._accept(at_s, value, before)
        else:
            self._suspect = (at_s, value)

    def _accept(self, at_s: float, value: float, before: tuple[float, float] | None) -> None:
        if before is None or before[1] != value:
            self._still_since_s = at_s
        if at_s - self._still_since_s <= STUCK_AFTER_S:
            self.temperature.append(at_s, value)
            shown = round(value, 2)  # a thermometer that shows noise has no coarser steps, and must not fill the memory
            index = bisect_left(self._values, shown)
            if index == len(self._values) or self._values[index] != shown:
                self._values.insert(index, shown)


def believe(observation: Observation) -> Observation:
    """The observation without the values that are physically impossible."""
    temperature = _within(observation.temperature_c, COLDEST_C, WARMEST_C)
    dew_point = _within(observation.dew_point_c, -80.0, 40.0)
    if temperature is not None and dew_point is not None:
        # above 100 % humidity by the sensors' tolerance is fog; far above it is a broken sensor
        dew_point = min(dew_point, temperature) if dew_point <= temperature + 3 else None
    return replace(
        observation,
        temperature_c=temperature,
        dew_point_c=dew_point,
        wind_ms=_within(observation.wind_ms, 0.0, 75.0),
        wind_dir_deg=_within(observation.wind_dir_deg, 0.0, 360.0),
        sky_oktas=_within(observation.sky_oktas, 0.0, 8.0),
        pressure_hpa=_within(observation.pressure_hpa, 400.0, 1100.0),
        rain_mm=_within(observation.rain_mm, 0.0, 300.0),
    )


def _within(value: float | None, least: float, most: float) -> float | None:
    return value if value is not None and least <= value <= most else None


def _could_follow(before: tuple[float, float], after: tuple[float, float]) -> bool:
    hours = max(1.0, (after[0] - before[0]) / 3600)
    return abs(after[1] - before[1]) <= LARGEST_STEP_C * hours


def _confirms(suspect: tuple[float, float], after: tuple[float, float], before: tuple[float, float]) -> bool:
    """Whether the reading after a suspicious one stands with it rather than with the one before."""
    nearer = abs(after[1] - suspect[1]) < abs(after[1] - before[1])
    return nearer and _could_follow(suspect, after)
