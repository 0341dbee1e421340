"""The small change of the wire: varints and short strings, read with a bound on every length.

A varint is LEB128, least significant group first (as in Protocol Buffers); signed numbers are zigzagged.
"""

from __future__ import annotations

from sync.protocol.errors import MalformedFrame

_GROUP = 0x7F
_MAX_TEXT = 0xFF
MAX_VARINT_BYTES = 9
"""63 bits: every number here fits SQLite's INTEGER."""


_SHORT = tuple(bytes((value,)) for value in range(_GROUP + 1))


def varint(value: int) -> bytes:
    """A number ≥ 0."""
    if 0 <= value <= _GROUP:
        return _SHORT[value]
    if value < 0:
        raise ValueError(f"{value} is negative; use zigzag")
    out = bytearray()
    while value > _GROUP:
        out.append(value & _GROUP | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag_number(value: int) -> int:
    """A signed number as one that is not: 0, -1, 1, -2 become 0, 1, 2, 3, and so on."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def zigzag(value: int) -> bytes:
    """A signed number: 0, -1, 1, -2 become 0, 1, 2, 3, and so on."""
    return varint(zigzag_number(value))


def short_text(text: str) -> bytes:
    """At most 255 bytes of UTF-8 behind their length."""
    raw = text.encode()
    if len(raw) > _MAX_TEXT:
        raise ValueError(f"{text[:20]!r}… is {len(raw)} bytes long; at most 255 fit")
    return bytes((len(raw),)) + raw


class Reader:
    """Reads from the front; anything that is not there raises `MalformedFrame`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        """Exactly that many bytes."""
        if count > self.left:
            raise MalformedFrame(f"{count} bytes are announced where only {self.left} are left")
        self._at += count
        return self._data[self._at - count : self._at]

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self.left)

    def byte(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def varint(self) -> int:
        """A number ≥ 0."""
        value = 0
        for index in range(MAX_VARINT_BYTES):
            byte = self.byte()
            value |= (byte & _GROUP) << (7 * index)
            if not byte & 0x80:
                return value
        raise MalformedFrame("a number is longer than 63 bits")

    def zigzag(self) -> int:
        """A signed number."""
        value = self.varint()
        return (value >> 1) if not value & 1 else -(value + 1 >> 1)

    def short_text(self) -> str:
        """A string behind its length byte."""
        try:
            return self.take(self.byte()).decode()
        except UnicodeDecodeError as error:
            raise MalformedFrame(f"text that is no UTF-8 ({error.reason})") from error
