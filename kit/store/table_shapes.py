"""What the rows of each table look like in the file, so that a page can be asked whether a table may begin there.

A list of tables that is not the file's own (an older copy, or that of a new store) may point at pages where something
else begins by now. Rows say much about their table: with or without row ids, how many columns, and of which kind each
value is (sqlite.org/fileformat2.html, 1.6 and 2.1).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from pathlib import Path

from kit.store.table_list import TableList, is_keyed

ROWS_LOOKED_AT = 8
DEEPEST = 20
_ROWID_INNER, _ROWID_LEAF, _KEYED_INNER, _KEYED_LEAF = 5, 13, 2, 10
_FIRST_CELL = 8
_SHORT = 0x7F
"""A number up to this is one byte."""

_REAL_SERIAL, _BLOB_SERIALS, _WHOLE_SERIALS = 7, 12, (1, 2, 3, 4, 5, 6, 8, 9)


class Fit(Enum):
    """Whether a table begins at a page."""

    YES = "rows of its kind are there"
    SHORT = "rows are there that may be of its kind, from before its last columns were added"
    EMPTY = "no rows are there"
    UNKNOWN = "what is there cannot be read"
    NO = "something else is there"


@dataclass(frozen=True)
class Shape:
    """How a row of a table or index is kept.

    Attributes:
        keyed: without row ids (a table without them, or an index).
        columns: for each value its declared type and whether it may be missing; the type is "" where any may be there.
    """

    keyed: bool
    columns: tuple[tuple[str, bool], ...]

    def fits(self, serials: Sequence[int]) -> bool:
        """Whether a row of values of these kinds may be of this table; older rows lack the columns that were added."""
        if len(serials) > len(self.columns):
            return False
        return all(_may_be(serial, *column) for serial, column in zip(serials, self.columns, strict=False))


def shapes(connection: sqlite3.Connection) -> dict[str, Shape]:
    """The shape of every table and index of a sound store."""
    found = {}
    for kind, name, table, sql in connection.execute(
        "SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE rootpage > 0 AND type IN ('table', 'index')"
    ).fetchall():
        if kind == "table":
            found[str(name)] = _table_shape(connection, str(name), keyed=is_keyed(sql))
        else:
            found[str(name)] = _index_shape(connection, str(name), str(table))
    return found


class Pages:
    """The pages of a damaged store, as a file that is seen through `kit.store.overlay` holds them."""

    def __init__(self, file: Path, page_bytes: int, changed: Mapping[int, bytes]) -> None:
        self._content, self._size, self._changed = file, page_bytes, changed

    def __getitem__(self, number: int) -> bytes:
        if number in self._changed:
            return self._changed[number]
        if number < 1:
            return b""  # a spoiled page leads anywhere
        with self._content.open("rb") as stream:
            stream.seek((number - 1) * self._size)
            return stream.read(self._size)

    def kinds(self) -> Iterator[tuple[int, int]]:
        """(number, first byte) of every page but the first: the whole file is read."""
        with self._content.open("rb") as stream:
            number = 0
            while piece := stream.read(self._size * 1024):
                for byte in piece[:: self._size]:
                    number += 1
                    if number > 1:
                        yield number, self._changed[number][0] if number in self._changed else byte


def row_heads(page: bytes) -> Iterator[bytes]:
    """What stands before the values of each short row on a page of rows without row ids: the kind of each value.

    Empty where the page is another, or its first rows are long ones.
    """
    if page[:1] not in (b"\x02", b"\x0a"):
        return
    for cell in _cells(page):
        at = cell + (4 if page[0] == _KEYED_INNER else 0)
        head = page[at + 1 : at + 2]
        if not head or page[at] > _SHORT or head[0] > _SHORT:
            return
        yield page[at + 2 : at + 1 + head[0]]


def fits_head(head: bytes, shape: Shape) -> bool:
    """Whether a row with that head (`row_heads`) is whole and may be of the shape."""
    return len(head) == len(shape.columns) and max(head) <= _SHORT and shape.fits(head)


def fit(pages: Pages, root: int, shape: Shape) -> Fit:
    """Whether a table of that shape begins at that page."""
    inner, leaf = (_KEYED_INNER, _KEYED_LEAF) if shape.keyed else (_ROWID_INNER, _ROWID_LEAF)
    page = pages[root]
    if page[:1] not in (bytes([inner]), bytes([leaf])):
        return Fit.NO if page and page[0] in (_ROWID_INNER, _ROWID_LEAF, _KEYED_INNER, _KEYED_LEAF) else Fit.UNKNOWN
    for _ in range(DEEPEST):
        cells = list(islice(_cells(page), ROWS_LOOKED_AT)) if page else []
        if page[:1] == bytes([leaf]):
            return _fit_of_rows(page, cells, shape)
        if page[:1] != bytes([inner]) or not cells or cells[0] + 4 > len(page):
            break
        page = pages[int.from_bytes(page[cells[0] : cells[0] + 4], "big")]
    return Fit.UNKNOWN


def _fit_of_rows(page: bytes, cells: Sequence[int], shape: Shape) -> Fit:
    if not cells:
        return Fit.EMPTY
    told = [serials for cell in cells if (serials := _serials(page, cell, shape)) is not None]
    if not told:
        return Fit.UNKNOWN
    if not all(shape.fits(serials) for serials in told):
        return Fit.NO
    return Fit.YES if all(len(serials) == len(shape.columns) for serials in told) else Fit.SHORT


def sift(listed: TableList, pages: Pages, known: Mapping[str, Shape], *, sure: bool) -> tuple[TableList, list[str]]:
    """The list with each table where its rows are; and the names of those that are not found.

    Args:
        listed: bare tables (`kit.store.table_list.bare`), perhaps of another time or store.
        pages: of the damaged store.
        known: the shapes of its tables and indexes.
        sure: the list is of this store; it is believed, what cannot be told included, unless something else is at a
            place that it names.
    """
    told = {name: fit(pages, root, known[name]) for name, root in listed.roots().items() if name in known}
    if sure and Fit.NO not in told.values():
        return listed, []
    # something is elsewhere: then anything may be, and a table's old place may be in the midst of its new ones
    beginnings = _beginnings(pages)
    roots = listed.roots()
    right = {name for name, found in told.items() if found in (Fit.YES, Fit.SHORT) and roots[name] in beginnings}
    if sure:
        right |= {name for name, found in told.items() if found is Fit.UNKNOWN}
    again = _find_again(told.keys() - right, {roots[name] for name in right}, beginnings, pages, known)
    astray = any(name not in right and found is not Fit.EMPTY for name, found in told.items())
    # where other tables are elsewhere, one that seems empty may be elsewhere, too
    lost = [
        name for name in told if name not in right and name not in again and (astray or told[name] is not Fit.EMPTY)
    ]
    entries = [entry._replace(root=again.get(entry.name, entry.root)) for entry in listed.entries]
    kept = tuple(entry for entry in entries if entry.name not in lost)
    return TableList(listed.version, listed.page_bytes, kept), sorted(lost)


def _find_again(
    names: set[str], taken: set[int], beginnings: Mapping[int, int], pages: Pages, known: Mapping[str, Shape]
) -> dict[str, int]:
    """Those of the tables whose rows begin, unmistakably, at some page.

    A page that no other page leads to is where something begins. It is taken for the table whose shape alone fits; of
    several such pages for that with the most pages below it: what was deleted long ago also leaves pages behind.
    """
    best: dict[str, tuple[int, int]] = {}
    for root, below in beginnings.items():
        if root not in taken and _holds_cells(pages[root]):
            told = {name: fit(pages, root, shape) for name, shape in known.items()}
            fitting = [name for name, found in told.items() if found is Fit.YES]
            fitting = fitting or [name for name, found in told.items() if found is Fit.SHORT]
            if len(fitting) == 1 and fitting[0] in names:
                best[fitting[0]] = max(best.get(fitting[0], (0, 0)), (below, root))
    return {name: root for name, (_, root) in best.items()}


def _beginnings(pages: Pages) -> dict[int, int]:
    """The pages of trees that no other page leads to, with how many pages are right below each; reads all pages."""
    below: dict[int, int] = {}
    led_to: set[int] = set()
    for number, kind in pages.kinds():
        if kind in (_ROWID_LEAF, _KEYED_LEAF):
            below[number] = 0
        elif kind in (_ROWID_INNER, _KEYED_INNER):
            page = pages[number]
            cells = [cell for cell in _cells(page) if cell + 4 <= len(page)]
            children = [int.from_bytes(page[cell : cell + 4], "big") for cell in cells]
            led_to.update(children, [int.from_bytes(page[8:12], "big")])
            below[number] = len(children) + 1
    return {number: count for number, count in below.items() if number not in led_to}


def _holds_cells(page: bytes) -> bool:
    """Whether it has no more cells than there is room for; of random bytes, one page in a hundred."""
    return _FIRST_CELL + 2 * int.from_bytes(page[3:5], "big") <= len(page)


def _cells(page: bytes) -> Iterator[int]:
    count = int.from_bytes(page[3:5], "big")
    start = 12 if page[0] in (_ROWID_INNER, _KEYED_INNER) else 8
    for at in range(start, min(start + 2 * count, len(page) - 1), 2):
        yield int.from_bytes(page[at : at + 2], "big")


def _serials(page: bytes, cell: int, shape: Shape) -> list[int] | None:
    """The kinds of the values of a row; None where the row makes no sense."""
    with suppress(IndexError):
        _, at = _varint(page, cell)
        if not shape.keyed:
            _, at = _varint(page, at)
        size, first = _varint(page, at)
        end, at, found = at + size, first, []
        while at < end:
            serial, at = _varint(page, at)
            found.append(serial)
        return found if at == end else None
    return None


def _varint(page: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(9):
        byte = page[at + place]
        if place == 8:  # noqa: PLR2004 - the ninth byte counts whole
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the last one
            return value, at + place + 1
    raise AssertionError("the ninth byte ends every number")


def _may_be(serial: int, declared: str, may_miss: bool) -> bool:  # noqa: FBT001 - a pair of the shape
    if serial == 0:
        return may_miss
    if declared == "INTEGER":
        return serial in _WHOLE_SERIALS
    if declared == "REAL":
        return serial == _REAL_SERIAL or serial in _WHOLE_SERIALS
    if declared == "TEXT":
        return serial > _BLOB_SERIALS and serial % 2 == 1
    if declared == "BLOB":
        return serial >= _BLOB_SERIALS and serial % 2 == 0
    return True


def _table_shape(connection: sqlite3.Connection, name: str, *, keyed: bool) -> Shape:
    rows = connection.execute(f'PRAGMA main.table_xinfo("{name}")').fetchall()
    columns = [(str(row[2]).upper(), not row[3], int(row[5])) for row in rows]
    if keyed:
        first = sorted((each for each in columns if each[2]), key=lambda each: each[2])
        columns = [*((kind, False, place) for kind, _, place in first), *(each for each in columns if not each[2])]
        return Shape(keyed, tuple((kind, may_miss) for kind, may_miss, _ in columns))
    alone = sum(1 for each in columns if each[2]) == 1
    # a whole-number key is the row id itself, and kept as a missing value
    return Shape(
        keyed,
        tuple((kind, may_miss or (alone and place == 1 and kind == "INTEGER")) for kind, may_miss, place in columns),
    )


def _index_shape(connection: sqlite3.Connection, name: str, table: str) -> Shape:
    kinds = {row[1]: str(row[2]).upper() for row in connection.execute(f'PRAGMA main.table_xinfo("{table}")')}
    rows = connection.execute(f'PRAGMA main.index_xinfo("{name}")').fetchall()
    return Shape(keyed=True, columns=tuple(("INTEGER" if row[1] < 0 else kinds.get(row[2], ""), True) for row in rows))
