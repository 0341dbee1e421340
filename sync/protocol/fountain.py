"""The fountain code under broadcasts: RaptorQ (RFC 6330), by the library `raptorq`, behind two functions and a class.

A packet is the payload id of RFC 6330, section 3.2 (source block 0 in one byte, symbol number in three) and a symbol.
The code is systematic: symbols below K are the bytes themselves. Where the library has no build (it has none for 64-bit
ARM) the same is done in plain Python (`sync.protocol.raptorq_code`), slower, and to the bit.
"""

from __future__ import annotations

from typing import Any

from sync.protocol.errors import MalformedFrame
from sync.protocol.raptorq_code import intermediate, symbol

ALIGNMENT = 8
"""Symbol sizes are multiples of it, as the library has them (RFC 6330, section 4.3)."""

PAYLOAD_ID_BYTES = 4


def has_library() -> bool:
    """Whether the library is here."""
    return _library() is not None


def source_symbols(size: int, symbol_bytes: int) -> int:
    """K: into how many symbols so many bytes are cut."""
    return -(-size // symbol_bytes)


def packets(data: bytes, *, symbol_bytes: int, repair: int) -> list[bytes]:
    """The source symbols and so many repair symbols, in this order."""
    library = _library()
    if library is not None:
        made: list[bytes] = library.Encoder.with_defaults(data, symbol_bytes).get_encoded_packets(repair)
        return sorted(made, key=lambda each: each[:PAYLOAD_ID_BYTES])
    starts = range(0, len(data), symbol_bytes)
    symbols = [data[start : start + symbol_bytes].ljust(symbol_bytes, b"\0") for start in starts]
    between = intermediate(len(symbols), dict(enumerate(symbols)), symbol_bytes)
    if between is None:
        raise AssertionError("the source symbols always determine the others (RFC 6330, section 5.6)")
    numbers = range(len(symbols), len(symbols) + repair)
    symbols += [symbol(len(starts), between, number) for number in numbers]
    return [number.to_bytes(PAYLOAD_ID_BYTES, "big") + each for number, each in enumerate(symbols)]


class Gatherer:
    """Takes symbols of one object until it is whole.

    Args:
        size: of the object in bytes.
        symbol_bytes: of each symbol.
    """

    def __init__(self, size: int, symbol_bytes: int) -> None:
        self._size, self._needed = size, source_symbols(size, symbol_bytes)
        self._symbol_bytes = symbol_bytes
        self._symbols: dict[int, bytes] = {}
        library = _library()
        self._decoder: Any = None if library is None else library.Decoder.with_defaults(size, symbol_bytes)

    def __len__(self) -> int:
        """How many different symbols have come."""
        return len(self._symbols)

    def add(self, packet: bytes) -> bytes | None:
        """The object, once it is whole (or what somebody else's symbols made of it).

        Raises:
            MalformedFrame: a symbol of a source block that there is not.
        """
        block, number = packet[0], int.from_bytes(packet[1:PAYLOAD_ID_BYTES], "big")
        if block:
            raise MalformedFrame("a symbol of a source block that no broadcast has")
        if number in self._symbols:
            return None
        if self._decoder is not None:
            self._symbols[number] = b""
            made = self._decoder.decode(packet)
            return None if made is None else bytes(made)
        self._symbols[number] = packet[PAYLOAD_ID_BYTES:]
        surplus = len(self._symbols) - self._needed
        # solving takes a second for the largest object: not with every symbol of a set that somebody has spoilt
        return self._solved() if surplus >= 0 and not surplus & (surplus - 1) else None

    def _solved(self) -> bytes | None:
        numbers = range(self._needed)
        have = {number: told for number, told in self._symbols.items() if number < self._needed}
        if len(have) < self._needed:
            between = intermediate(self._needed, self._symbols, self._symbol_bytes)
            if between is None:
                return None
            have |= {each: symbol(self._needed, between, each) for each in numbers if each not in have}
        return b"".join(have[each] for each in numbers)[: self._size]


def _library() -> Any:
    try:
        import raptorq
    except ImportError:
        return None
    return raptorq
