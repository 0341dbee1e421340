"""The little of CBOR (RFC 8949) that a bundle's blocks consist of, with a bound on every length.

It is read with positions, so that check sums can be taken over the bytes as they came.
"""

from __future__ import annotations

from sync.protocol.errors import MalformedFrame

_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_IMMEDIATE = 24
_UINT, _BYTES, _TEXT, _ARRAY = 0, 2, 3, 4


class CborReader:
    """Reads from a position; anything else than what is asked for raises `MalformedFrame`."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self.at = at

    def peek(self) -> int:
        """The next byte, left in its place."""
        if self.at >= len(self._data):
            raise MalformedFrame("the bundle ends too early")
        return self._data[self.at]

    def major(self) -> int:
        """The major type of the next item."""
        return self.peek() >> 5

    def byte(self) -> int:
        """One byte."""
        value = self.peek()
        self.at += 1
        return value

    def between(self, begin: int, end: int) -> bytes:
        """Bytes that were read before."""
        return self._data[begin:end]

    def uint(self) -> int:
        """A number ≥ 0."""
        return self._head(_UINT)

    def byte_string(self) -> bytes:
        """A byte string."""
        return self._take(self._head(_BYTES))

    def text(self, most_bytes: int) -> str:
        """A string of at most that many bytes."""
        size = self._head(_TEXT)
        if size > most_bytes:
            raise MalformedFrame(f"a text of {size} bytes where at most {most_bytes} belong")
        try:
            return self._take(size).decode()
        except UnicodeDecodeError as error:
            raise MalformedFrame(f"text that is no UTF-8 ({error.reason})") from error

    def array(self, least: int, most: int) -> int:
        """The head of an array; how many items follow."""
        count = self._head(_ARRAY)
        if not least <= count <= most:
            raise MalformedFrame(f"an array of {count} items where {least} to {most} belong")
        return count

    def _head(self, major: int) -> int:
        first = self.byte()
        if first >> 5 != major:
            raise MalformedFrame("something else than a bundle's block holds")
        low = first & 0x1F
        if low < _IMMEDIATE:
            return low
        if low not in _WIDTHS:
            raise MalformedFrame("a length that is not told")
        return int.from_bytes(self._take(_WIDTHS[low]), "big")

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self.at:
            raise MalformedFrame("the bundle ends too early")
        self.at += count
        return self._data[self.at - count : self.at]


def uint_head(value: int, major: int = _UINT) -> bytes:
    """A number ≥ 0, or the head of an item of another major type and that length, as short as it goes."""
    if value < _IMMEDIATE:
        return bytes((major << 5 | value,))
    for low, width in _WIDTHS.items():
        if value < 1 << 8 * width:
            return bytes((major << 5 | low,)) + value.to_bytes(width, "big")
    raise ValueError(f"{value} needs more than 64 bits")


def text_head(text: str) -> bytes:
    """A string with its head."""
    raw = text.encode()
    return uint_head(len(raw), _TEXT) + raw
