"""The head of a packed table: unit of time, which columns and devices, how many rows of each device.

Every function here codes in either direction: told what to say, or (with nothing to tell) reading it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sync.packing.coder import Bit, Coder
from sync.packing.errors import PackingError
from sync.packing.numbers import Lengths
from sync.packing.scale import DOUBLES, MAX_DIGITS, Scale

UNITS_MS = (1000, 1, 60_000, 3_600_000)
"""Units of time that have a short name. Their places in this list are on the wire."""

MAX_COLUMNS = 1000
MAX_DEVICES = 10_000
MAX_UNIT_MS = 1 << 40


def code_unit(coder: Coder, unit_ms: int) -> int:
    """The unit of time, ms."""
    if coder.bit(Bit(1, 7), int(unit_ms in UNITS_MS)):
        return UNITS_MS[coder.raw(2, UNITS_MS.index(unit_ms) if unit_ms in UNITS_MS else 0)]
    return _at_most(1 + Lengths(8).natural(coder, unit_ms - 1), MAX_UNIT_MS, "ms to the unit of time")


def code_columns(coder: Coder, columns: Sequence[tuple[int, Scale]]) -> list[tuple[int, Scale]]:
    """The columns' agreed numbers and scales."""
    numbers = code_numbers(coder, [number for number, _ in columns], MAX_COLUMNS)
    is_one, digits, multiples = Bit(1, 15), Lengths(1), Lengths(4)
    found = []
    for at, number in enumerate(numbers):
        scale = columns[at][1] if columns else Scale()
        places, multiple = digits.natural(coder, scale.digits), 1
        if not coder.bit(is_one, int(scale.multiple == 1)):
            multiple = multiples.natural(coder, scale.multiple)
        if multiple < 1 or (places > MAX_DIGITS and places != DOUBLES):
            raise PackingError(f"a column's values have {places} decimals and steps of {multiple}")
        found.append((number, Scale(places, multiple)))
    return found


def code_numbers(coder: Coder, numbers: Sequence[int], most: int = MAX_DEVICES) -> list[int]:
    """Ascending agreed numbers; the usual 0, 1, 2, … cost next to nothing."""
    lengths = Lengths(2)
    count = _at_most(lengths.natural(coder, len(numbers)), most, "devices or columns")
    if coder.bit(Bit(1, 7), int(list(numbers) == list(range(count)))):
        return list(range(count))
    found, last = [], -1
    for at in range(count):
        last += 1 + lengths.natural(coder, numbers[at] - last - 1 if numbers else 0)
        found.append(last)
    return found


def code_counts(coder: Coder, counts: Sequence[int], devices: int, most: int) -> list[int]:
    """How many rows each device has, `most` in all."""
    same, lengths = Bit(1, 7), Lengths(5)
    found: list[int] = []
    for at in range(devices):
        count = counts[at] if counts else 0
        if not found or not coder.bit(same, int(count == found[-1])):
            count = 1 + lengths.natural(coder, count - 1 if counts else 0)
        else:
            count = found[-1]
        found.append(count)
        _at_most(sum(found[-1:]) + sum(found[:-1]), most, "rows")
    return found


def _at_most(count: int, limit: int, what: str) -> int:
    if count > limit:
        raise PackingError(f"the packed bytes claim {count} {what}; at most {limit} are believed")
    return count
