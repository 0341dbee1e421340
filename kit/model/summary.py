"""An hour of a series in four numbers, and a day of a village of them in a hundred bytes.

While only a radio is up, summaries go ahead of the readings they are of (`kit.collect.summaries`). The body of a record
of kind `summary` is a byte 1 (the form), then packed bits as of a batch: names, then a table whose rows are hours, with
four columns for each quantity: mean, how far the lowest lies below it, how far the highest lies above, and how many.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kit.model.batch_error import BatchError
from kit.model.batch_names import KNOWN, Kind, code_names
from kit.model.quantities import QUANTITIES
from sync.packing.coder import Decoder, Encoder
from sync.packing.errors import PackingError
from sync.packing.rows import Row, Table
from sync.packing.scale import Scale, scale_of_step
from sync.packing.table import pack_into, unpack_from

FORM = 1
HOUR_MS = 3_600_000
MAX_CELLS = 5_000
COLUMNS = 4
"""Of each quantity: mean, below, above, count."""

SIGNIFICANT_DIGITS = 3
"""Of a quantity that the kit does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HourSummary:
    """What a series did in one hour.

    Attributes:
        hour_ms: when the hour begins, Unix ms.
        count: of how many usable readings this is.
        mean, low, high: of their values.
    """

    device: str
    quantity: str
    unit: str
    hour_ms: int
    count: int
    mean: float
    low: float
    high: float


def is_summarised(unit: str) -> bool:
    """Whether the mean of such values means anything: of directions it does not."""
    return unit not in ("deg", "lat", "lon")


def summarise(device: str, kind: Kind, hour_ms: int, values: Sequence[float]) -> HourSummary:
    """The hour of a series, from its usable values; there is at least one."""
    return HourSummary(
        device=device,
        quantity=kind[0],
        unit=kind[1],
        hour_ms=hour_ms,
        count=len(values),
        mean=math.fsum(values) / len(values),
        low=min(values),
        high=max(values),
    )


def encode_summary(hours: Sequence[HourSummary]) -> bytes:
    """Pack hours, each series' at most once: values to what is worth showing of the quantity, counts exactly."""
    kinds = sorted({(each.quantity, each.unit) for each in hours}, key=_known_first)
    devices = sorted({each.device for each in hours})
    scales = {kind: _scale(kind, [each for each in hours if (each.quantity, each.unit) == kind]) for kind in kinds}
    rows: dict[tuple[int, int], list[int | None]] = {}
    for each in hours:
        kind = (each.quantity, each.unit)
        number = scales[kind].number
        mean = number(each.mean)
        row = rows.setdefault((each.hour_ms // HOUR_MS, devices.index(each.device)), [None] * (COLUMNS * len(kinds)))
        at = kinds.index(kind) * COLUMNS
        row[at : at + COLUMNS] = [mean, mean - number(each.low), number(each.high) - mean, each.count]
    coder = Encoder()
    code_names(coder, devices, kinds)
    columns = [scale for kind in kinds for scale in (*[scales[kind]] * 3, Scale())]
    plain = (0,) * len(columns)
    packed = tuple(Row(hour, device, tuple(row), plain) for (hour, device), row in rows.items())
    pack_into(coder, Table(HOUR_MS, tuple(enumerate(columns)), packed))
    return bytes([FORM]) + coder.finish()


def encode_summaries(hours: Sequence[HourSummary]) -> list[bytes]:
    """The same in as many bodies as a decoder's bounds ask for: one, unless there are dozens of devices."""
    rows = len({(each.device, each.hour_ms) for each in hours})
    kinds = len({(each.quantity, each.unit) for each in hours})
    if len(hours) < 2 or rows * (1 + COLUMNS * kinds) <= MAX_CELLS:  # noqa: PLR2004 - one cannot be divided
        return [encode_summary(hours)]
    ordered = sorted(hours, key=lambda each: (each.device, each.quantity, each.unit, each.hour_ms))
    half = len(ordered) // 2
    return [*encode_summaries(ordered[:half]), *encode_summaries(ordered[half:])]


def decode_summary(body: bytes) -> list[HourSummary]:
    """The inverse of `encode_summary`, by time, then device.

    Raises:
        BatchError: the body is no summary; nothing of it may be used.
    """
    if not body or body[0] != FORM:
        raise BatchError(f"the summary has form {body[0] if body else 'none'}; this kit reads form {FORM}")
    coder = Decoder(body[1:])
    try:
        devices, kinds = code_names(coder, (), ())
        table = unpack_from(coder, max_cells=MAX_CELLS)
        coder.check_end()
        if len(table.columns) != COLUMNS * len(kinds) or table.unit_ms != HOUR_MS:
            raise BatchError("a summary has four columns for each quantity, and a row for each hour")
        return [each for row in table.rows for each in _hours(table, row, devices[row.device], kinds)]
    except (PackingError, ArithmeticError, LookupError, ValueError) as error:
        raise BatchError(f"the body is no summary ({error})") from error


def _hours(table: Table, row: Row, device: str, kinds: Sequence[Kind]) -> Iterable[HourSummary]:
    for at, (quantity, unit) in enumerate(kinds):
        mean, below, above, count = row.values[at * COLUMNS : (at + 1) * COLUMNS]
        if mean is None:
            continue
        if below is None or above is None or count is None or not (below >= 0 and above >= 0 and count > 0):
            raise BatchError("an hour whose lowest, mean and highest are in no order")
        value = table.columns[at * COLUMNS][1].value
        told = value(mean), value(mean - below), value(mean + above)
        if not all(map(math.isfinite, told)):
            raise BatchError("an hour with no usable value")
        yield HourSummary(
            device=device,
            quantity=quantity,
            unit=unit,
            hour_ms=row.time * HOUR_MS,
            count=count,
            mean=told[0],
            low=told[1],
            high=told[2],
        )


def _known_first(kind: Kind) -> tuple[int, Kind]:
    return KNOWN.index(kind) if kind in KNOWN else len(KNOWN), kind


def _scale(kind: Kind, hours: Sequence[HourSummary]) -> Scale:
    known = QUANTITIES.get(kind[0].partition(":")[0])
    if known is not None and known.unit == kind[1]:
        return scale_of_step(known.resolution)
    largest = max(max(abs(each.low), abs(each.high)) for each in hours)
    if largest == 0:
        return Scale()
    digits = SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(largest))
    return Scale(min(digits, 15)) if digits >= 0 else Scale(0, int(10**-digits))
