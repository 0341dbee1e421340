"""When rows were measured: each device keeps to a grid of its own, and only how far it strays from it is told.

A device that wakes every 15 minutes by a good clock strays by a second or two around its grid; one with a poor clock
drifts off it, steadily. Which of the two it is, the trend learns: its first hint is how far the last row lay from the
middle of all before, its second the last change.
"""

from __future__ import annotations

from collections.abc import Sequence

from sync.packing.coder import Bit, Coder
from sync.packing.errors import PackingError
from sync.packing.guesses import NICE_STEPS_S, NO_GRID, SPREADS, spread_of, step_of, stray_index
from sync.packing.numbers import Lengths
from sync.packing.opinions import Opinions
from sync.packing.trend import FINE_BITS, Hints, Trend

EPOCH_MS = 1_704_067_200_000
"""2024-01-01T00:00:00Z; 31 bits of seconds from then last until 2092."""

LATEST_MS = 2**62
"""What a decoder believes, either side of 1970."""

PRIOR_WEIGHTS: Hints = (15, 0, 0)
"""Of 16: a stray is expected to be made good."""

PRIOR_FAITH: Hints = (40, 40, 40)

_ORDINARY_BITS = 31
_MS_BITS = 10


def code_times(coder: Coder, unit_ms: int, counts: Sequence[int], told: Sequence[Sequence[int]]) -> list[list[int]]:
    """Every device's times, ascending.

    Raises:
        PackingError: a time is beyond all calendars.
    """
    if not counts:
        return []
    per_second = 1000 // unit_ms if 1000 % unit_ms == 0 else 0
    steps = [step_of(each, per_second) for each in told]
    grids = Grids(code_spread(coder, stray_index(told, steps)), per_second)
    found: list[list[int]] = []
    for at, count in enumerate(counts):
        start = told[at][0] if told else 0
        start = grids.start(coder, found[-1][0], start) if found else _code_base(coder, unit_ms, start)
        step = grids.step(coder, steps[at] if told else NO_GRID) if count > 1 else NO_GRID
        found.append(grids.times(coder, start, step, count, told[at] if told else ()))
        if max(abs(start), abs(found[-1][-1])) * unit_ms > LATEST_MS:
            raise PackingError("a time in the packed bytes is beyond all calendars")
    return found


def code_spread(coder: Coder, index: int) -> int:
    """A deviation, 1/256 units, by its number."""
    return spread_of(min(Lengths(3).natural(coder, index), SPREADS - 1))


def _code_base(coder: Coder, unit_ms: int, start: int) -> int:
    seconds, rest_ms = divmod(start * unit_ms - EPOCH_MS, 1000)
    whole = unit_ms % 1000 == 0
    divides = whole or 1000 % unit_ms == 0
    if not divides or not coder.bit(Bit(1, 31), int(0 <= seconds < 1 << _ORDINARY_BITS)):
        return Lengths(30).signed(coder, start)
    seconds = coder.raw(_ORDINARY_BITS, seconds)
    rest_ms = 0 if whole else coder.raw(_MS_BITS, rest_ms)
    return (seconds * 1000 + rest_ms + EPOCH_MS) // unit_ms


class Grids:
    """Codes the times of one device after the other, in units.

    Args:
        spread: by how much a device strays at first, in 1/256 units.
        per_second: how many units a second has; 0 if a unit is no part of one.
    """

    def __init__(self, spread: int, per_second: int) -> None:
        self._trend = Trend(spread, PRIOR_WEIGHTS, PRIOR_FAITH, spread)
        self._opinions = Opinions(spread)
        self._nice_steps = [each * per_second for each in NICE_STEPS_S] if per_second else []
        self._same_step, self._is_nice, self._step = Bit(1, 15), Bit(1, 3), NO_GRID
        self._next = Bit(1, 63)
        self._steps, self._rounds, self._starts = Lengths(9), Lengths(1), Lengths(3)

    def start(self, coder: Coder, before: int, start: int = 0) -> int:
        """The first time of a device, told from that of the device before."""
        return before + self._starts.signed(coder, start - before)

    def step(self, coder: Coder, step: int = NO_GRID) -> int:
        """The interval of the next device, at least one unit."""
        if self._step != NO_GRID and coder.bit(self._same_step, int(step == self._step)):
            return self._step
        if self._nice_steps and coder.bit(self._is_nice, int(step in self._nice_steps)):
            at = coder.raw(3, self._nice_steps.index(step) if step in self._nice_steps else 0)
            self._step = self._nice_steps[at]
        else:
            self._step = 1 + self._steps.natural(coder, step - 1)
        return self._step

    def times(self, coder: Coder, start: int, step: int, count: int, told: Sequence[int] = ()) -> list[int]:
        """All times of a device, ascending; `told` to an encoder."""
        times, grid, stray, change, total = [start], start, 0, 0, 0
        for at in range(1, count):
            time = told[at] if told else 0
            rounds = self._count_rounds(coder, (time - times[-1] + step // 2) // step)
            grid += rounds * step
            if step != NO_GRID:
                middle = (total << FINE_BITS) // at
                mean, spread = self._trend.predict((middle - (stray << FINE_BITS), change << FINE_BITS, 0))
                change = self._opinions.code(coder, mean, spread, time - grid - stray)
                self._trend.learn(change)
                stray += change
                total += stray
            times.append(grid + stray)
        return times

    def _count_rounds(self, coder: Coder, rounds: int) -> int:
        if coder.bit(self._next, int(rounds == 1)):
            return 1
        return self._rounds.natural(coder, rounds)
