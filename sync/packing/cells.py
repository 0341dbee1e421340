"""What is in the cells of a packed table: which are empty or doubtful, and the values of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sync.packing.coder import Bit, Coder
from sync.packing.grid import code_spread
from sync.packing.guesses import change_index, parent_of
from sync.packing.numbers import Lengths
from sync.packing.rows import Row
from sync.packing.values import Column

Place = tuple[int, int]
"""A row: its time, and its device's place in the head."""


class Cell(NamedTuple):
    """Whether there is a value, and what is doubtful about it."""

    there: bool
    doubt: int


_PLAIN = Cell(there=True, doubt=0)


class _Habits:
    """Of one series: how often values are missing, and how often their doubts change."""

    def __init__(self) -> None:
        self._there_after_value, self._there_after_gap, self._same_doubt = Bit(1, 15), Bit(15, 1), Bit(1, 31)
        self._before = _PLAIN

    def code(self, coder: Coder, flags: Lengths, cell: Cell) -> Cell:
        before = self._before
        odds = self._there_after_value if before.there else self._there_after_gap
        if not coder.bit(odds, int(cell.there)):
            self._before = before._replace(there=False)
            return Cell(there=False, doubt=0)
        same = coder.bit(self._same_doubt, int(cell.doubt == before.doubt))
        self._before = Cell(there=True, doubt=before.doubt if same else flags.natural(coder, cell.doubt))
        return self._before


def code_cells(coder: Coder, order: Sequence[Place], width: int, rows: Sequence[Row]) -> list[list[Cell]]:
    """Per row and column, whether there is a value and what is doubtful about it."""
    told = [
        [Cell(value is not None, 0 if value is None else doubt) for value, doubt in zip(*row[2:], strict=True)]
        for row in rows
    ]
    if coder.bit(Bit(1, 7), int(all(cell == _PLAIN for row in told for cell in row))):
        return [[_PLAIN] * width for _ in order]
    habits: dict[tuple[int, int], _Habits] = {}
    flags = Lengths(2)
    return [
        [
            habits.setdefault((device, column), _Habits()).code(coder, flags, told[at][column] if told else _PLAIN)
            for column in range(width)
        ]
        for at, (_, device) in enumerate(order)
    ]


def code_values(
    coder: Coder,
    order: Sequence[Place],
    cells: Sequence[Sequence[Cell]],
    rows: Sequence[Row],
    watch: Callable[[str], None],
) -> list[tuple[int | None, ...]]:
    """Per row, the value of each column. Column by column: the ones before hint at the next."""
    width = len(cells[0]) if cells else 0
    spreads: list[int] = []
    changes: list[list[int]] = []
    found: list[list[int | None]] = []
    for column in range(width):
        spreads.append(code_spread(coder, change_index(rows, column)))
        parent = coder.pick(_plain_weight, 0, column - 1, parent_of(rows, column)) if column else 0
        model = Column(spreads[column], spreads[parent], alone=column == 0)
        hints = changes[parent] if column else [0] * len(order)
        values: list[int | None] = []
        steps: list[int] = []
        for at, (_, device) in enumerate(order):
            value, step = None, 0
            if cells[at][column].there:
                value, step = model.code(coder, device, (rows[at].values[column] or 0) if rows else 0, hint=hints[at])
            values.append(value)
            steps.append(step)
        found.append(values)
        changes.append(steps)
        watch(f"values {column}")
    return list(zip(*found, strict=True))


def _plain_weight(number: int) -> int:
    return number
