"""RaptorQ (RFC 6330) in plain Python, for machines for which the library `raptorq` has no build. One source block.

Only as much as broadcasts need: K up to 1,332 symbols. Rows over GF(2) are long integers, the symbol above the
coefficients, so that adding two rows is one operation; only the few HDPC rows are over GF(256) (section 5.7). The
equations are those of section 5.3.3; how they are solved is free, and here the HDPC rows come last.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sync.protocol.raptorq_tables import DEGREES, INDICES, RANDOM

_POLYNOMIAL = 0x11D
_ORDER = 255


def _powers() -> tuple[list[int], list[int]]:
    powers, logs, value = [0] * (2 * _ORDER), [0] * 256, 1
    for exponent in range(_ORDER):
        powers[exponent] = powers[exponent + _ORDER] = value
        logs[value] = exponent
        value = value << 1 ^ (_POLYNOMIAL if value & 0x80 else 0)
    return powers, logs


_POWERS, _LOGS = _powers()


def _times(left: int, right: int) -> int:
    return _POWERS[_LOGS[left] + _LOGS[right]] if left and right else 0


_TIMES = [bytes(_times(factor, value) for value in range(256)) for factor in range(256)]
"""For `bytes.translate`: a symbol times a number."""


def _random(y: int, i: int, m: int) -> int:
    """Rand[y, i, m], section 5.3.5.1."""
    word = 0
    for shift, table in zip((0, 8, 16, 24), RANDOM, strict=True):
        word ^= table[((y >> shift) + i) & 0xFF]
    return word % m


@dataclass(frozen=True)
class _Block:
    """The parameters of a source block (section 5.3.3.3)."""

    source: int
    extended: int
    index: int
    ldpc: int
    hdpc: int
    lt: int

    @classmethod
    def of(cls, source: int) -> _Block:
        at = bisect_left(INDICES, (source,))
        extended, index, ldpc, hdpc, lt = INDICES[at]
        return cls(source, extended, index, ldpc, hdpc, lt)

    @property
    def all(self) -> int:
        """L, the intermediate symbols."""
        return self.extended + self.ldpc + self.hdpc

    def internal(self, symbol: int) -> int:
        """ISI of an ESI: padding lies between source and repair symbols (section 5.3.1)."""
        return symbol if symbol < self.source else symbol + self.extended - self.source

    def neighbours(self, x: int, prime: int) -> list[int]:
        """The intermediate symbols that make the symbol with that ISI (sections 5.3.5.3 and 5.3.5.4)."""
        w, p = self.lt, self.all - self.lt
        y = (10267 * (self.index + 1) + x * ((53591 + self.index * 997) | 1)) & 0xFFFFFFFF
        degree = min(bisect_left(DEGREES, _random(y, 0, 1 << 20) + 1), w - 2)
        a, b = 1 + _random(y, 1, w - 1), _random(y, 2, w)
        more = 2 + _random(x, 3, 2) if degree < 4 else 2  # noqa: PLR2004 - section 5.3.5.4
        a1, b1 = 1 + _random(x, 4, prime - 1), _random(x, 5, prime)
        found = [(b + a * each) % w for each in range(degree)]
        while more:
            if b1 < p:
                found.append(w + b1)
                more -= 1
            b1 = (b1 + a1) % prime
        return found

    def prime(self) -> int:
        """P1, the smallest prime that is no smaller than P."""
        found = self.all - self.lt
        while any(found % each == 0 for each in range(2, int(found**0.5) + 1)):
            found += 1
        return found


def _ldpc_rows(block: _Block) -> list[int]:
    """Sums of intermediate symbols that are zero (section 5.3.3.3)."""
    rows = [0] * block.ldpc
    for each in range(block.lt - block.ldpc):
        step, row = 1 + each // block.ldpc, each % block.ldpc
        for _ in range(3):
            rows[row] ^= 1 << each
            row = (row + step) % block.ldpc
    for row in range(block.ldpc):
        rows[row] ^= 1 << (block.lt - block.ldpc + row)
        for each in (row, row + 1):
            rows[row] ^= 1 << (block.lt + each % (block.all - block.lt))
    return rows


def _hdpc_rows(block: _Block) -> list[bytearray]:
    """The dense rows over GF(256): MT times GAMMA, and the identity (section 5.3.3.3)."""
    width, high = block.extended + block.ldpc, block.hdpc
    rows = [bytearray(block.all) for _ in range(high)]
    for row in range(high):
        rows[row][width - 1] = _POWERS[row]
        rows[row][width + row] = 1
    twice = _TIMES[2]
    for column in range(width - 2, -1, -1):
        first = _random(column + 1, 6, high)
        second = (first + _random(column + 1, 7, high - 1) + 1) % high
        for row in range(high):
            rows[row][column] = twice[rows[row][column + 1]] ^ (row in (first, second))
    return rows


def intermediate(source: int, symbols: Mapping[int, bytes], symbol_bytes: int) -> list[bytes] | None:
    """The intermediate symbols from received ones, or None where these do not determine them.

    Args:
        source: K.
        symbols: by ESI.
        symbol_bytes: of each.
    """
    block = _Block.of(source)
    prime, width, bits = block.prime(), block.all, 8 * symbol_bytes
    mask = (1 << width) - 1
    rows = _ldpc_rows(block)
    known = [(each, b"") for each in range(block.source, block.extended)]
    known += [(block.internal(each), symbol) for each, symbol in symbols.items()]
    for isi, symbol in known:
        row = int.from_bytes(symbol, "big") << width
        for each in block.neighbours(isi, prime):
            row ^= 1 << each
        rows.append(row)
    pivots, free = _reduce(rows, width)
    if len(free) > block.hdpc:
        return None
    solved = _solve_free(_hdpc_rows(block), pivots, free, width=width, symbol_bytes=symbol_bytes)
    if solved is None:
        return None
    made = dict(solved)
    for column, row in pivots.items():
        value, left = row >> width, row & mask & ~(1 << column)
        while left:
            low = left & -left
            value ^= int.from_bytes(made[low.bit_length() - 1], "big")
            left ^= low
        made[column] = value.to_bytes(bits // 8, "big")
    return [made[each] for each in range(width)]


def _reduce(rows: list[int], width: int) -> tuple[dict[int, int], list[int]]:
    """Gauss and Jordan over GF(2): by pivot column its row, in which only columns without a pivot are left."""
    mask = (1 << width) - 1
    pivots: dict[int, int] = {}
    while rows:
        # the sparsest first: what is dense makes the others dense
        at = min(range(len(rows)), key=lambda each: (rows[each] & mask).bit_count() or width + 1)
        row = rows.pop(at)
        coefficients = row & mask
        if not coefficients:
            break
        column = (coefficients & -coefficients).bit_length() - 1
        bit = 1 << column
        rows = [each ^ row if each & bit else each for each in rows]
        for each, other in pivots.items():
            if other & bit:
                pivots[each] = other ^ row
        pivots[column] = row
    return pivots, [each for each in range(width) if each not in pivots]


def _solve_free(
    dense: Sequence[bytearray], pivots: Mapping[int, int], free: Sequence[int], *, width: int, symbol_bytes: int
) -> dict[int, bytes] | None:
    """The columns without a pivot, from the HDPC rows once the pivots are taken out of them."""
    place = {column: at for at, column in enumerate(free)}
    known = []
    for column, row in pivots.items():
        few = bytearray(len(free))
        for each in free:
            few[place[each]] = row >> each & 1
        known.append((column, bytes(few) + (row >> width).to_bytes(symbol_bytes, "big")))
    size = len(free) + symbol_bytes
    rows = []
    for told in dense:
        total = int.from_bytes(bytes(told[each] for each in free) + bytes(symbol_bytes), "big")
        for column, row_bytes in known:
            if told[column]:
                total ^= int.from_bytes(row_bytes.translate(_TIMES[told[column]]), "big")
        rows.append(total.to_bytes(size, "big"))
    for at in range(len(free)):
        found = next((each for each in range(at, len(rows)) if rows[each][at]), None)
        if found is None:
            return None
        rows[at], rows[found] = rows[found], rows[at]
        rows[at] = rows[at].translate(_TIMES[_POWERS[_ORDER - _LOGS[rows[at][at]]]])
        for each in range(len(rows)):
            if each != at and rows[each][at]:
                other = rows[at].translate(_TIMES[rows[each][at]])
                rows[each] = bytes(left ^ right for left, right in zip(rows[each], other, strict=True))
    return {column: rows[at][len(free) :] for at, column in enumerate(free)}


def symbol(source: int, made: Sequence[bytes], number: int) -> bytes:
    """The encoding symbol with that ESI, from the intermediate symbols."""
    block = _Block.of(source)
    total = 0
    for each in block.neighbours(block.internal(number), block.prime()):
        total ^= int.from_bytes(made[each], "big")
    return total.to_bytes(len(made[0]), "big")
