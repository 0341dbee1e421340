"""How commands print: aligned columns for a person at 80 columns, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

WIDTH = 80


def print_json(value: Any) -> None:
    """One JSON document, indented: it is read by people too."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    print()


def print_table(heads: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Aligned columns, the last one as long as it is; `empty` is said where there is nothing."""
    print(table(heads, rows) if rows else empty)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The rows under their heads; columns of numbers stand on the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(head), *(len(row[at]) for row in cells)) for at, head in enumerate(heads)]
    right = [all(isinstance(row[at], int | float) for row in rows) for at in range(len(heads))]
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in [[head.upper() for head in heads], *cells]
    ]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
