"""How whole numbers stand for measured values.

Minus zero, which a sensor prints when it rounds, is zero: it would otherwise turn a whole column into doubles.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

DOUBLES = 31
"""In place of a number of decimals: the whole number is the double itself, in an order-preserving disguise."""

MAX_DIGITS = 15
MOST_DIGITS_INFERRED = 9
_EXACT_BELOW = 2**53
_SIGN = 1 << 63


@dataclass(frozen=True)
class Scale:
    """A number stands for number × multiple / 10^digits.

    Attributes:
        digits: decimal places, up to `MAX_DIGITS`; or `DOUBLES`.
        multiple: of the last place, for example 25 with two digits for steps of 0.25.
    """

    digits: int = 0
    multiple: int = 1

    @property
    def step(self) -> float | None:
        """The smallest difference; None for doubles."""
        return None if self.digits == DOUBLES else self.multiple / int(10**self.digits)

    def number(self, value: float) -> int:
        """The nearest whole number; exact for doubles."""
        value = value or 0.0
        if self.digits == DOUBLES:
            bits = int.from_bytes(struct.pack(">d", value), "big", signed=True)
            return bits if bits >= 0 else -(bits & (_SIGN - 1)) - 1
        if self.multiple == 1 and abs(value) < 2**31 and self.digits <= MOST_DIGITS_INFERRED:
            return round(value * float(10**self.digits))
        return round(Fraction(value) * int(10**self.digits) / self.multiple)

    def value(self, number: int) -> float:
        """The inverse. Raises OverflowError if no double is that large."""
        if self.digits == DOUBLES:
            bits = number if number >= 0 else -number - 1 | _SIGN
            (value,) = struct.unpack(">d", bits.to_bytes(8, "big"))
            return float(value)
        return number * self.multiple / int(10**self.digits)

    def holds(self, value: float) -> bool:
        """Whether the value comes back exactly."""
        if self.digits == DOUBLES:
            return True
        if abs(value) * 10**self.digits >= _EXACT_BELOW:
            return False
        return self.value(self.number(value)) == value


def scale_for(values: Iterable[float]) -> Scale:
    """The coarsest scale that gives every value back exactly: few decimals, or doubles where there are none."""
    digits = 0
    for value in values:
        while digits <= MOST_DIGITS_INFERRED and not Scale(digits).holds(value):
            digits += 1
        if digits > MOST_DIGITS_INFERRED:
            return Scale(DOUBLES)
    return Scale(digits)


def scale_of_step(step: float) -> Scale:
    """The scale of a stated resolution, for example 0.1 or 0.25.

    Raises:
        ValueError: it is not a positive decimal number of at most `MAX_DIGITS` places.
    """
    if not math.isfinite(step) or step <= 0:
        raise ValueError(f"a resolution is a positive number, not {step!r}")
    exact = Fraction(repr(step))
    for digits in range(MAX_DIGITS + 1):
        multiple = exact * 10**digits
        if multiple.denominator == 1 and multiple.numerator < _EXACT_BELOW:
            return Scale(digits, multiple.numerator)
    raise ValueError(f"a resolution has at most {MAX_DIGITS} decimals, not {step!r}")
