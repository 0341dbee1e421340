"""What a sealed frame holds: items, one after the other, each complete in itself.

    0x80 | flags << 3 | priority    a record (see `RecordPacker`)
    0x01  chunks of a larger record: transfer id (4), total bytes, first chunk, bytes, …
    0x02  records accepted: epoch, first seq, bitmap length (1), bitmap of the seqs after it
    0x03  the same for another origin: its name first
    0x04  chunks received: transfer id (4), all below, bitmap length (1), bitmap from there
    0x05  beacon: flags (1), Unix ms (6), free airtime in percent (1; 255 = no limit)
    0x06  you are behind: the highest counter seen
    0x07  welcome: the core's name
    0x08  refused: reason (1)
    0x09  echo: the last two bytes of the newest counter that came by this link
    0x40-0x7f  later versions: length, then that many bytes to skip

Numbers without a width are varints, text has a length byte (`sync.protocol.wire`), bitmaps have their first bit lowest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from sync.protocol.errors import MalformedFrame
from sync.protocol.peers import RefusalReason
from sync.protocol.records import Priority, Record, RecordId
from sync.protocol.wire import Reader, short_text, varint, zigzag

WIRE_EPOCH_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z: times near it are short on the wire."""

KINDS = (
    "",
    "alert",
    "receipt",
    "readings",
    "forecast",
    "quiz",
    "message",
    "summary",
    "status",
    "advice",
    "file",
)
"""Kinds with a one-byte code: their index. Only ever append. 0 spells the kind out."""

MAX_KIND = 32
MAX_LIFETIME_S = 2**40
BITMAP_BYTES = 24
"""Per item that acknowledges records: 192 seqs beyond the first."""

CHUNKS_HEADER_BYTES = 13
"""At most: type, transfer id, and varints for 256 KiB, 3,300 chunks and 60 kB."""

_RECORD = 0x80
_TIME_BYTES = 6
_TRANSFER_BYTES = 4
_LATER, _LATER_END = 0x40, 0x80


class Code(IntEnum):
    """The item types that are no records."""

    PADDING = 0
    CHUNKS = 1
    ACCEPTED = 2
    ACCEPTED_OF = 3
    RECEIVED = 4
    BEACON = 5
    BEHIND = 6
    WELCOME = 7
    REFUSED = 8
    ECHO = 9


class RecordFlag(IntFlag):
    """What of a record is spelled out."""

    ORIGIN = 1
    ADDRESSEE = 2
    LIFETIME = 4
    EPOCH = 8


@dataclass(frozen=True)
class Chunks:
    """Consecutive chunks of a larger record's encoding."""

    transfer: bytes
    total_bytes: int
    first: int
    data: bytes


@dataclass(frozen=True)
class Accepted:
    """These records are committed over there. `origin` "" = the receiver of this item."""

    origin: str
    epoch: int
    seqs: tuple[int, ...]


@dataclass(frozen=True)
class Received:
    """Which chunks of a transfer have come: all below `below`, and those from there whose bit is set."""

    transfer: bytes
    below: int
    bitmap: bytes

    def has(self, index: int) -> bool | None:
        """Whether that chunk has come; None if this does not say."""
        if index < self.below:
            return True
        byte, bit = divmod(index - self.below, 8)
        return bool(self.bitmap[byte] >> bit & 1) if byte < len(self.bitmap) else None


@dataclass(frozen=True)
class Beacon:
    """A sign of life with the time over there."""

    time_ms: int
    trusted: bool = False
    wants_answer: bool = False
    free_airtime_percent: int | None = None


@dataclass(frozen=True)
class Behind:
    """The receiver of this item uses counters that were seen before."""

    highest: int


@dataclass(frozen=True)
class Welcome:
    """The core has enrolled the kit."""

    name: str


@dataclass(frozen=True)
class Refused:
    """The core does not enrol the kit."""

    reason: RefusalReason


@dataclass(frozen=True)
class Echo:
    """The newest frame that came by this link; the time until it comes back is the round trip."""

    counter_low: int


Item = Record | Chunks | Accepted | Received | Beacon | Behind | Welcome | Refused | Echo


class RecordPacker:
    """Encodes records of one frame, each against the one before it, so that a frame of many small ones is short."""

    def __init__(self, our_unit: str) -> None:
        self._us = our_unit
        self._epoch, self._seq, self._created_ms = -1, 0, WIRE_EPOCH_MS

    def encode(self, record: Record) -> bytes:
        """The item; call `keep` if it goes into the frame."""
        origin, epoch, seq = record.id
        flags = _flag(RecordFlag.ORIGIN, when=origin != self._us) | _flag(RecordFlag.EPOCH, when=epoch != self._epoch)
        flags |= _flag(RecordFlag.ADDRESSEE, when=bool(record.addressee))
        flags |= _flag(RecordFlag.LIFETIME, when=record.lifetime_s is not None)
        code = KINDS.index(record.kind) if record.kind in KINDS[1:] else 0
        return b"".join(
            (
                bytes((_RECORD | flags << 3 | record.priority, code)),
                b"" if code else short_text(record.kind),
                short_text(origin) if flags & RecordFlag.ORIGIN else b"",
                varint(epoch) if flags & RecordFlag.EPOCH else b"",
                zigzag(seq - self._seq),
                zigzag(record.created_ms - self._created_ms),
                varint(record.lifetime_s) if record.lifetime_s is not None else b"",
                short_text(record.addressee) if record.addressee else b"",
                varint(len(record.body)),
                record.body,
            )
        )

    def keep(self, record: Record) -> None:
        """The next one is encoded against this one."""
        self._epoch, self._seq, self._created_ms = record.id.epoch, record.id.seq, record.created_ms


def _flag(flag: RecordFlag, *, when: bool) -> RecordFlag:
    return flag if when else RecordFlag(0)


def encode_chunks(chunks: Chunks) -> bytes:
    """The item."""
    return b"".join(
        (
            bytes((Code.CHUNKS,)),
            chunks.transfer,
            varint(chunks.total_bytes),
            varint(chunks.first),
            varint(len(chunks.data)),
            chunks.data,
        )
    )


def encode_accepted(ids: Iterable[RecordId], *, peer: str) -> Iterator[tuple[bytes, list[RecordId]]]:
    """Items that acknowledge those records, each with the ids it covers."""
    left = sorted(set(ids))
    while left:
        origin, epoch, first = left[0]
        covered = [each for each in left if each[:2] == (origin, epoch) and each.seq - first <= 8 * BITMAP_BYTES]
        bits = sum(1 << (each.seq - first - 1) for each in covered[1:])
        bitmap = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
        head = bytes((Code.ACCEPTED,)) if origin == peer else bytes((Code.ACCEPTED_OF,)) + short_text(origin)
        yield head + varint(epoch) + varint(first) + bytes((len(bitmap),)) + bitmap, covered
        left = left[len(covered) :]


def encode_received(received: Received) -> bytes:
    """The item."""
    return (
        bytes((Code.RECEIVED,))
        + received.transfer
        + varint(received.below)
        + bytes((len(received.bitmap),))
        + received.bitmap
    )


def encode_beacon(beacon: Beacon) -> bytes:
    """The item."""
    free = 255 if beacon.free_airtime_percent is None else min(max(beacon.free_airtime_percent, 0), 100)
    flags = beacon.wants_answer | beacon.trusted << 1
    return bytes((Code.BEACON, flags)) + (beacon.time_ms % 2**48).to_bytes(_TIME_BYTES, "big") + bytes((free,))


def encode_behind(highest: int) -> bytes:
    """The item."""
    return bytes((Code.BEHIND,)) + varint(highest)


def encode_welcome(name: str) -> bytes:
    """The item."""
    return bytes((Code.WELCOME,)) + short_text(name.encode()[:60].decode(errors="ignore"))


_REASONS = tuple(RefusalReason)


def encode_refused(reason: RefusalReason) -> bytes:
    """The item."""
    return bytes((Code.REFUSED, _REASONS.index(reason)))


def encode_echo(counter: int) -> bytes:
    """The item."""
    return bytes((Code.ECHO,)) + (counter & 0xFFFF).to_bytes(2, "big")


def decode_items(plain: bytes, *, sender: str) -> list[Item]:
    """All items of a frame.

    Raises:
        MalformedFrame: one of them makes no sense; then none is to be believed.
    """
    items: list[Item] = []
    reader, before = Reader(plain), _Before()
    while reader.left:
        head = reader.byte()
        if head & _RECORD:
            items.append(_read_record(reader, head, before, sender=sender))
        elif _LATER <= head < _LATER_END:
            reader.take(reader.varint())
        elif head == Code.PADDING:
            break
        else:
            items.append(_read_item(reader, head))
    return items


def decode_record(blob: bytes, *, sender: str) -> Record:
    """The one record that was cut into chunks.

    Raises:
        MalformedFrame: it is none.
    """
    items = decode_items(blob, sender=sender)
    if len(items) != 1 or not isinstance(items[0], Record):
        raise MalformedFrame("the chunks of a transfer make no record")
    return items[0]


class _Before:
    """What the next record of a frame is encoded against."""

    epoch, seq, created_ms = -1, 0, WIRE_EPOCH_MS


def _read_record(reader: Reader, head: int, before: _Before, *, sender: str) -> Record:
    flags, priority = RecordFlag(head >> 3 & 0xF), head & 0x7
    code = reader.byte()
    if priority > max(Priority) or code >= len(KINDS):
        raise MalformedFrame(f"a record of the unknown priority {priority} or kind {code}")
    kind = KINDS[code] if code else reader.short_text()
    if not 0 < len(kind) <= MAX_KIND or not kind.isascii() or not kind.isprintable():
        raise MalformedFrame("a record whose kind is empty, too long or not ASCII")
    origin = reader.short_text() if flags & RecordFlag.ORIGIN else sender
    before.epoch = reader.varint() if flags & RecordFlag.EPOCH else before.epoch
    before.seq += reader.zigzag()
    before.created_ms += reader.zigzag()
    if before.epoch < 0 or before.seq < 1 or not -(2**62) < before.created_ms < 2**62:
        raise MalformedFrame("a record without an epoch, or with an impossible number or time")
    lifetime_s = reader.varint() if flags & RecordFlag.LIFETIME else None
    if lifetime_s is not None and not 0 < lifetime_s <= MAX_LIFETIME_S:
        raise MalformedFrame(f"a record that lives for {lifetime_s} s")
    addressee = reader.short_text() if flags & RecordFlag.ADDRESSEE else ""
    return Record(
        id=RecordId(origin, before.epoch, before.seq),
        kind=kind,
        priority=Priority(priority),
        created_ms=before.created_ms,
        lifetime_s=lifetime_s,
        addressee=addressee,
        body=reader.take(reader.varint()),
    )


def _read_item(reader: Reader, head: int) -> Item:  # noqa: PLR0911 - a table of item types
    match head:
        case Code.CHUNKS:
            transfer, total, first = reader.take(_TRANSFER_BYTES), reader.varint(), reader.varint()
            return Chunks(transfer, total, first, reader.take(reader.varint()))
        case Code.ACCEPTED | Code.ACCEPTED_OF:
            origin = reader.short_text() if head == Code.ACCEPTED_OF else ""
            epoch, first = reader.varint(), reader.varint()
            return Accepted(origin, epoch, (first, *(first + 1 + bit for bit in _bits(reader.take(reader.byte())))))
        case Code.RECEIVED:
            transfer, below = reader.take(_TRANSFER_BYTES), reader.varint()
            return Received(transfer, below, reader.take(reader.byte()))
        case Code.BEACON:
            flags, time_ms, free = reader.byte(), int.from_bytes(reader.take(_TIME_BYTES), "big"), reader.byte()
            return Beacon(time_ms, bool(flags & 2), bool(flags & 1), None if free > 100 else free)  # noqa: PLR2004 - percent
        case Code.BEHIND:
            return Behind(reader.varint())
        case Code.WELCOME:
            return Welcome(reader.short_text())
        case Code.REFUSED:
            code = reader.byte()
            return Refused(_REASONS[code] if code < len(_REASONS) else RefusalReason.UNKNOWN)
        case Code.ECHO:
            return Echo(int.from_bytes(reader.take(2), "big"))
        case _:
            raise MalformedFrame(f"an item of the unknown type {head:#x}")


def _bits(bitmap: Sequence[int]) -> Iterator[int]:
    for index, byte in enumerate(bitmap):
        yield from (8 * index + bit for bit in range(8) if byte >> bit & 1)
