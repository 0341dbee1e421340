"""The ledger's bytes: what the kit acknowledged, written so that a torn end is seen and nothing before it is lost.

A ledger file is a run of entries, each `length u32 | crc32 u32 | body`, little-endian, in a file that was filled with
zeros beforehand: a length of zero is the end. The body is `kind u8 | time i64 (Unix ms) | payload`:

- `HEADER` (first): JSON `{process, boot, started_ms, totals}`; `totals` counts what earlier files of the process held.
- `SERIES`: JSON `{id: [device, quantity, unit]}`, before the first reading of that series.
- `READINGS`: pairs of i64, series and time (Unix ms) of each reading whose message was acknowledged.
- `RECORDS`: JSON `[[origin, epoch, seq, kind], …]`: own records accepted from people and services, and records of
  others that were acknowledged to the core.
- `ALIVE`: nothing but the time.

Pure; the file is `kit.store.ledger`, the comparison `kit.store.reckoning`.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

_FRAME = struct.Struct("<II")
_BODY = struct.Struct("<Bq")

Names = tuple[str, str, str]
"""Device, quantity, unit."""

RecordKey = tuple[str, int, int, str]
"""Origin, epoch, seq, kind."""


class EntryKind(IntEnum):
    """What an entry holds."""

    HEADER = 1
    SERIES = 2
    READINGS = 3
    RECORDS = 4
    ALIVE = 5


@dataclass(slots=True)
class Evidence:
    """What one transaction will have made true, gathered while it runs. Falsy when that is nothing to be kept.

    Attributes:
        readings: series, Unix ms, series, Unix ms…
    """

    readings: list[int] = field(default_factory=list)
    records: list[RecordKey] = field(default_factory=list)
    series: dict[int, Names] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.readings or self.records)

    def mark(self) -> tuple[int, int]:
        """Where it stands, for `back_to`."""
        return len(self.readings), len(self.records)

    def back_to(self, mark: tuple[int, int]) -> None:
        """Forget what was noted since `mark`: its savepoint was rolled back."""
        del self.readings[mark[0] :]
        del self.records[mark[1] :]


@dataclass
class LedgerFile:
    """What a ledger file says.

    Attributes:
        last_ms: time of its last entry, the last sign of life; Unix ms.
        totals: how many were acknowledged, by `("readings", device)` or `("records", kind)`, earlier files included.
        torn: it ends in an entry that did not reach the disk whole.
    """

    process: str = ""
    boot: str = ""
    started_ms: int = 0
    last_ms: int = 0
    totals: Counter[tuple[str, str]] = field(default_factory=Counter)
    readings: list[tuple[int, int]] = field(default_factory=list)
    records: list[RecordKey] = field(default_factory=list)
    series: dict[int, Names] = field(default_factory=dict)
    torn: bool = False


def encode_entry(kind: EntryKind, at_ms: int, payload: bytes = b"") -> bytes:
    """One entry, framed."""
    body = _BODY.pack(kind, at_ms) + payload
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def encode_header(
    *, process: str, boot: str, started_ms: int, at_ms: int, totals: Mapping[tuple[str, str], int]
) -> bytes:
    """The first entry of a file."""
    told = {
        "process": process,
        "boot": boot,
        "started_ms": started_ms,
        "totals": [[what, who, count] for (what, who), count in totals.items()],
    }
    return encode_entry(EntryKind.HEADER, at_ms, json.dumps(told).encode())


def encode_series(series: Mapping[int, Names], at_ms: int) -> bytes:
    """Names of series."""
    return encode_entry(EntryKind.SERIES, at_ms, json.dumps(series).encode())


def encode_readings(keys: Sequence[int], at_ms: int) -> bytes:
    """Acknowledged readings (series, Unix ms, series, Unix ms…), 16 bytes each."""
    return encode_entry(EntryKind.READINGS, at_ms, struct.pack(f"<{len(keys)}q", *keys))


def encode_records(records: Iterable[RecordKey], at_ms: int) -> bytes:
    """Accepted records."""
    return encode_entry(EntryKind.RECORDS, at_ms, json.dumps(list(records)).encode())


def decode_ledger(content: bytes) -> LedgerFile:
    """What a file says, up to the first entry that is not whole. Never raises: it may have been torn anywhere."""
    told = LedgerFile()
    at = 0
    while at + _FRAME.size <= len(content):
        length, check = _FRAME.unpack_from(content, at)
        if length == 0:
            break
        body = content[at + _FRAME.size : at + _FRAME.size + length]
        if length < _BODY.size or len(body) < length or zlib.crc32(body) != check:
            told.torn = True
            break
        kind, at_ms = _BODY.unpack_from(body)
        told.last_ms = max(told.last_ms, at_ms)
        try:
            _TAKERS.get(kind, _take_nothing)(told, body[_BODY.size :])
        except (ValueError, KeyError, TypeError, struct.error):
            told.torn = True
            break
        at += _FRAME.size + length
    return told


def _take_nothing(told: LedgerFile, payload: bytes) -> None:
    del told, payload


def _take_header(told: LedgerFile, payload: bytes) -> None:
    header: dict[str, Any] = json.loads(payload)
    told.process, told.boot, told.started_ms = header["process"], header["boot"], int(header["started_ms"])
    told.totals.update({(what, who): int(count) for what, who, count in header["totals"]})


def _take_series(told: LedgerFile, payload: bytes) -> None:
    told.series.update({int(number): (names[0], names[1], names[2]) for number, names in json.loads(payload).items()})


def _take_readings(told: LedgerFile, payload: bytes) -> None:
    flat = struct.unpack(f"<{len(payload) // 8}q", payload)
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    told.readings += pairs
    told.totals.update(("readings", told.series[series][0]) for series, _ in pairs if series in told.series)


def _take_records(told: LedgerFile, payload: bytes) -> None:
    keys = [(str(o), int(e), int(s), str(k)) for o, e, s, k in json.loads(payload)]
    told.records += keys
    told.totals.update(("records", kind) for *_, kind in keys)


_TAKERS = {
    EntryKind.HEADER: _take_header,
    EntryKind.SERIES: _take_series,
    EntryKind.READINGS: _take_readings,
    EntryKind.RECORDS: _take_records,
}
