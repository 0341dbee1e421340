"""Rows of a table as the values that the rest of the core speaks of."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import TypeVar

Value = TypeVar("Value")


def values_of(kind: Callable[..., Value], rows: Iterable[sqlite3.Row]) -> list[Value]:
    """One value a row; the columns are named as the attributes of `kind`."""
    return [kind(**dict(row)) for row in rows]
