"""Copying the log into the file beside the commits, so that no acknowledgement waits for it.

SQLite does this inside whatever commit makes the log long enough: some thousand pages and two flushes, while devices
wait for their PUBACK. Here a thread with a connection of its own does it while commits go on, and does it again for
what they have added meanwhile; the few pages that are left then are copied right behind a commit, by whoever made it.
Only a log that is copied to its end can begin anew, and so nobody has to be locked out for that: to hold the writers'
lock instead costs a batch that finds it taken ten times as long. If the end cannot be reached (somebody reads for long,
somebody else writes), it is tried again a little later, and a commit does it after all when the log is twice as long:
it stays bounded whatever happens.

How long the log is, is read in the log: https://www.sqlite.org/fileformat2.html#walformat. SQLite takes its locks on
the other files, so that opening and closing this one takes none of them away.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

PASSES = 2
"""Of the thread: the first copies thousands of pages, the second what a dozen commits have added meanwhile."""

_HEADER_BYTES, _FRAME_BYTES, _SALT_BYTES = 32, 24, 8
_PAGE_SIZE_AT, _SALT_AT, _FRAME_SALT_AT = 8, 16, 8


class Log:
    """A store's write-ahead log, looked at from outside.

    Args:
        file: the store's.
    """

    def __init__(self, file: Path) -> None:
        self._file = file.with_name(file.name + "-wal")
        self._descriptor: int | None = None

    def reaches(self, pages: int) -> bool:
        """Whether it holds at least so many pages since it last began anew; False if it cannot be read."""
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._file, os.O_RDONLY)
            header = os.pread(self._descriptor, _HEADER_BYTES, 0)
            if len(header) < _HEADER_BYTES:
                return False
            page_bytes = int.from_bytes(header[_PAGE_SIZE_AT : _PAGE_SIZE_AT + 4], "big")
            last_frame_at = _HEADER_BYTES + (pages - 1) * (_FRAME_BYTES + page_bytes)
            salt = os.pread(self._descriptor, _SALT_BYTES, last_frame_at + _FRAME_SALT_AT)
        except OSError:
            return False
        # pages of the log's former lives lie behind its end, under other salts
        return salt == header[_SALT_AT : _SALT_AT + _SALT_BYTES]

    def close(self) -> None:
        """Look no more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class _Left(NamedTuple):
    """Of how many pages that the log had when the pass began how many are not copied yet."""

    of: int
    pages: int


class Checkpoints:
    """Copies a store's log into its file on a thread of its own, which is started when it is first needed.

    Args:
        file: the store's; somebody has it open as long as this is used.
        pages: how long the log may become before it is copied.
        on_error: told what went wrong; a commit will copy the log after all.
    """

    def __init__(self, file: Path, *, pages: int, on_error: Callable[[sqlite3.Error], object]) -> None:
        self._file, self._pages, self._on_error = file, pages, on_error
        self._log = Log(file)
        self._next_at = pages
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._copying = self._nearly = False
        self._thread: threading.Thread | None = None
        self.made = 0
        """How often the log was copied to its end."""

    def look(self, connection: sqlite3.Connection) -> None:
        """Something was committed: have the log copied if it has become long enough.

        Args:
            connection: that committed; it copies what little is left of a long log.
        """
        if self._copying:
            return
        if self._nearly:
            self._nearly = False
            try:
                self._copied(self._pass(connection))
            except sqlite3.Error as error:
                self._failed(error)
            return
        if not self._log.reaches(self._pages):
            self._next_at = self._pages
        elif self._next_at == self._pages or self._log.reaches(self._next_at):
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
                self._thread.start()
            self._copying = True
            self._work.put(self._copy)

    def close(self) -> None:
        """End the thread; what is not copied stays in the log, where it is as safe."""
        if self._thread is not None:
            self._work.put(None)
            self._thread.join()
            self._thread = None
        self._log.close()

    def _run(self) -> None:
        while (copy := self._work.get()) is not None:
            try:
                copy()
            except sqlite3.Error as error:
                self._failed(error)
            self._copying = False

    def _copy(self) -> None:
        # a connection for each time: it is needed once in hundreds of commits, and holds memory
        with contextlib.closing(sqlite3.connect(f"file:{self._file}?mode=rw", uri=True)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            for _ in range(PASSES):
                left = self._pass(connection)
        # more than a few pages are left only where somebody reads
        self._nearly = left.pages <= self._pages // 2 and (left.pages > 0 or self._log.reaches(left.of + 1))
        if not self._nearly:
            self._copied(left)

    def _pass(self, connection: sqlite3.Connection) -> _Left:
        busy, pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return _Left(pages, pages - copied if not busy else pages)

    def _copied(self, left: _Left) -> None:
        # if nothing is left, the next commit begins the log anew, unless somebody still reads in it
        self._next_at = max(left.of, self._pages) + self._pages // 4
        self.made += not left.pages

    def _failed(self, error: sqlite3.Error) -> None:
        self._next_at += self._pages
        self._on_error(error)
