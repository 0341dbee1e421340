"""How a reading's value is kept: as a whole number where that loses nothing, else as the eight bytes it is.

A sensor says 21.57, not 21.570000000000000284: kept as 2157 with two decimals it takes two bytes instead of eight.
Invariant: `unpack_value(*pack_value(x))` is x, bit for bit. That holds because a whole number below 2^53 divided by a
power of ten is rounded correctly (IEEE 754), and is checked for every value before it is believed.

A row's `code` is quality × 8 + decimals; a value kept as it is has no decimals.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

DECIMAL_BITS = 3
DECIMAL_MASK = (1 << DECIMAL_BITS) - 1
MOST_DECIMALS = 6
"""More than any sensor has; values with more digits are kept as they are."""

POWERS = tuple(float(10**decimals) for decimals in range(DECIMAL_MASK + 1))
SHORT = 2.0**47
"""Whole numbers below take at most six bytes in SQLite; from there on eight, and nothing is gained."""

VALUE_SQL = (
    "(value / CASE code & 7 WHEN 0 THEN 1.0 WHEN 1 THEN 10.0 WHEN 2 THEN 100.0 WHEN 3 THEN 1000.0 "
    "WHEN 4 THEN 10000.0 WHEN 5 THEN 100000.0 ELSE 1000000.0 END)"
)
"""The value as SQL, from the columns `value` and `code`."""

QUALITY_SQL = "(code >> 3)"
KEY_BYTES = 16
"""Of one pair of `pack_keys`."""

KEYS_AT_ONCE = 1_000
"""Readings in one row of the queue for the core (`kit.store.readings`) or of what is undated, at most."""


def pack_value(value: float, decimals: int = 0) -> tuple[float, int]:
    """What to store for a finite value, and with how many decimals.

    Args:
        value: to be kept.
        decimals: tried first; those of the series' last value usually fit the next one too.
    """
    if not -SHORT < value < SHORT or (value == 0.0 and math.copysign(1.0, value) < 0):
        return value, 0
    # the common case: as many decimals as the last one
    power = POWERS[decimals]
    whole = round(value * power)
    if whole / power == value and -SHORT < whole < SHORT:
        return whole, decimals
    for tried in range(decimals + 1, MOST_DECIMALS + 1):
        power = POWERS[tried]
        whole = round(value * power)
        if whole / power == value and -SHORT < whole < SHORT:
            return whole, tried
    return (value, 0) if decimals == 0 else pack_value(value)


def pack_values(values: Sequence[float], decimals: int) -> list[int] | None:
    """What to store for values that all have this many decimals, as `pack_value` says; None if one has others."""
    if min(values) <= -SHORT or max(values) >= SHORT:
        return None
    power = POWERS[decimals]
    whole = [round(value * power) for value in values]
    if [number / power for number in whole] != list(values) or min(whole) <= -SHORT or max(whole) >= SHORT:
        return None
    if 0 in whole and any(value == 0.0 and math.copysign(1.0, value) < 0 for value in values):
        return None  # -0.0 equals 0.0, and is kept as it is
    return whole


def unpack_value(stored: float, code: int) -> float:
    """The value of a row."""
    return stored / POWERS[code & DECIMAL_MASK]


def pack_keys(keys: list[int]) -> bytes:
    """(series, Unix ms) one after the other, as bytes that mean the same on every machine."""
    return struct.pack(f"<{len(keys)}q", *keys)


def unpack_keys(data: bytes) -> list[tuple[int, int]]:
    """The pairs of `pack_keys`."""
    keys = struct.unpack(f"<{len(data) // 8}q", data)
    return list(zip(keys[::2], keys[1::2], strict=True))
