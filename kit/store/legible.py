"""How a damaged store is made legible again where it is the list of its tables that is spoiled.

Tried in this order, each on a second name of the file, which stays as it is: its own list; a sound header before that;
the copy of the list that stood beside the store; a backup's list; the list of a new store, whose tables begin at the
same pages where the unit was never updated (or compacted). Where a list may not be this file's, each table's first rows
are looked at, and a table that begins elsewhere is looked for by the look of its rows. The list that finds most is
used.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kit.store.overlay import PAGE_SIZES, committed_pages, header_version, page_bytes_of, with_header, with_list
from kit.store.table_list import TableList, bare, list_file, load_list, read_list
from kit.store.table_shapes import Pages, shapes, sift

OWN, HEADER, COPY, BACKUP, LOOKS = (
    "",
    "its header was mended",
    "its list of tables was unreadable and was taken from the copy beside it",
    "its list of tables was unreadable and was taken from the backup",
    "its list of tables was unreadable, and its tables were recognised by the look of their rows",
)


@dataclass(frozen=True)
class Legible:
    """A damaged store that can be opened.

    Attributes:
        file: under which name.
        lost: tables that are not found in it.
        how: what was done, for a sentence; "" where nothing was.
    """

    file: Path
    lost: tuple[str, ...] = ()
    how: str = OWN


@contextmanager
def legible(
    damaged: Path, sound: Path, work: Path, *, backup: Callable[[], TableList | None] = lambda: None
) -> Iterator[Legible | None]:
    """The damaged store as far as its tables can be found; None where none can.

    Args:
        damaged: the file, its log and the copy of its list beside it; not changed.
        sound: a store with all its tables, such as a new one.
        work: a folder on the same disk.
        backup: the list of an older copy of this store; asked for only where it is needed.

    Raises:
        OSError: the disk is full or cannot be read.
    """
    place = work / "legible"
    shutil.rmtree(place, ignore_errors=True)
    try:
        yield _first_that_opens(damaged, sound, place, backup)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def list_of(store: Path) -> TableList | None:
    """A sound store's list; None if it cannot be read."""
    try:
        connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=5.0)
        try:
            return read_list(connection)
        finally:
            connection.close()
    except sqlite3.Error:
        return None


def _first_that_opens(
    damaged: Path, sound: Path, place: Path, backup: Callable[[], TableList | None]
) -> Legible | None:
    kept = load_list(list_file(damaged))
    header = header_version(damaged)
    current = kept if kept is not None and header in (None, kept.version) else None
    wanted = set(current.roots()) if current is not None else set()
    if _opens(damaged, wanted):
        return Legible(damaged)
    sizes = dict.fromkeys([kept.page_bytes] if kept else [page_bytes_of(sound), *PAGE_SIZES])
    for size in sizes if header is None else ():
        seen = with_header(damaged, size, _emptied(place))
        if _opens(seen, wanted):
            return Legible(seen, how=HEADER)
    lists: Sequence[tuple[Callable[[], TableList | None], bool, str]] = (
        (lambda: kept, current is not None, COPY),
        (backup, False, BACKUP),
        (lambda: list_of(sound), False, LOOKS),
        (lambda: _list_after_vacuum(sound, place), False, LOOKS),
    )
    best: tuple[int, TableList, tuple[str, ...], str] | None = None
    for ask, sure, how in lists:
        listed = ask()
        if listed is None or (found := _sifted(listed, damaged, sound, sure=sure)) is None:
            continue
        sifted, lost = found
        if best is None or len(lost) < best[0]:
            best = (len(lost), sifted, lost, how)
        if not lost:
            break
    if best is None:
        return None
    _, sifted, lost, how = best
    with suppress(sqlite3.Error):
        seen = with_list(damaged, sifted, _emptied(place))
        if _opens(seen, set(sifted.roots())):
            return Legible(seen, lost, how)
    return None


def _list_after_vacuum(sound: Path, place: Path) -> TableList | None:
    """Where the tables would begin if somebody had compacted the store."""
    file = _emptied(place) / "compact.db"
    with suppress(sqlite3.Error):
        connection = sqlite3.connect(sound, isolation_level=None)
        try:
            connection.execute("VACUUM INTO ?", (str(file),))
        finally:
            connection.close()
        return list_of(file)
    return None


def _sifted(listed: TableList, damaged: Path, sound: Path, *, sure: bool) -> tuple[TableList, tuple[str, ...]] | None:
    """The list with each table where it is in the damaged file, and those not found; None where none is."""
    connection = sqlite3.connect(f"file:{sound}?mode=ro", uri=True)
    try:
        known = shapes(connection)
    finally:
        connection.close()
    pages = Pages(damaged, listed.page_bytes, dict(committed_pages(damaged, listed.page_bytes)))
    try:
        sifted, lost = sift(bare(listed), pages, known, sure=sure)
    except sqlite3.Error:
        return None
    return (sifted, tuple(lost)) if sifted.entries else None


def _opens(file: Path, wanted: set[str]) -> bool:
    """Whether its list of tables can be read, and holds at least these and one table."""
    try:
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5.0)
        try:
            rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        finally:
            connection.close()
    except sqlite3.Error:
        return False
    return bool(rows) and wanted <= {str(row[0]) for row in rows}


def _emptied(place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place
