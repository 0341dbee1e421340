"""What a sealed frame holds: items, one after the other, each complete in itself.

    0x80 | flags << 3 | priority    a record (`sync.protocol.record_items`)
    0x01  a piece of a larger record: transfer id (4), first byte, if that is 0 total bytes, bytes (0 = the rest of the
          frame), …
    0x02  records accepted: epoch, first seq, bitmap length (1), bitmap of the seqs after it
    0x03  the same for another origin: its name first
    0x04  what has come of a transfer: transfer id (4), number of ranges (1), of each the gap before it and its length
    0x05  beacon (`sync.protocol.beacons`)
    0x06  you are behind: the highest counter seen
    0x07  welcome: the core's name
    0x08  refused: reason (1)
    0x09  heard by this link: the last two bytes of a counter, bitmap length (1), bitmap of the counters before it
    0x0A  context: our epoch, which records in this frame and in later short ones need not spell
    0x0C  life: the ephemeral X25519 key of the sender's present life (32)
    0x0E  accepted, in what is carried by hand: origin (text, empty = the receiver), epoch, first seq, count, of each
          from there the digest of what is held (4)
    0x0D  to: the salt (4) of the life that what this full frame says has come is said to
    0x0B  wait: for so many seconds nothing can be stored here
    0x40  kept apart: length, then origin (text, empty = the receiver), epoch, seq, digest (4) of the record that came
          though another one is held under its name
    0x41-0x7f  later versions: length, then that many bytes to skip

Numbers without a width are varints, text has a length byte (`sync.protocol.wire`), bitmaps have their first bit lowest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from sync.protocol.beacons import Beacon, Holding, Position, encode_ranges, read_beacon, read_ranges
from sync.protocol.beacons import encode_beacon as _encode_beacon
from sync.protocol.errors import MalformedFrame
from sync.protocol.peers import RefusalReason
from sync.protocol.ranges import Ranges
from sync.protocol.record_items import KINDS, MAX_KIND, RECORD, WIRE_EPOCH_MS, Before, RecordPacker, read_record
from sync.protocol.records import DIGEST_BYTES, Record, RecordId
from sync.protocol.wire import Reader, short_text, varint

__all__ = [
    "KINDS",
    "MAX_KIND",
    "WIRE_EPOCH_MS",
    "Accepted",
    "AcceptedAs",
    "Apart",
    "Beacon",
    "Behind",
    "Code",
    "Context",
    "Heard",
    "Holding",
    "Item",
    "Life",
    "Piece",
    "Position",
    "Received",
    "RecordPacker",
    "Refused",
    "To",
    "Wait",
    "Welcome",
    "decode_items",
    "decode_record",
]

BITMAP_BYTES = 24
"""Per item that acknowledges records: 192 seqs beyond the first."""

MAX_PIECE_HEADER_BYTES = 14
"""At most: type, transfer id, and three varints below 2^21."""

MAX_WAIT_S = 3600
"""However long the other side asks to wait, it is asked again after an hour."""

_TRANSFER_BYTES = 4
_KEY_BYTES = 32
_SALT_BYTES = 4
_LATER, _LATER_END = 0x40, 0x80


class Code(IntEnum):
    """The item types that are no records."""

    PADDING = 0
    PIECE = 1
    ACCEPTED = 2
    ACCEPTED_OF = 3
    RECEIVED = 4
    BEACON = 5
    BEHIND = 6
    WELCOME = 7
    REFUSED = 8
    HEARD = 9
    CONTEXT = 10
    WAIT = 11
    LIFE = 12
    TO = 13
    ACCEPTED_AS = 14
    APART = 0x40


@dataclass(frozen=True)
class Piece:
    """A part of a larger record's encoding. `total_bytes` is told by the first piece only."""

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
class AcceptedAs:
    """The records from `first` on are committed over there, with these digests. `origin` "" = the receiver of this."""

    origin: str
    epoch: int
    first: int
    digests: tuple[bytes, ...]


@dataclass(frozen=True)
class Received:
    """Which bytes of a transfer have come."""

    transfer: bytes
    ranges: Ranges


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
    """The core does not enrol the kit, or no longer talks to it."""

    reason: RefusalReason


@dataclass(frozen=True)
class Heard:
    """Of this link's frames these were taken and their records committed: the named one, and 1 + i before it, bit i.

    What lies before the bitmap was heard of earlier, or never came.
    """

    counter_low: int
    bitmap: bytes = b""


@dataclass(frozen=True)
class Context:
    """The epoch of its sender."""

    epoch: int


@dataclass(frozen=True)
class Wait:
    """Nothing can be stored over there; to be tried again after so many seconds."""

    seconds: int


@dataclass(frozen=True)
class Life:
    """The sender's ephemeral X25519 public key."""

    public: bytes


@dataclass(frozen=True)
class To:
    """The life of the receiver to which the acknowledgements of a full frame are said, by its salt.

    Another unit with the same keys (a copied SD card) numbers frames and records as this one does: it must not take
    them for its own.
    """

    salt: int


@dataclass(frozen=True)
class Apart:
    """That record was not committed over there, because another one is held under its name: it needs a new one.

    The digest says which of the two is meant: with a copied SD card both have that name.
    """

    record: RecordId
    digest: bytes


Item = (
    Record
    | Apart
    | Piece
    | Accepted
    | AcceptedAs
    | Received
    | Beacon
    | Behind
    | Welcome
    | Refused
    | Heard
    | Context
    | Wait
    | Life
    | To
)


def encode_piece(piece: Piece, *, to_the_end: bool = False) -> bytes:
    """The item; `to_the_end` = it is the last of its frame, so that its length need not be said."""
    return b"".join(
        (
            bytes((Code.PIECE,)),
            piece.transfer,
            varint(piece.first),
            b"" if piece.first else varint(piece.total_bytes),
            varint(0 if to_the_end else len(piece.data)),
            piece.data,
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


def encode_received(received: Received, *, room: int = 200) -> bytes:
    """The item; ranges that do not fit into that many bytes are left out (their bytes will come again)."""
    ranges = tuple(received.ranges)[: min(255, (room - 6) // 6)]
    return bytes((Code.RECEIVED,)) + received.transfer + encode_ranges(0, ranges)


def encode_beacon(beacon: Beacon) -> bytes:
    """The item."""
    return _encode_beacon(Code.BEACON, beacon)


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


def encode_heard(heard: Heard) -> bytes:
    """The item."""
    return bytes((Code.HEARD,)) + heard.counter_low.to_bytes(2, "big") + bytes((len(heard.bitmap),)) + heard.bitmap


def encode_context(epoch: int) -> bytes:
    """The item."""
    return bytes((Code.CONTEXT,)) + varint(epoch)


def encode_life(public: bytes) -> bytes:
    """The item."""
    return bytes((Code.LIFE,)) + public


def encode_to(salt: int) -> bytes:
    """The item."""
    return bytes((Code.TO,)) + salt.to_bytes(_SALT_BYTES, "big")


def encode_wait(seconds: int) -> bytes:
    """The item."""
    return bytes((Code.WAIT,)) + varint(seconds)


def encode_apart(apart: Apart, *, peer: str) -> bytes:
    """The item."""
    origin, epoch, seq = apart.record
    told = short_text("" if origin == peer else origin) + varint(epoch) + varint(seq) + apart.digest
    return bytes((Code.APART,)) + varint(len(told)) + told


def decode_items(plain: bytes, *, sender: str, epoch: int = -1) -> list[Item]:
    """All items of a frame.

    Args:
        plain: what was sealed.
        sender: the origin of records that spell none.
        epoch: the sender's, as an earlier frame of the conversation told it; -1 = none has.

    Raises:
        MalformedFrame: one of them makes no sense; then none is to be believed.
    """
    items: list[Item] = []
    reader, before = Reader(plain), Before(epoch)
    while reader.left:
        head = reader.byte()
        if head & RECORD:
            items.append(read_record(reader, head, before, sender=sender))
        elif _LATER <= head < _LATER_END:
            told = reader.take(reader.varint())
            if head == Code.APART:
                items.append(_read_apart(Reader(told)))
        elif head == Code.PADDING:
            break
        else:
            item = _read_item(reader, head)
            if isinstance(item, Context):
                before.epoch = item.epoch
            items.append(item)
    return items


def decode_record(blob: bytes, *, sender: str) -> Record:
    """The one record that was cut into pieces.

    Raises:
        MalformedFrame: it is none.
    """
    items = decode_items(blob, sender=sender)
    if len(items) != 1 or not isinstance(items[0], Record):
        raise MalformedFrame("the pieces of a transfer make no record")
    return items[0]


def _read_item(reader: Reader, head: int) -> Item:  # noqa: C901, PLR0911, PLR0912 - a table of item types
    match head:
        case Code.PIECE:
            transfer, first = reader.take(_TRANSFER_BYTES), reader.varint()
            total = 0 if first else reader.varint()
            length = reader.varint()
            return Piece(transfer, total, first, reader.take(length) if length else reader.rest())
        case Code.ACCEPTED | Code.ACCEPTED_OF:
            origin = reader.short_text() if head == Code.ACCEPTED_OF else ""
            epoch, first = reader.varint(), reader.varint()
            return Accepted(origin, epoch, (first, *(first + 1 + bit for bit in _bits(reader.take(reader.byte())))))
        case Code.ACCEPTED_AS:
            return _read_accepted_as(reader)
        case Code.RECEIVED:
            return Received(reader.take(_TRANSFER_BYTES), read_ranges(reader, 0))
        case Code.BEACON:
            return read_beacon(reader)
        case Code.BEHIND:
            return Behind(reader.varint())
        case Code.WELCOME:
            return Welcome(reader.short_text())
        case Code.REFUSED:
            code = reader.byte()
            return Refused(_REASONS[code] if code < len(_REASONS) else RefusalReason.UNKNOWN)
        case Code.HEARD:
            counter_low = int.from_bytes(reader.take(2), "big")
            return Heard(counter_low, reader.take(reader.byte()))
        case Code.CONTEXT:
            return Context(reader.varint())
        case Code.LIFE:
            return Life(reader.take(_KEY_BYTES))
        case Code.TO:
            return To(int.from_bytes(reader.take(_SALT_BYTES), "big"))
        case Code.WAIT:
            return Wait(min(reader.varint(), MAX_WAIT_S))
        case _:
            raise MalformedFrame(f"an item of the unknown type {head:#x}")


def _read_apart(reader: Reader) -> Apart:
    origin, epoch, seq = reader.short_text(), reader.varint(), reader.varint()
    return Apart(RecordId(origin, epoch, seq), reader.take(DIGEST_BYTES))


def _read_accepted_as(reader: Reader) -> AcceptedAs:
    origin, epoch, first, count = reader.short_text(), reader.varint(), reader.varint(), reader.varint()
    told = reader.take(count * DIGEST_BYTES)
    digests = tuple(told[at : at + DIGEST_BYTES] for at in range(0, len(told), DIGEST_BYTES))
    return AcceptedAs(origin, epoch, first, digests)


def _bits(bitmap: Sequence[int]) -> Iterator[int]:
    for index, byte in enumerate(bitmap):
        yield from (8 * index + bit for bit in range(8) if byte >> bit & 1)
