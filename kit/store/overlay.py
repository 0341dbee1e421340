"""A damaged store seen with another list of tables, or another header, and not one byte of it changed.

SQLite reads a page from the write-ahead log where the log has it, else from the file. So a second name of the damaged
file (a hard link) gets a log of our own beside it: what the damaged store's own log had committed, then the page or
pages that are to be seen instead of the spoiled ones. No gigabyte is copied, and nobody writes to the damaged file.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from kit.store.table_list import TableList

HEADER_BYTES = 100
PAGE_SIZES = (1024, 4096, 512, 2048, 8192, 16_384, 32_768)
_LOG_MAGIC, _LOG_VERSION = 0x377F0683, 3_007_000
_LOG_HEAD, _FRAME_HEAD = 32, 24
_SALT = b"villages"


def with_list(damaged: Path, listed: TableList, work: Path) -> Path:
    """The damaged store with that list of tables in the place of its own.

    Args:
        damaged: the file, its log beside it; nobody writes to it.
        listed: its tables, each with the page where it begins.
        work: an empty folder on the same disk, for the second name and the log.

    Raises:
        OSError: it cannot be made.
        sqlite3.Error: the list makes no sense to SQLite.
    """
    pages = _page_count(damaged, listed.page_bytes)
    return _overlaid(damaged, listed.page_bytes, _pages_of(listed, pages, work), work)


def with_header(damaged: Path, page_bytes: int, work: Path) -> Path:
    """The damaged store with a sound header (100 bytes); the list of tables behind it is its own.

    Args:
        damaged: as above.
        page_bytes: the size of its pages, which a spoiled header does not tell.
        work: as above.

    Raises:
        OSError: it cannot be made.
    """
    empty = TableList(1, page_bytes, ())
    head = _pages_of(empty, _page_count(damaged, page_bytes), work)[1][:HEADER_BYTES]
    log = dict(committed_pages(damaged, page_bytes))
    with damaged.open("rb") as stream:
        first = log.get(1) or stream.read(page_bytes).ljust(page_bytes, b"\0")
    return _overlaid(damaged, page_bytes, {1: head + first[HEADER_BYTES:]}, work)


def page_bytes_of(file: Path) -> int:
    """The page size that the file's header tells."""
    with file.open("rb") as stream:
        size = int.from_bytes(stream.read(18)[16:18], "big")
    return 65_536 if size == 1 else size


def header_version(file: Path) -> int | None:
    """The number of its list of tables (`PRAGMA schema_version`) by its header; None where the header is spoiled."""
    with file.open("rb") as stream:
        head = stream.read(HEADER_BYTES)
    return int.from_bytes(head[40:44], "big") if head[:16] == b"SQLite format 3\0" else None


def _pages_of(listed: TableList, pages: int, work: Path) -> dict[int, bytes]:
    """The first page of a store with that list, and what of the list is not on it, on pages beyond the last one.

    SQLite itself writes them: into a file that is a hole as long as the store.
    """
    file, size = work / "list.db", listed.page_bytes
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size={size}")
        connection.execute("PRAGMA user_version=1")
    finally:
        connection.close()
    with file.open("r+b") as stream:
        head = bytearray(stream.read(HEADER_BYTES))
        head[28:32] = pages.to_bytes(4, "big")
        head[92:96] = head[24:28]  # "the count of pages is valid for this change"
        head[40:44] = listed.version.to_bytes(4, "big")
        head[44:48] = (4).to_bytes(4, "big")  # the format of lists that SQLite has written since 2006
        head[56:60] = (1).to_bytes(4, "big")  # UTF-8
        stream.seek(0)
        stream.write(head)
        stream.truncate(pages * size)
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", listed.entries)
        connection.execute("COMMIT")
    finally:
        connection.close()
    made: dict[int, bytes] = {}
    with file.open("rb") as stream:
        first = bytearray(stream.read(size))
        first[18:20] = b"\x02\x02"  # with a write-ahead log
        made[1] = bytes(first)
        stream.seek(pages * size)
        made |= dict(enumerate(iter(lambda: stream.read(size), b""), pages + 1))
    file.unlink()
    return made


def _page_count(damaged: Path, page_bytes: int) -> int:
    whole = -(-damaged.stat().st_size // page_bytes)
    return max([1, whole, *(number for number, _ in committed_pages(damaged, page_bytes))])


def _overlaid(damaged: Path, page_bytes: int, pages: Mapping[int, bytes], work: Path) -> Path:
    seen = work / damaged.name
    try:
        os.link(damaged, seen)
    except OSError:
        shutil.copyfile(damaged, seen)  # a file system without second names
    known = {**dict(committed_pages(damaged, page_bytes)), **pages}
    last = max(*known, -(-damaged.stat().st_size // page_bytes))
    with seen.with_name(seen.name + "-wal").open("wb") as stream:
        head = struct.pack(">4I", _LOG_MAGIC, _LOG_VERSION, page_bytes, 0) + _SALT
        sums = _checksum(head, (0, 0), "big")
        stream.write(head + struct.pack(">2I", *sums))
        for place, (number, page) in enumerate(known.items(), 1):
            frame = struct.pack(">2I", number, last if place == len(known) else 0)
            sums = _checksum(page, _checksum(frame, sums, "big"), "big")
            stream.write(frame + _SALT + struct.pack(">2I", *sums) + page)
    return seen


def _log_of(damaged: Path) -> bytes:
    with contextlib.suppress(OSError):
        return damaged.with_name(damaged.name + "-wal").read_bytes()
    return b""


def committed_pages(damaged: Path, page_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Pages of whole transactions in its write-ahead log, in order (sqlite.org/fileformat2.html, section 4)."""
    log = _log_of(damaged)
    if len(log) < _LOG_HEAD or log[:4] not in (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"):
        return
    order = "big" if log[3] & 1 else "little"
    salt, sums = log[16:24], _checksum(log[:24], (0, 0), order)
    waiting: list[tuple[int, bytes]] = []
    for at in range(_LOG_HEAD, len(log) - _FRAME_HEAD - page_bytes + 1, _FRAME_HEAD + page_bytes):
        head, page = log[at : at + _FRAME_HEAD], log[at + _FRAME_HEAD : at + _FRAME_HEAD + page_bytes]
        sums = _checksum(page, _checksum(head[:8], sums, order), order)
        if head[8:16] != salt or head[16:24] != b"".join(each.to_bytes(4, "big") for each in sums):
            return
        waiting.append((int.from_bytes(head[:4], "big"), page))
        if int.from_bytes(head[4:8], "big"):
            yield from waiting
            waiting.clear()


def _checksum(content: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    one, two = sums
    words = struct.unpack(f"{'>' if order == 'big' else '<'}{len(content) // 4}I", content)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two
