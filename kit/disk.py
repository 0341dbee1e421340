"""A full disk, in words: which file system it is, how much is free, and whether an error says that it is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

START_BYTES = 4_000_000
"""What a first start must find free: the new store with its log, SQLite's `-shm`, keys, ledgers, states and logs are
0.4 MB on a kit; a core holds 2 MB in its store and log; the rest is for the first things that happen."""

GO_ON_BYTES = 256 * 1024
"""What a start must find free where everything is there already: SQLite makes 32 KiB for its `-shm` in one piece."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_IOERR, _SQLITE_FULL, _CANTOPEN = 10, 13, 14
_IOERR_SHMSIZE = _IOERR | 19 << 8
"""SQLite's primary result codes, https://www.sqlite.org/rescode.html; as numbers, because `kit.home` needs this module
and no SQLite."""


def free_bytes(path: Path) -> int:
    """What may still be written where `path` is or is to be."""
    told = os.statvfs(_there(path))
    return told.f_bavail * told.f_frsize


def mount_of(path: Path) -> Path:
    """Where the file system that holds `path` is mounted."""
    place = _there(path).resolve()
    while not place.is_mount() and place != place.parent:
        place = place.parent
    return place


def full_words(path: Path, *, needs_bytes: int = 0) -> str:
    """`the disk that holds /x (file system /, 0.0 MB free) is full: 4.0 MB are needed`."""
    needs = f": {needs_bytes / 1e6:,.1f} MB are needed" if needs_bytes else ""
    free = f"{free_bytes(path) / 1e6:,.1f} MB free"
    return f"the disk that holds {path} (file system {mount_of(path)}, {free}) is full{needs}"


def says_full(error: BaseException | None) -> bool:
    """Whether the error, or what it was raised from, is what a full disk looks like.

    SQLite may call it an I/O error, or say that it cannot open the file: it needs room for that, too.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in (_IOERR, _SQLITE_FULL, _CANTOPEN):
            return True
        error = error.__cause__
    return False


def is_full(error: BaseException | None) -> bool:
    """Whether the error, or what it was raised from, cannot but mean that the disk is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if getattr(error, "sqlite_errorcode", None) in (_SQLITE_FULL, _IOERR_SHMSIZE):
            return True
        error = error.__cause__
    return False


def _there(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
