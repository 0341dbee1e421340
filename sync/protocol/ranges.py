"""Sets of whole numbers kept as ranges: which bytes of a record have come, or are still to go. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator


class Ranges:
    """Disjoint half-open ranges in order; a transfer has few of them however many bytes it has.

    Args:
        ranges: (start, end) pairs to begin with.
    """

    __slots__ = ("_ranges",)

    def __init__(self, *ranges: tuple[int, int]) -> None:
        self._ranges: list[tuple[int, int]] = []
        for start, end in ranges:
            self.add(start, end)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._ranges)

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def __len__(self) -> int:
        return len(self._ranges)

    @property
    def total(self) -> int:
        """How many numbers are in it."""
        return sum(end - start for start, end in self._ranges)

    def add(self, start: int, end: int) -> None:
        """Put that range in; what touches it becomes one range."""
        if start >= end:
            return
        at = bisect_left(self._ranges, (start, start))
        if at and self._ranges[at - 1][1] >= start:
            at -= 1
            start = self._ranges[at][0]
        last = at
        while last < len(self._ranges) and self._ranges[last][0] <= end:
            end = max(end, self._ranges[last][1])
            last += 1
        self._ranges[at:last] = [(start, end)]

    def remove(self, start: int, end: int) -> None:
        """Take that range out."""
        if start >= end:
            return
        at = bisect_left(self._ranges, (start, start))
        if at and self._ranges[at - 1][1] > start:
            at -= 1
        last, kept = at, []
        while last < len(self._ranges) and self._ranges[last][0] < end:
            first, after = self._ranges[last]
            kept += [(first, start)] if first < start else []
            kept += [(end, after)] if after > end else []
            last += 1
        self._ranges[at:last] = kept

    def covers(self, start: int, end: int) -> bool:
        """Whether the whole range is in it."""
        at = bisect_left(self._ranges, (start, start))
        candidates = self._ranges[max(at - 1, 0) : at + 1]
        return start >= end or any(first <= start and end <= after for first, after in candidates)

    def without(self, other: Ranges) -> Ranges:
        """What is in this one and not in the other."""
        left = Ranges()
        left._ranges = list(self._ranges)
        for start, end in other:
            left.remove(start, end)
        return left
