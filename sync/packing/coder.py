"""Arithmetic coding: a sequence of choices becomes one number, each choice costing what it was improbable.

A range coder after Martin (1979) with the carry propagated into what is already out (as in Schindler's and LZMA's
coders); 56 bits of range in Python's integers. One walk over a model serves both directions: `Encoder` is told the
choice and returns it, `Decoder` ignores what it is told and returns what was chosen. So they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sync.packing.errors import PackingError

_WORD = 56
_FULL = (1 << _WORD) - 1
_LOW = 1 << (_WORD - 8)
_RAW_AT_ONCE = 16
_BYTES_BEYOND = _WORD // 8
"""Zeros a decoder may read behind the end: the encoder leaves them off."""


class Bit:
    """The odds of a yes, learnt from counts. `no` and `yes` are what was seen before anything was."""

    __slots__ = ("no", "yes")
    LIMIT = 255

    def __init__(self, no: int = 1, yes: int = 1) -> None:
        self.no, self.yes = no, yes

    def learn(self, bit: int) -> None:
        """Count one more; old counts fade, so that a change of habit is learnt too."""
        if bit:
            self.yes += 2
        else:
            self.no += 2
        if self.no + self.yes > self.LIMIT:
            self.no = (self.no + 1) >> 1
            self.yes = (self.yes + 1) >> 1


class Coder(Protocol):
    """What a model needs of either direction."""

    def bit(self, odds: Bit, bit: int = 0) -> int:
        """A yes or no, whose odds learn from it."""

    def raw(self, width: int, number: int = 0) -> int:
        """A number of `width` bits about which nothing is known."""

    def pick(self, below: Callable[[int], int], first: int, last: int, number: int = 0) -> int:
        """A number from `first` to `last`; `below(n)` is the weight of all numbers under n and strictly grows.

        All weights together are at most 2^32: the range is never below 2^48, so that 16 bits of precision remain.
        """


class Encoder:
    """Takes choices, gives bytes."""

    WHOLE_RANGE = _FULL

    def __init__(self) -> None:
        self._low = 0
        self._range = _FULL
        self._out = bytearray()

    def bit(self, odds: Bit, bit: int = 0) -> int:
        """See `Coder`."""
        if bit:
            self._narrow(odds.no, odds.yes, odds.no + odds.yes)
        else:
            self._narrow(0, odds.no, odds.no + odds.yes)
        odds.learn(bit)
        return bit

    def raw(self, width: int, number: int = 0) -> int:
        """See `Coder`."""
        left = width
        while left > 0:
            now = min(left, _RAW_AT_ONCE)
            left -= now
            self._narrow((number >> left) & ((1 << now) - 1), 1, 1 << now)
        return number

    def pick(self, below: Callable[[int], int], first: int, last: int, number: int = 0) -> int:
        """See `Coder`."""
        base, low = below(first), below(number)
        self._narrow(low - base, below(number + 1) - low, below(last + 1) - base)
        return number

    def finish(self) -> bytes:
        """The shortest bytes that decode to the choices made; zeros at the end are left off."""
        for width in range(_WORD, -1, -8):
            number = -(-self._low >> width) << width
            if number < self._low + self._range:
                break
        self._low = number
        for _ in range(_BYTES_BEYOND):
            self._shift()
        return bytes(self._out).rstrip(b"\0")

    @property
    def state(self) -> tuple[int, int]:
        """Bytes out and the range left, from which a meter computes the exact cost."""
        return len(self._out), self._range

    def _narrow(self, low: int, size: int, total: int) -> None:
        step = self._range // total
        self._low += step * low
        self._range = step * size
        while self._range < _LOW:
            self._shift()
            self._range <<= 8

    def _shift(self) -> None:
        if self._low > _FULL:
            at = len(self._out) - 1
            while self._out[at] == 0xFF:  # noqa: PLR2004 - a carry runs through all ones
                self._out[at] = 0
                at -= 1
            self._out[at] += 1
            self._low &= _FULL
        self._out.append(self._low >> (_WORD - 8))
        self._low = (self._low << 8) & _FULL


class Decoder:
    """Gives back the choices; any bytes decode to some choices, never to a crash."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._range = _FULL
        self._at = _BYTES_BEYOND
        self._code = int.from_bytes(data[:_BYTES_BEYOND].ljust(_BYTES_BEYOND, b"\0"), "big")

    def bit(self, odds: Bit, bit: int = 0) -> int:
        """See `Coder`."""
        step = self._range // (odds.no + odds.yes)
        bit = 1 if self._code >= step * odds.no else 0
        if bit:
            self._narrow(step, odds.no, odds.yes)
        else:
            self._narrow(step, 0, odds.no)
        odds.learn(bit)
        return bit

    def raw(self, width: int, number: int = 0) -> int:
        """See `Coder`."""
        number, left = 0, width
        while left > 0:
            now = min(left, _RAW_AT_ONCE)
            left -= now
            step = self._range >> now
            part = min(self._code // step, (1 << now) - 1)
            self._narrow(step, part, 1)
            number = number << now | part
        return number

    def pick(self, below: Callable[[int], int], first: int, last: int, number: int = 0) -> int:  # noqa: ARG002 - one signature for both directions
        """See `Coder`."""
        base = below(first)
        step = self._range // (below(last + 1) - base)
        wanted = base + self._code // step
        low, high = first, last + 1
        low_sum, high_sum = base, None
        while high - low > 1:
            middle = (low + high) >> 1
            total = below(middle)
            if total <= wanted:
                low, low_sum = middle, total
            else:
                high, high_sum = middle, total
        size = (below(high) if high_sum is None else high_sum) - low_sum
        self._narrow(step, low_sum - base, size)
        return low

    def check_end(self) -> None:
        """Refuse bytes with something behind their end. Bytes that are missing are zeros: that is how they end.

        Raises:
            PackingError: there is something.
        """
        if self._at < len(self._data):
            raise PackingError("the packed bytes do not end where their contents do; they were joined or damaged")

    def _narrow(self, step: int, low: int, size: int) -> None:
        self._code -= step * low
        self._range = step * size
        while self._range < _LOW:
            byte = self._data[self._at] if self._at < len(self._data) else 0
            self._at += 1
            self._code = (self._code << 8 | byte) & _FULL
            self._range <<= 8
