"""The drawing of a series' last days: hourly means, and between which values they lay. Pure geometry for an inline SVG.

Sized for a phone of 360 px, like the drawing of the frost night.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

WIDTH, HEIGHT = 340.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 8.0, 12.0, 24.0
GAP_MS = 3 * 3_600_000
"""A line is not drawn across a longer silence."""

STEPS = (1, 2, 5, 10)


class Hour(NamedTuple):
    """An hour with its figures; `at_ms` is its middle, Unix ms."""

    at_ms: float
    low: float
    mean: float
    high: float


class Label(NamedTuple):
    """A text beside an axis."""

    text: str
    x: float
    y: float


@dataclass(frozen=True)
class Chart:
    """Coordinates for the template: `points` of a polyline and of a polygon for each stretch without a gap."""

    lines: tuple[str, ...]
    bands: tuple[str, ...]
    values: tuple[Label, ...]
    days: tuple[Label, ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


def draw(
    hours: Sequence[Hour], *, since_ms: float, until_ms: float, midnights: Sequence[tuple[float, str]]
) -> Chart | None:
    """The chart of those hours; None when there are none.

    Args:
        hours: in the order of time.
        since_ms: where the time axis begins, Unix ms.
        until_ms: where it ends.
        midnights: where the days begin (Unix ms), with their names.
    """
    if not hours:
        return None
    low, high = min(hour.low for hour in hours), max(hour.high for hour in hours)
    step = _step((high - low) or 1.0)
    bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
    top = top if top > bottom else bottom + step

    def x(at_ms: float) -> float:
        return round(LEFT + (at_ms - since_ms) / (until_ms - since_ms) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(TOP + (top - value) / (top - bottom) * (HEIGHT - TOP - BOTTOM), 1)

    stretches = _stretches(hours)
    digits = max(0, -math.floor(math.log10(step)))
    count = round((top - bottom) / step)
    return Chart(
        lines=tuple(_points((x(hour.at_ms), y(hour.mean)) for hour in some) for some in stretches),
        bands=tuple(_band(some, x, y) for some in stretches),
        values=tuple(
            Label(f"{bottom + n * step:.{digits}f}", LEFT - 5, y(bottom + n * step)) for n in range(count + 1)
        ),
        days=tuple(Label(text, x(at_ms), HEIGHT - 7) for at_ms, text in midnights if since_ms <= at_ms <= until_ms),
    )


def _step(span: float) -> float:
    """A round distance between lines, so that there are three to six of them."""
    unit = 10.0 ** math.floor(math.log10(span / 4))
    return next(step * unit for step in STEPS if step * unit >= span / 5)


def _stretches(hours: Sequence[Hour]) -> list[list[Hour]]:
    found = [[hours[0]]]
    for before, hour in pairwise(hours):
        if hour.at_ms - before.at_ms > GAP_MS:
            found.append([])
        found[-1].append(hour)
    return found


def _band(some: Sequence[Hour], x: Callable[[float], float], y: Callable[[float], float]) -> str:
    above = [(x(hour.at_ms), y(hour.high)) for hour in some]
    return _points([*above, *((x(hour.at_ms), y(hour.low)) for hour in reversed(some))])


def _points(pairs: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in pairs)
