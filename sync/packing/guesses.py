"""What an encoder finds out about a table beforehand, and tells in a few bits: intervals, deviations, what helps what.

None of it needs to be right for the table to come back exactly; it only saves bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import isqrt
from statistics import median_low

from sync.packing.rows import Row

NICE_STEPS_S = (60, 300, 600, 900, 1800, 3600, 10800, 86400)
"""Intervals that devices are set to, in seconds. Their places in this list are on the wire."""

NO_GRID = 1
"""A step of one unit: every gap is spelled."""

LOOK_AT = 400
"""Rows that a guess is made from."""

SPREADS = 140
"""Deviations on the wire: number n is a fifth of a unit × 2^(n/2)."""

_LEAST_SPREAD = 51
_ROOT_OF_TWO = 362  # 256ths


def spread_of(index: int) -> int:
    """A deviation from its number on the wire, in 1/256 units."""
    half, odd = divmod(index, 2)
    return (_LEAST_SPREAD << half) * (_ROOT_OF_TWO if odd else 256) >> 8


def spread_index(variance: int) -> int:
    """The number of the deviation nearest above this variance, which is in 1/256² square units."""
    index, wanted = 0, isqrt(variance)
    while spread_of(index) < wanted and index < SPREADS - 1:
        index += 1
    return index


def step_of(times: Sequence[int], per_second: int) -> int:
    """The interval at which a device seems to measure, in units of which there are `per_second`; `NO_GRID` if none."""
    gaps = [after - before for before, after in pairwise(times[:LOOK_AT]) if after > before]
    if not gaps:
        return NO_GRID
    step = median_low(gaps)
    nice = min((each * per_second for each in NICE_STEPS_S), key=lambda each: abs(each - step))
    if abs(nice - step) * 100 <= step:
        step = nice
    strays = sum(abs((gap + step // 2) % step - step // 2) * 8 > step for gap in gaps)
    return step if strays * 3 <= len(gaps) else NO_GRID


def stray_index(times: Sequence[Sequence[int]], steps: Sequence[int]) -> int:
    """The deviation of the devices' times from their grids."""
    strays = [
        (after - before + step // 2) % step - step // 2
        for each, step in zip(times, steps, strict=True)
        for before, after in pairwise(each[:LOOK_AT])
    ]
    # a gap strays twice: at its beginning and at its end
    return spread_index(_mean_square(strays) // 2) if strays else 0


def change_index(rows: Iterable[Row], column: int) -> int:
    """The deviation of a column's changes, as far as a trend does not explain them."""
    changes = _changes(rows, column)
    first = [change for each in changes.values() for change in each]
    second = [after - before for each in changes.values() for before, after in pairwise(each)]
    if not first:
        return 0
    plain = _mean_square(first)
    return spread_index(min(plain, _mean_square(second) // 2) if second else plain)


def _mean_square(numbers: Sequence[int]) -> int:
    """In 1/256², with spikes cut off: four times what three quarters of all stay below."""
    sizes = sorted(map(abs, numbers))
    limit = 4 * sizes[len(sizes) * 3 // 4] + 1
    return (sum(min(size, limit) ** 2 for size in sizes) << 16) // len(sizes)


def parent_of(rows: Sequence[Row], column: int) -> int:
    """Which earlier column's changes go with this one's the most, either way."""
    if column < 2:  # noqa: PLR2004 - there is no choice
        return 0
    return max(range(column), key=lambda earlier: _likeness(rows, earlier, column))


def _likeness(rows: Sequence[Row], one: int, other: int) -> int:
    """The square of the correlation of two columns' changes, in 1/1024."""
    products = ones = others = 0
    last: dict[int, tuple[int, int]] = {}
    for row in rows[:LOOK_AT]:
        x, y = row.values[one], row.values[other]
        if x is None or y is None:
            continue
        if row.device in last:
            before_x, before_y = last[row.device]
            products += (x - before_x) * (y - before_y)
            ones += (x - before_x) ** 2
            others += (y - before_y) ** 2
        last[row.device] = (x, y)
    return products * products * 1024 // (ones * others) if ones and others else 0


def _changes(rows: Iterable[Row], column: int) -> dict[int, list[int]]:
    changes: dict[int, list[int]] = {}
    last: dict[int, int] = {}
    for row in rows:
        value = row.values[column]
        if value is None:
            continue
        if row.device in last:
            changes.setdefault(row.device, []).append(value - last[row.device])
        last[row.device] = value
    return changes
