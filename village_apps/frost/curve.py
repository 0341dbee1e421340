"""The drawing of the night: what was measured, what is expected, how sure that is. Pure geometry for an inline SVG.

Sized for a phone of 360 px: one unit is about one CSS pixel there, so text of 13 units can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 340.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 38.0, 8.0, 14.0, 26.0
HOUR_MS = 3_600_000
LABEL_EVERY_H = 3

Points = Sequence[tuple[float, float]]
"""(Unix ms, °C)."""


@dataclass(frozen=True)
class Label:
    """A text with its place and the line that goes with it."""

    text: str
    x: float
    y: float


@dataclass(frozen=True)
class Curve:
    """Coordinates for the template; "" where there is nothing to draw.

    Attributes:
        observed, expected: `points` of polylines.
        band: `points` of the polygon between p10 and p90.
        threshold_y: of the frost line.
        now_x: of the present; None when the night is over.
        hours, degrees: axis labels.
        lowest: the expected minimum, marked.
    """

    observed: str
    expected: str
    band: str
    threshold_y: float
    now_x: float | None
    hours: tuple[Label, ...]
    degrees: tuple[Label, ...]
    lowest: Label | None

    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


@dataclass(frozen=True)
class _Scale:
    start_ms: float
    end_ms: float
    low_c: float
    high_c: float

    def x(self, at_ms: float) -> float:
        part = (at_ms - self.start_ms) / (self.end_ms - self.start_ms)
        return round(LEFT + min(1.0, max(0.0, part)) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value_c: float) -> float:
        part = (self.high_c - value_c) / (self.high_c - self.low_c)
        return round(TOP + part * (HEIGHT - TOP - BOTTOM), 1)

    def line(self, points: Points) -> str:
        return " ".join(f"{self.x(at)},{self.y(value)}" for at, value in points)


def draw(
    *,
    observed: Points,
    expected: Points,
    coldest: Points,
    warmest: Points,
    threshold_c: float,
    start_ms: float,
    end_ms: float,
    now_ms: float,
    hour_of: Callable[[float], int],
    degrees: Callable[[float], str],
) -> Curve:
    """Lay the night out.

    Args:
        observed: what was measured.
        expected: the path to the expected minimum; empty once the night is over.
        coldest: the path to p10.
        warmest: the path to p90.
        threshold_c: what counts as frost, °C.
        start_ms: where the time axis begins.
        end_ms: where it ends.
        now_ms: the present.
        hour_of: the local hour of a time, 0 to 23.
        degrees: how a temperature is written.
    """
    values = [value for line in (observed, expected, coldest, warmest) for _, value in line]
    scale = _Scale(start_ms, end_ms, min([*values, threshold_c]) - 2.5, max([*values, threshold_c + 2.0]) + 1.5)
    lowest = min(expected, key=lambda point: point[1], default=None)
    return Curve(
        observed=scale.line(observed),
        expected=scale.line(expected),
        band=scale.line([*warmest, *reversed(coldest)]),
        threshold_y=scale.y(threshold_c),
        now_x=scale.x(now_ms) if start_ms <= now_ms <= end_ms else None,
        hours=tuple(_hours(scale, hour_of)),
        degrees=tuple(_degrees(scale, threshold_c, degrees)),
        lowest=None if lowest is None else Label(degrees(lowest[1]), scale.x(lowest[0]), scale.y(lowest[1])),
    )


def thin(points: Points, *, every_ms: float = 600_000) -> list[tuple[float, float]]:
    """At most one point per ten minutes: a page of a sensor that reports every second must stay small."""
    kept: list[tuple[float, float]] = []
    for point in points:
        if not kept or point[0] - kept[-1][0] >= every_ms:
            kept.append(point)
    if points and kept[-1] != points[-1]:
        kept.append(points[-1])
    return kept


def _hours(scale: _Scale, hour_of: Callable[[float], int]) -> list[Label]:
    first = -(-scale.start_ms // HOUR_MS) * HOUR_MS
    times = range(int(first), int(scale.end_ms) + 1, HOUR_MS)
    return [
        Label(f"{hour_of(at):02}:00", scale.x(at), HEIGHT - 8)
        for at in times
        if hour_of(at) % LABEL_EVERY_H == 0 and LEFT + 10 < scale.x(at) < WIDTH - RIGHT - 14
    ]


def _degrees(scale: _Scale, threshold_c: float, degrees: Callable[[float], str]) -> list[Label]:
    step = 5 if scale.high_c - scale.low_c > 12 else 2  # noqa: PLR2004 - °C: some five lines at either
    first = int(-(-scale.low_c // step) * step)
    values = [value for value in range(first, int(scale.high_c) + 1, step) if abs(value - threshold_c) > step / 3]
    return [Label(degrees(value).removesuffix(" °C") + "°", LEFT - 4, scale.y(value)) for value in values]
