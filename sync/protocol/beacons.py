"""Beacons: what a side tells of itself, so that the other knows what to send, and what it need not.

    type (1), flags (1), seconds; then, as the flags say, in this order:
    4   free airtime in percent (1)
    8   position: our epoch, bitmap of priorities (1), the highest seq of any; of each priority in the bitmap, from the
        most urgent, how far its highest seq is below that
    16  holdings: how many (1); of each: epoch, all below this seq, number of ranges (1), of each the gap before it and
        its length

Flag 1 asks for an answer. Flag 2: the time is trusted, and the seconds are counted from WIRE_EPOCH_MS; without it they
are counted from the start of the sender's machine and order its beacons, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sync.protocol.errors import MalformedFrame
from sync.protocol.ranges import Ranges
from sync.protocol.record_items import WIRE_EPOCH_MS
from sync.protocol.wire import Reader, varint

MAX_HOLDINGS = 3
"""Epochs that a beacon speaks of: the newest ones."""

MAX_RANGES = 8
"""Per epoch: what lies beyond the eighth gap is left for the next beacon."""

NO_LIMIT_PERCENT = 100
_WANTS_ANSWER, _TRUSTED, _FREE, _POSITION, _HOLDINGS = 1, 2, 4, 8, 16


@dataclass(frozen=True)
class Holding:
    """What its sender holds of the receiver's records of one epoch: all below a seq, and ranges from there on."""

    epoch: int
    below: int
    ranges: tuple[tuple[int, int], ...] = ()

    def has(self, seq: int) -> bool:
        """Whether that one is held."""
        return seq < self.below or any(start <= seq < end for start, end in self.ranges)

    @property
    def told_up_to(self) -> int | None:
        """From there on nothing is said, because there was no room; None = all is said."""
        return self.ranges[-1][1] if len(self.ranges) >= MAX_RANGES else None

    def missing(self, *, newest: int) -> Iterator[tuple[int, int]]:
        """The ranges up to and with `newest` that are not held."""
        at = self.below
        for start, end in self.ranges:
            if at < start:
                yield at, start
            at = end
        if self.told_up_to is None and at <= newest:
            yield at, newest + 1


@dataclass(frozen=True)
class Position:
    """How far the sender's own records go: its epoch, and the highest seq of each priority (0 = none)."""

    epoch: int
    highest: tuple[int, ...] = ()


@dataclass(frozen=True)
class Beacon:
    """A sign of life."""

    time_ms: int
    trusted: bool = False
    wants_answer: bool = False
    free_airtime_percent: int | None = None
    position: Position | None = None
    holdings: tuple[Holding, ...] = field(default=())


@dataclass(frozen=True)
class BeaconFacts:
    """What a beacon tells of us; what must be looked up is asked for only when a beacon is due."""

    time_ms: int
    trusted: bool = False
    free_airtime_percent: int | None = None
    position: Callable[[], Position | None] = lambda: None
    holdings: Callable[[], tuple[Holding, ...]] = tuple


NOTHING = Holding(0, 1)
"""Whoever holds nothing at all says so: an empty list would be taken for a beacon that does not speak of it."""


def lacking(holdings: Sequence[Holding], epochs: Mapping[int, int]) -> Iterator[tuple[int, int, int]]:
    """Which of our records a peer with those holdings lacks.

    Args:
        holdings: as the beacon tells them.
        epochs: of ours, each with its highest seq.

    Yields:
        epoch, first seq and the seq after the last; of an epoch older than all that a full list names, nothing.
    """
    told = {each.epoch: each for each in holdings}
    oldest = min(told) if len(told) >= MAX_HOLDINGS else 0
    for epoch, newest in epochs.items():
        if epoch >= oldest:
            for start, end in told.get(epoch, Holding(epoch, 1)).missing(newest=newest):
                yield epoch, start, end


def encode_beacon(code: int, beacon: Beacon) -> bytes:
    """The item."""
    start_ms = WIRE_EPOCH_MS if beacon.trusted else 0
    flags = (_WANTS_ANSWER if beacon.wants_answer else 0) | (_TRUSTED if beacon.trusted else 0)
    parts = [varint(max(beacon.time_ms - start_ms, 0) // 1000)]
    if beacon.free_airtime_percent is not None:
        flags |= _FREE
        parts.append(bytes((min(max(beacon.free_airtime_percent, 0), 100),)))
    if beacon.position is not None:
        flags |= _POSITION
        parts.append(_position(beacon.position))
    if beacon.holdings:
        flags |= _HOLDINGS
        told = beacon.holdings[:MAX_HOLDINGS]
        parts += [bytes((len(told),)), *(_holding(each) for each in told)]
    return bytes((code, flags)) + b"".join(parts)


def read_beacon(reader: Reader) -> Beacon:
    """The beacon behind the type byte.

    Raises:
        MalformedFrame: it makes no sense.
    """
    flags, seconds = reader.byte(), reader.varint()
    free = reader.byte() if flags & _FREE else None
    position = _read_position(reader) if flags & _POSITION else None
    count = reader.byte() if flags & _HOLDINGS else 0
    return Beacon(
        time_ms=seconds * 1000 + (WIRE_EPOCH_MS if flags & _TRUSTED else 0),
        trusted=bool(flags & _TRUSTED),
        wants_answer=bool(flags & _WANTS_ANSWER),
        free_airtime_percent=free if free is None or free <= NO_LIMIT_PERCENT else None,
        position=position,
        holdings=tuple(_read_holding(reader) for _ in range(count)),
    )


def _position(position: Position) -> bytes:
    top = max(position.highest, default=0)
    there = [(priority, seq) for priority, seq in enumerate(position.highest) if seq]
    bitmap = sum(1 << priority for priority, _ in there)
    return varint(position.epoch) + bytes((bitmap,)) + varint(top) + b"".join(varint(top - seq) for _, seq in there)


def _read_position(reader: Reader) -> Position:
    epoch, bitmap, top = reader.varint(), reader.byte(), reader.varint()
    highest = tuple(max(top - reader.varint(), 0) if bitmap >> priority & 1 else 0 for priority in range(8))
    return Position(epoch, highest[:6])


def _holding(holding: Holding) -> bytes:
    return varint(holding.epoch) + varint(holding.below) + encode_ranges(holding.below, holding.ranges[:MAX_RANGES])


def _read_holding(reader: Reader) -> Holding:
    epoch, below = reader.varint(), reader.varint()
    return Holding(epoch, below, tuple(read_ranges(reader, below)))


def encode_ranges(start: int, ranges: tuple[tuple[int, int], ...]) -> bytes:
    """How many, and of each the gap before it and its length."""
    parts, at = [bytes((len(ranges),))], start
    for first, end in ranges:
        parts += [varint(first - at), varint(end - first)]
        at = end
    return b"".join(parts)


def read_ranges(reader: Reader, start: int) -> Ranges:
    """What `encode_ranges` wrote.

    Raises:
        MalformedFrame: a number is impossible.
    """
    found, at = Ranges(), start
    for _ in range(reader.byte()):
        first = at + reader.varint()
        at = first + reader.varint()
        if at >= 2**62:
            raise MalformedFrame("a range beyond all numbers")
        found.add(first, at)
    return found
