"""Readings packed for the thin link: encode and decode, exact both ways.

A body is a byte 2 (the form), then packed bits (`sync.packing`, docs/packing.md): how many devices and their names, how
many columns and what each is, then the table of values. It decodes by itself: a core that was rebuilt from an old
backup, or a stick that was read first, can always read it. The form before this one is CBOR and is still read.

What is *sent* is bounded, see `rounded_for_sending`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from kit.model.batch_1 import decode_batch_1
from kit.model.batch_error import BatchError
from kit.model.batch_names import KNOWN, Kind, code_names
from kit.model.quantities import QUANTITIES
from kit.model.readings import Quality, Reading
from sync.packing.coder import Decoder, Encoder
from sync.packing.errors import PackingError
from sync.packing.rows import Row, Table
from sync.packing.scale import Scale, scale_for
from sync.packing.table import pack_into, unpack_from

__all__ = ["BatchError", "decode_batch", "encode_batch", "encode_batches", "rounded_for_sending"]

FORM = 2
"""The first byte; the CBOR of the first form begins with 0x85."""

MAX_CELLS = 5_000
"""What a decoder believes: a few hostile bytes could otherwise claim a great many readings that are all alike. A large
batch of a kit has a quarter of it."""

SECOND_MS = 1000

EXACT_DIGITS = 3
"""A value with so few decimals is sent as it is."""

_TIME_UNITS_MS = (3_600_000, 60_000, 1000, 1)


def rounded_for_sending(readings: Iterable[Reading], *, crowded: Callable[[Reading], bool]) -> list[Reading]:
    """The readings with what the thin link is not worth taken off.

    A time is cut to its whole second, so that it stays in its hour and day. A value of a known quantity with more than
    three decimals (one that was converted from another unit) is rounded to a tenth of what is worth showing of it.

    Args:
        readings: as stored.
        crowded: whether another reading of the series lies in the same second; then the time stays as it is, because
            the two must not become one.
    """
    return [_rounded(each, cut=not crowded(each)) for each in readings]


def _rounded(reading: Reading, *, cut: bool) -> Reading:
    value = reading.value
    known = QUANTITIES.get(reading.quantity.partition(":")[0])
    if known is not None and known.unit == reading.unit and round(value, EXACT_DIGITS) != value:
        value = round(value, 1 - math.floor(math.log10(known.resolution)))
    time_ms = reading.time_ms // SECOND_MS * SECOND_MS if cut else reading.time_ms
    return replace(reading, time_ms=time_ms, value=value)


def encode_batch(readings: Sequence[Reading]) -> bytes:
    """Pack readings (their `raw` stays at home, and minus zero becomes zero), exactly otherwise."""
    values: dict[tuple[str, Kind], list[float]] = {}
    for each in readings:
        values.setdefault((each.device, (each.quantity, each.unit)), []).append(each.value)
    # devices whose sensors have the same resolution share a column: they help to predict each other
    scales = {series: scale_for(told) for series, told in values.items()}
    columns = sorted({(kind, scales[device, kind]) for device, kind in scales}, key=_column_order)
    places = {column: at for at, column in enumerate(columns)}
    devices = sorted({device for device, _ in scales})
    unit_ms = next(unit for unit in _TIME_UNITS_MS if all(each.time_ms % unit == 0 for each in readings))
    rows = _rows(readings, devices, scales, places, unit_ms)
    coder = Encoder()
    code_names(coder, devices, [kind for kind, _ in columns])
    try:
        pack_into(coder, Table(unit_ms, tuple((at, scale) for at, (_, scale) in enumerate(columns)), tuple(rows)))
    except PackingError as error:
        raise BatchError(f"these readings cannot be packed ({error})") from error
    return bytes([FORM]) + coder.finish()


def encode_batches(readings: Sequence[Reading]) -> list[bytes]:
    """The same in as many bodies as a decoder's bounds ask for: one, unless hundreds have no time or kind in common."""
    rows = len({(each.device, each.time_ms) for each in readings})
    kinds = len({(each.quantity, each.unit, scale_for([each.value])) for each in readings})
    if len(readings) < 2 or rows * (1 + kinds) * 2 <= MAX_CELLS:  # noqa: PLR2004 - one cannot be divided
        return [encode_batch(readings)]
    ordered = sorted(readings, key=lambda each: (each.device, each.quantity, each.unit, each.time_ms))
    half = len(ordered) // 2
    return [*encode_batches(ordered[:half]), *encode_batches(ordered[half:])]


def _rows(
    readings: Sequence[Reading],
    devices: Sequence[str],
    scales: dict[tuple[str, Kind], Scale],
    places: dict[tuple[Kind, Scale], int],
    unit_ms: int,
) -> list[Row]:
    """A row for each device and time; a second value in the same cell begins another row."""
    numbers = {device: at for at, device in enumerate(devices)}
    cells: dict[tuple[int, int, int], dict[int, tuple[int, int]]] = {}
    for each in readings:
        kind = (each.quantity, each.unit)
        scale = scales[each.device, kind]
        place, again = places[kind, scale], 0
        while place in cells.setdefault((each.time_ms // unit_ms, numbers[each.device], again), {}):
            again += 1
        cells[each.time_ms // unit_ms, numbers[each.device], again][place] = (scale.number(each.value), each.quality)
    width = range(len(places))
    return [
        Row(
            time,
            device,
            tuple(row[at][0] if at in row else None for at in width),
            tuple(int(row[at][1]) if at in row else 0 for at in width),
        )
        for (time, device, _), row in sorted(cells.items())
    ]


def _column_order(column: tuple[Kind, Scale]) -> tuple[int, Kind, int]:
    kind, scale = column
    return KNOWN.index(kind) if kind in KNOWN else len(KNOWN), kind, scale.digits


def decode_batch(body: bytes, *, max_cells: int = MAX_CELLS) -> list[Reading]:
    """The inverse of `encode_batch`, by device and quantity, then time; reads the first form, too.

    Raises:
        BatchError: the body is no batch; nothing of it may be used.
    """
    if not body or body[0] != FORM:
        if body and body[0] < 0x20:  # noqa: PLR2004 - CBOR arrays lie above; small numbers are kept for later forms
            raise BatchError(f"the batch has form {body[0]}; this kit reads up to {FORM}, so update it")
        return decode_batch_1(body)
    coder = Decoder(body[1:])
    try:
        devices, kinds = code_names(coder, (), ())
        table = unpack_from(coder, max_cells=max_cells)
        coder.check_end()
        readings = [each for row in table.rows for each in _readings(table, row, devices, kinds)]
    except (PackingError, ArithmeticError, LookupError, ValueError) as error:
        raise BatchError(f"the body is no batch of readings ({error})") from error
    return sorted(readings, key=lambda each: (each.device, each.quantity, each.unit, each.time_ms))


def _readings(table: Table, row: Row, devices: Sequence[str], kinds: Sequence[Kind]) -> Iterable[Reading]:
    for (column, scale), number, doubt in zip(table.columns, row.values, row.doubts, strict=True):
        if number is None:
            continue
        value = scale.value(number)
        if not math.isfinite(value):
            raise BatchError("a reading has no usable value")
        quantity, unit = kinds[column]
        yield Reading(
            device=devices[row.device],
            quantity=quantity,
            unit=unit,
            time_ms=row.time * table.unit_ms,
            value=value,
            quality=Quality(doubt),
        )
