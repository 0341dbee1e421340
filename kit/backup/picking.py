"""The small tables of a backup by an earlier version, in which they do not stand by themselves.

The store in such a backup would have to be written whole, and checked, before anything could be read in it: minutes, on
a slow card, in which a village with a damaged store has no pages. So while it is unpacked, the pages that hold rows of
large tables, which one tells by the look of their rows, are left out: a file with holes, from which the small tables
are copied. That it was done rightly is proven afterwards: every byte that came out of the backup was authenticated, and
each small table has as many rows as the manifest says.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from kit.backup.archive import BackupError, unpack
from kit.backup.checking import check_store, table_rows
from kit.backup.small_store import SMALL, write_small
from kit.store.disk_room import HeldRoom
from kit.store.pouring import LARGE
from kit.store.table_list import keep_list
from kit.store.table_shapes import Shape, fits_head, row_heads

STORE = "kit.db"
"""As a backup names it."""

_WHOLE, _NUMBER, _MAYBE, _TEXT = ("INTEGER", False), ("REAL", False), ("REAL", True), ("TEXT", False)
ROWS_OF_LARGE = (
    Shape(keyed=True, columns=(_WHOLE, _WHOLE, _NUMBER, _WHOLE)),
    Shape(keyed=True, columns=(_WHOLE, _WHOLE, _NUMBER, _TEXT)),
    Shape(keyed=True, columns=(_WHOLE, _WHOLE, _WHOLE, _WHOLE, _MAYBE, _MAYBE, _MAYBE, _TEXT)),
)
"""Of `readings`, `raw_readings`, and `hourly` and `daily`, in every version so far. Where a version to come has others,
more is written, and nothing else is lost by it; a small table with rows like these would be met by the proof."""

_PAGE_SIZE_AT, _SMALLEST_PAGE = 16, 512


class SmallPages:
    """Writes a store's file without the pages of large tables, in whose place there are holes.

    Args:
        out: an empty file.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._rest = b""
        self._page_bytes = 0
        self._heads: dict[bytes, bool] = {}
        self._length = 0

    def write(self, piece: bytes) -> None:
        """The next bytes of the file, however many."""
        content = self._rest + piece
        if not self._page_bytes:
            if len(content) < _SMALLEST_PAGE:
                self._rest = content
                return
            told = int.from_bytes(content[_PAGE_SIZE_AT : _PAGE_SIZE_AT + 2], "big")
            self._page_bytes = 65_536 if told == 1 else max(told, _SMALLEST_PAGE)
        whole = len(content) // self._page_bytes * self._page_bytes
        self._rest = content[whole:]
        kept_from: int | None = None
        for at in range(0, whole, self._page_bytes):
            if self._is_large(content[at : at + self._page_bytes]):
                if kept_from is not None:
                    self._put(content[kept_from:at], kept_from)
                    kept_from = None
            elif kept_from is None:
                kept_from = at
        if kept_from is not None:
            self._put(content[kept_from:whole], kept_from)
        self._length += whole

    def flush(self) -> None:
        """All of it is there; its last page may be a hole, too."""
        self._put(self._rest, 0)
        self._out.flush()
        self._out.truncate(self._length + len(self._rest))

    def _put(self, content: bytes, at: int) -> None:
        self._out.seek(self._length + at)
        self._out.write(content)

    def _is_large(self, page: bytes) -> bool:
        head = next(row_heads(page), b"")
        known = self._heads.get(head)
        if known is None:
            known = self._heads[head] = bool(head) and any(fits_head(head, shape) for shape in ROWS_OF_LARGE)
        return known


def pick_small(file: Path, secret: bytes, folder: Path) -> Path | None:
    """Bring the small tables of a backup into a store of their own, and its list of tables beside `kit.db`.

    Args:
        file: the backup.
        secret: that it was sealed with.
        folder: an empty one, on the unit's disk.

    Returns:
        The store, of the schema that the backup has; None where only the whole of it will do.

    Raises:
        BackupError: the backup is no good, or there is no room.
    """
    store, small = folder / STORE, folder / SMALL
    manifest = unpack(file, secret, folder, only=(STORE,), through={STORE: SmallPages})
    try:
        keep_list(store)
        write_small(store, small)
        check_store(small)
        if _missing(small, manifest):
            return None
    except (sqlite3.DatabaseError, BackupError):
        return None
    except OSError as error:
        raise BackupError(f"{file} cannot be unpacked to {folder} ({error.strerror or error})") from error
    finally:
        store.unlink(missing_ok=True)
    return small


def _missing(small: Path, manifest: Mapping[str, Any]) -> set[str]:
    """Tables that have not the rows they should have."""
    connection = sqlite3.connect(f"file:{small}?mode=ro&immutable=1", uri=True)
    try:
        found = table_rows(connection)
    finally:
        connection.close()
    told = {name: rows for name, rows in manifest["tables"].items() if name not in (*LARGE, HeldRoom.TABLE)}
    return {name for name, rows in told.items() if found.get(name) != rows}
