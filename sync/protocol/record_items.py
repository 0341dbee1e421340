"""A record as an item of a frame.

    0x80 | flags << 3 | priority
    kind code (1), 0x80 added when an age stands in place of the time, 0x40 when the body is squeezed
    (`sync.protocol.words`); the kind as text if the code is 0
    origin (text) if flag 1, else the sender
    epoch if flag 8, else that of the record before, at first that of the context (`sync.protocol.items`)
    seq, signed, less that of the record before
    created: the number is `signed << 1` in whole seconds, or `signed << 1 | 1` in ms, less that of the record before
             (at first WIRE_EPOCH_MS); or the age in seconds
    lifetime if flag 4, addressee (text) if flag 2, length of the body, body

"The record before" is the one before in the same frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

from sync.protocol.errors import MalformedFrame
from sync.protocol.records import Priority, Record, RecordId
from sync.protocol.wire import Reader, short_text, varint, zigzag_number
from sync.protocol.words import squeeze, unsqueeze

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

_CODES = {kind: code for code, kind in enumerate(KINDS) if kind}

MAX_KIND = 32
MAX_LIFETIME_S = 2**40
MAX_AGE_S = 2**40
RECORD = 0x80
_AGED, _SQUEEZED = 0x80, 0x40
_SECOND_MS = 1000


class RecordFlag(IntFlag):
    """What of a record is spelled out."""

    ORIGIN = 1
    ADDRESSEE = 2
    LIFETIME = 4
    EPOCH = 8


@dataclass
class Before:
    """What the next record of a frame is encoded against."""

    epoch: int = -1
    seq: int = 0
    created_ms: int = WIRE_EPOCH_MS


class RecordPacker:
    """Encodes records of one frame, each against the one before it, so that a frame of many small ones is short.

    Args:
        our_unit: the origin that is not spelled out.
        epoch: that of the context, which the receiver is known to know; -1 = none.
        short: bytes are dearer than the time to squeeze bodies.
    """

    def __init__(self, our_unit: str, *, epoch: int = -1, short: bool = False) -> None:
        self._us, self._short = our_unit, short
        self._before = Before(epoch)

    def encode(self, record: Record) -> bytes:
        """The item; call `keep` if it goes into the frame."""
        origin, epoch, seq = record.id
        before = self._before
        code = _CODES.get(record.kind, 0)
        flags = 0 if origin == self._us else 1
        flags |= (2 if record.addressee else 0) | (0 if record.lifetime_s is None else 4)
        flags |= 0 if epoch == before.epoch else 8
        body = squeeze(record.body) if self._short else None
        form = (_AGED if record.age_s is not None else 0) | (0 if body is None else _SQUEEZED)
        body = record.body if body is None else body
        return b"".join(
            (
                bytes((RECORD | flags << 3 | record.priority, code | form)),
                b"" if code else short_text(record.kind),
                short_text(origin) if flags & 1 else b"",
                varint(epoch) if flags & 8 else b"",
                varint(zigzag_number(seq - before.seq)),
                varint(record.age_s) if record.age_s is not None else _created(record.created_ms - before.created_ms),
                varint(record.lifetime_s) if record.lifetime_s is not None else b"",
                short_text(record.addressee) if record.addressee else b"",
                varint(len(body)),
                body,
            )
        )

    def keep(self, record: Record) -> None:
        """The next one is encoded against this one."""
        before = self._before
        before.epoch, before.seq = record.id.epoch, record.id.seq
        if record.age_s is None:
            before.created_ms = record.created_ms


def _created(delta_ms: int) -> bytes:
    if delta_ms % _SECOND_MS:
        return varint(zigzag_number(delta_ms) << 1 | 1)
    return varint(zigzag_number(delta_ms // _SECOND_MS) << 1)


def read_record(reader: Reader, head: int, before: Before, *, sender: str) -> Record:
    """The record behind that head byte.

    Raises:
        MalformedFrame: it makes no sense.
    """
    flags, priority = RecordFlag(head >> 3 & 0xF), head & 0x7
    code = reader.byte()
    aged, squeezed, code = bool(code & _AGED), bool(code & _SQUEEZED), code & ~(_AGED | _SQUEEZED)
    if priority > max(Priority) or code >= len(KINDS):
        raise MalformedFrame(f"a record of the unknown priority {priority} or kind {code}")
    kind = KINDS[code] if code else reader.short_text()
    if not 0 < len(kind) <= MAX_KIND or not kind.isascii() or not kind.isprintable():
        raise MalformedFrame("a record whose kind is empty, too long or not ASCII")
    origin = reader.short_text() if flags & RecordFlag.ORIGIN else sender
    before.epoch = reader.varint() if flags & RecordFlag.EPOCH else before.epoch
    before.seq += reader.zigzag()
    age_s = _read_time(reader, before, aged=aged)
    if before.epoch < 0 or before.seq < 1 or not -(2**62) < before.created_ms < 2**62:
        raise MalformedFrame("a record without an epoch, or with an impossible number or time")
    lifetime_s = reader.varint() if flags & RecordFlag.LIFETIME else None
    if lifetime_s is not None and not 0 < lifetime_s <= MAX_LIFETIME_S:
        raise MalformedFrame(f"a record that lives for {lifetime_s} s")
    addressee = reader.short_text() if flags & RecordFlag.ADDRESSEE else ""
    body = reader.take(reader.varint())
    return Record(
        id=RecordId(origin, before.epoch, before.seq),
        kind=kind,
        priority=Priority(priority),
        created_ms=0 if aged else before.created_ms,
        lifetime_s=lifetime_s,
        addressee=addressee,
        body=unsqueeze(body) if squeezed else body,
        age_s=age_s,
    )


def _read_time(reader: Reader, before: Before, *, aged: bool) -> int | None:
    number = reader.varint()
    if aged:
        if number > MAX_AGE_S:
            raise MalformedFrame(f"a record that is {number} s old")
        return number
    signed = number >> 1
    signed = signed >> 1 if not signed & 1 else -(signed + 1 >> 1)
    before.created_ms += signed if number & 1 else signed * _SECOND_MS
    return None
