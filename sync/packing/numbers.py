"""Numbers about which little is known: how long they are is learnt, their digits are not."""

from __future__ import annotations

from sync.packing.coder import Bit, Coder
from sync.packing.errors import PackingError

MAX_BITS = 72
"""No time in milliseconds, no double and no difference of two is longer; a hostile length ends here."""


class Lengths:
    """Codes a number as its length in bits, then the bits below the leading one.

    Args:
        short: how long most numbers are thought to be before any was seen, in bits.
    """

    def __init__(self, short: int = 0) -> None:
        self._longer = [Bit(1, 3) if at < short else Bit(2, 2) for at in range(MAX_BITS)]
        self._signs = Bit()

    def natural(self, coder: Coder, number: int = 0) -> int:
        """A number from 0.

        Raises:
            PackingError: it is longer than `MAX_BITS`.
        """
        length, wanted = 0, number.bit_length()
        if wanted > MAX_BITS:
            raise PackingError(f"a number of {wanted} bits cannot be packed; at most {MAX_BITS} can")
        while length < MAX_BITS and coder.bit(self._longer[length], int(wanted > length)):
            length += 1
        if length < 2:  # noqa: PLR2004 - 0 and 1 have no bits below the leading one
            return length
        rest = length - 1
        return 1 << rest | coder.raw(rest, number & ((1 << rest) - 1))

    def signed(self, coder: Coder, number: int = 0) -> int:
        """A number of either sign."""
        size = self.natural(coder, abs(number))
        return -size if size and coder.bit(self._signs, int(number < 0)) else size
