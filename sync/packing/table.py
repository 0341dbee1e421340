"""A table of measurements as bytes, and back.

Devices and quantities are numbers that both sides agreed on before. What the packed bytes hold, in this order: how
many columns and devices, their numbers and scales; each device's times; which cells are empty or doubtful; the values,
column by column, each in the order of time so that every row helps to predict the next. `docs/packing.md` specifies it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sync.packing.cells import code_cells, code_values
from sync.packing.coder import Coder, Decoder, Encoder
from sync.packing.grid import code_times
from sync.packing.head import code_columns, code_counts, code_numbers, code_unit
from sync.packing.rows import Row, Table
from sync.packing.scale import Scale

MAX_CELLS = 1_000_000
"""What a decoder believes unless told less: a few bytes can claim a great many rows that are all alike."""


def pack(table: Table, *, watch: Callable[[str, Encoder], None] | None = None) -> bytes:
    """The table as bytes.

    Args:
        table: what to pack.
        watch: called after each part ("head", "time", "doubts", "values 0", …) with the encoder, for who measures.

    Raises:
        PackingError: a number in it is beyond what can be packed.
    """
    coder = Encoder()
    pack_into(coder, table, watch=watch)
    return coder.finish()


def pack_into(coder: Encoder, table: Table, *, watch: Callable[[str, Encoder], None] | None = None) -> None:
    """As `pack`, behind whatever the coder holds already."""
    _code(coder, _Told.of(table), watch=lambda part: watch(part, coder) if watch else None)


def unpack(packed: bytes, *, max_cells: int = MAX_CELLS) -> Table:
    """The inverse of `pack`.

    Raises:
        PackingError: no encoder made these bytes, or they claim more than `max_cells`.
    """
    coder = Decoder(packed)
    table = unpack_from(coder, max_cells=max_cells)
    coder.check_end()
    return table


def unpack_from(coder: Decoder, *, max_cells: int = MAX_CELLS) -> Table:
    """As `unpack`, behind whatever was read already."""
    return _code(coder, _Told(), max_cells=max_cells)


@dataclass(frozen=True)
class _Told:
    """What an encoder is told, in the order it is coded; a decoder is told nothing."""

    unit_ms: int = 1
    columns: Sequence[tuple[int, Scale]] = ()
    devices: Sequence[int] = ()
    times: Sequence[Sequence[int]] = ()
    rows: Sequence[Row] = ()

    @classmethod
    def of(cls, table: Table) -> _Told:
        rows = sorted(table.rows, key=lambda row: (row.time, row.device))
        times: dict[int, list[int]] = {}
        for row in rows:
            times.setdefault(row.device, []).append(row.time)
        devices = sorted(times)
        return cls(table.unit_ms, table.columns, devices, [times[each] for each in devices], rows)


def _code(
    coder: Coder, told: _Told, *, max_cells: int = MAX_CELLS, watch: Callable[[str], None] = lambda _: None
) -> Table:
    unit_ms = code_unit(coder, told.unit_ms)
    columns = code_columns(coder, told.columns)
    devices = code_numbers(coder, told.devices)
    most = max_cells // (1 + len(columns))
    counts = code_counts(coder, [len(each) for each in told.times], len(devices), most)
    watch("head")
    times = code_times(coder, unit_ms, counts, told.times)
    watch("time")
    order = sorted((time, at) for at, each in enumerate(times) for time in each)
    cells = code_cells(coder, order, len(columns), told.rows)
    watch("doubts")
    values = code_values(coder, order, cells, told.rows, watch)
    rows = tuple(
        Row(time, devices[at], value, tuple(each.doubt for each in cell))
        for (time, at), value, cell in zip(order, values or [()] * len(order), cells, strict=True)
    )
    return Table(unit_ms, tuple(columns), rows)
