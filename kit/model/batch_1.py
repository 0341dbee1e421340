"""The first form of a batch of readings, which kits of an earlier version still send: only read.

A batch is one CBOR array (RFC 8949) that explains itself: the names are in it as text, once each.

    [1, base_ms, step_ms, [name, …], [column, …]]
    column = [device, quantity, unit, count, times, digits, values, qualities]

`device`, `quantity` and `unit` are indices into the names. `times` are byte strings of varints: the differences of
the differences of (time_ms − base_ms) / step_ms, zigzag, each 0 followed by how many more zeros there are, so that a
regular sensor costs three bytes however many readings it has; an integer instead names the earlier column that has
the same times. `values` are zigzag varints of the differences of value × 10^digits, or, where some value has no short
decimal form, doubles (digits = 255). `qualities` is 0 when nothing is doubtful, else one byte a reading, or two
(little-endian) where one does not hold the flags.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kit.model.batch_error import BatchError
from kit.model.readings import Quality, Reading

VERSION = 1
DOUBLES = 255
MAX_DIGITS = 9
MAX_ROWS = 100_000
"""What a decoder believes; a hostile batch of a few bytes could otherwise claim a billion readings."""

_LATEST_MS = 2**62


def decode_batch_1(body: bytes) -> list[Reading]:
    """The readings, by device and quantity, then time.

    Raises:
        BatchError: the body is no batch; nothing of it may be used.
    """
    import cbor2

    try:
        told = cbor2.loads(body, max_depth=8)
        version, base_ms, step_ms, names, columns = told
        if version == VERSION:
            return list(_decode_columns(base_ms, step_ms, names, columns))
    except BatchError:
        raise
    except (
        cbor2.CBORError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        struct.error,
    ) as error:
        raise BatchError(f"the body is no batch of readings ({error})") from error
    raise BatchError(f"the batch has version {version!r}; this kit reads version {VERSION}, so update it")


def _decode_columns(base_ms: int, step_ms: int, names: list[str], columns: list[list[Any]]) -> Iterator[Reading]:
    if not (isinstance(base_ms, int) and isinstance(step_ms, int) and all(isinstance(name, str) for name in names)):
        raise BatchError("the head of the batch is malformed")
    total = 0
    all_times: list[list[int]] = []
    for device, quantity, unit, count, times, digits, values, qualities in columns:
        total += count
        if not (isinstance(count, int) and count > 0 and total <= MAX_ROWS):
            raise BatchError(f"a column claims {count!r} readings")
        offsets = all_times[times] if isinstance(times, int) else _decode_times(times, count)
        all_times.append(offsets)
        decoded = _decode_values(values, digits, count)
        flags = _decode_qualities(qualities, count)
        for offset, value, flag in zip(offsets, decoded, flags, strict=True):
            time_ms = base_ms + offset * step_ms
            if abs(time_ms) > _LATEST_MS or not math.isfinite(value):
                raise BatchError("a reading has no usable time or value")
            yield Reading(
                device=names[device],
                quantity=names[quantity],
                unit=names[unit],
                time_ms=time_ms,
                value=value,
                quality=Quality(flag),
            )


def _decode_qualities(told: Any, count: int) -> Sequence[int]:
    if not isinstance(told, bytes):
        return bytes(count)
    return struct.unpack(f"<{count}H", told) if len(told) == 2 * count else told


def _decode_times(data: bytes, count: int) -> list[int]:
    offsets: list[int] = []
    previous, slope = 0, 0
    numbers = _varints(data)
    for number in numbers:
        run = next(numbers, 0) if number == 0 else 0
        if len(offsets) + 1 + run > count:
            raise BatchError("a column has more times than readings")
        for _ in range(1 + run):
            slope += _unzigzag(number)
            previous += slope
            offsets.append(previous)
    return offsets


def _decode_values(data: bytes, digits: int, count: int) -> list[float]:
    if digits == DOUBLES:
        return list(struct.unpack(f"<{count}d", data))
    if not (isinstance(digits, int) and 0 <= digits <= MAX_DIGITS):
        raise BatchError(f"values with {digits!r} digits")
    values: list[float] = []
    whole = 0
    for number in _varints(data):
        whole += _unzigzag(number)
        values.append(whole / 10**digits)
    return values


def _unzigzag(number: int) -> int:
    return number // 2 if number % 2 == 0 else -(number + 1) // 2


def _varints(data: Iterable[int]) -> Iterator[int]:
    number, shift = 0, 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if shift > 70:  # noqa: PLR2004 - ten bytes hold 64 bits
            raise BatchError("a number has more than 64 bits")
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a number
            yield number
            number, shift = 0, 0
    if shift:
        raise BatchError("the last number is cut short")
