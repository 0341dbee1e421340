"""A table of measurements, in whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sync.packing.scale import Scale


class Row(NamedTuple):
    """What one device told at one time.

    Attributes:
        time: in the table's units.
        device: its agreed number, from 0.
        values: one per column, in whole steps of the column's scale; None where there is none.
        doubts: one per column, flags from 0; the flags of an empty cell are not kept.
    """

    time: int
    device: int
    values: tuple[int | None, ...]
    doubts: tuple[int, ...]


@dataclass(frozen=True)
class Table:
    """What is packed.

    Attributes:
        unit_ms: what the rows' times count: Unix ms divided by it.
        columns: each quantity's agreed number, from 0 and ascending, and the scale of its values.
        rows: in any order; they come back in that of (time, device).
    """

    unit_ms: int
    columns: tuple[tuple[int, Scale], ...]
    rows: tuple[Row, ...]
