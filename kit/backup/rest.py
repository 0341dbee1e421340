"""The rest of a damaged store: its large tables, brought back while the unit serves.

A unit whose store was damaged serves at once, with everything but the older readings; these come back from the damaged
file in small steps, and what cannot be read of them from the newest good backup. A process that is killed meanwhile
goes on where it was: the task stands beside the damaged file, and how far it has come in the running store.
"""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from kit.backup.newest import NewestBackup
from kit.backup.report import TASK, Report, Task, gap_words, keep_report
from kit.home import Home
from kit.store.database import CHECKPOINT_PAGES, MOST_LOG_BYTES
from kit.store.disk_room import look
from kit.store.facts import count_change
from kit.store.legible import Legible, legible
from kit.store.migrations import Migration, migrate
from kit.store.pouring import (
    FACT,
    FILLED_BY,
    LARGE,
    MOST_ROWS,
    Pouring,
    Progress,
    keep_progress,
    queue_again,
    queued_since_ms,
)
from kit.store.salvage import reading_damaged

UNPACKED_ROOM = 1.05
"""So many times the size of the backup's store must be free to unpack it, besides what readings need."""

QUEUED_BEFORE_MS = 3_600_000
KEYS_AT_ONCE = 1_000


class Rest:
    """What of one damaged store is still to be brought back.

    Args:
        home: the unit.
        aside: the folder of the damaged file.
        task: what stands beside it.
        store: where rows go.
        backup: for what cannot be read.
        work: an empty folder on the same disk.
        migrations: of the unit's store.
        real_s: seconds that never step.
        most_rows: that one step brings back, however fast the disk.
    """

    def __init__(
        self,
        home: Home,
        aside: Path,
        task: Task,
        *,
        store: Path,
        backup: NewestBackup,
        work: Path,
        migrations: Sequence[Migration],
        real_s: Callable[[], float],
        most_rows: int = MOST_ROWS,
    ) -> None:
        self._home, self._aside, self._task, self._store = home, aside, task, store
        self._backup, self._work, self._migrations, self._real_s = backup, work, migrations, real_s
        self._most_rows = most_rows
        self.progress = Progress(source=aside.name)
        self._lost: tuple[str, ...] = ()
        self._filled: tuple[str, int] | None = None

    def steps(self) -> Iterator[None]:
        """Each `next` is one short transaction; at the end the report is written and the task is gone.

        Raises:
            sqlite3.DatabaseError: the running store cannot be written now; a new object goes on where this one was.
            OSError: the disk is full.
        """
        self.progress = self._where_it_was()
        new = self._work / "new.db"
        migrate(new, self._migrations)
        if self._task.large:
            with legible(
                self._aside / self._home.database.name, new, self._work, backup=self._backup.table_list
            ) as seen:
                yield from self._from_damaged(seen)
        elif self._task.backup is not None:
            self._lost = LARGE
        yield from self._from_backup()
        yield from self._queued_again()
        keep_report(self._aside, self.report())
        self._forget()
        (self._aside / TASK).unlink(missing_ok=True)

    def report(self) -> Report:
        """As it stands now."""
        incomplete = {table: [gap_words(gap) for gap in gaps] for table, gaps in self.progress.gaps.items() if gaps}
        incomplete |= {table: [] for table in self._lost if table in LARGE}
        return self._task.report(self._aside, rows=self.progress.rows, incomplete=incomplete, filled=self._filled)

    def _where_it_was(self) -> Progress:
        connection = sqlite3.connect(f"file:{self._store}?mode=ro", uri=True, timeout=30.0)
        try:
            row = connection.execute("SELECT value FROM facts WHERE name = ?", (FACT,)).fetchone()
        finally:
            connection.close()
        told = None if row is None else Progress.of_json(json.loads(row[0]))
        if told is None or told.source.removesuffix(FILLED_BY) != self._aside.name:
            return Progress(source=self._aside.name)
        return told

    def _from_damaged(self, seen: Legible | None) -> Iterator[None]:
        if seen is None:
            self._lost = LARGE
            return
        self._lost = tuple(name for name in seen.lost if name in LARGE)
        if self.progress.source.endswith(FILLED_BY):
            return
        yield from self._pour(seen.file, dict.fromkeys(LARGE))

    def _from_backup(self) -> Iterator[None]:
        """What the damaged file could not tell, where the new store did not begin as the backup anyway."""
        wanted = self._wanted_of_backup()
        if not wanted or self._task.holds_backup or not self._backup_fits():
            return
        store = self._backup.found()
        if store is None:
            return
        self._filled = self._backup.told()
        source = self._aside.name + FILLED_BY
        if self.progress.source != source:
            self.progress = Progress(source=source, rows=self.progress.rows, gaps=self.progress.gaps)
        yield from self._pour(store, wanted)

    def _backup_fits(self) -> bool:
        size = self._backup.store_bytes()
        if size is None:
            return False
        room = look(self._home.path)
        if room.free_bytes < UNPACKED_ROOM * size + room.low_bytes:
            raise OSError(errno.ENOSPC, "there is no room to unpack the backup that fills in what was lost")
        return True

    def _wanted_of_backup(self) -> Mapping[str, set[int] | None]:
        wanted: dict[str, set[int] | None] = {}
        for table, gaps in self.progress.gaps.items():
            if gaps and table != "unsynced":
                series = {fixed[0] for fixed, _, _ in gaps if fixed}
                wanted[table] = None if any(not fixed for fixed, _, _ in gaps) else series
        return wanted | {table: None for table in self._lost if table != "unsynced"}

    def _pour(self, source: Path, wanted: Mapping[str, set[int] | None]) -> Iterator[None]:
        with pouring_into(self._store, source) as (connection, reading):
            pouring = Pouring(
                connection, reading, self.progress, wanted=wanted, real_s=self._real_s, most_rows=self._most_rows
            )
            yield from pouring.steps()

    def _queued_again(self) -> Iterator[None]:
        """Where the queue for the core could not be read whole, what may have been in it is queued once more.

        The core recognises a reading that it has.
        """
        if not self.progress.gaps.get("unsynced") and "unsynced" not in self._lost:
            return
        connection = sqlite3.connect(f"file:{self._store}?mode=rw", uri=True, timeout=30.0, isolation_level=None)
        try:
            since_ms = self._may_wait_since_ms(connection)
            for (series,) in connection.execute("SELECT id FROM series").fetchall():
                after_ms = since_ms
                while keys := connection.execute(
                    "SELECT series, time_ms FROM readings WHERE series = ? AND time_ms > ? ORDER BY time_ms LIMIT ?",
                    (series, after_ms, KEYS_AT_ONCE),
                ).fetchall():
                    queue_again(connection, keys, at_ms=self._task.at_ms)
                    after_ms = keys[-1][1]
                    yield
        finally:
            connection.close()

    def _may_wait_since_ms(self, connection: sqlite3.Connection) -> int:
        """Nothing older than this was waiting: the oldest that is known to wait, or the last batch that was made."""
        row = connection.execute("SELECT max(created_ms) FROM records WHERE kind = 'readings' AND taken_ms IS NULL")
        known = [time_ms for time_ms in (row.fetchone()[0], queued_since_ms(connection)) if time_ms is not None]
        return min(known) - QUEUED_BEFORE_MS if known else 0

    def _forget(self) -> None:
        connection = sqlite3.connect(f"file:{self._store}?mode=rw", uri=True, timeout=30.0, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM facts WHERE name = ?", (FACT,))
            count_change(connection, FACT)
            connection.execute("COMMIT")
        finally:
            connection.close()


def begin_rest(store: Path, aside: Path) -> None:
    """Have the new store say from its first moment that the rest is to come."""
    connection = sqlite3.connect(f"file:{store}?mode=rw", uri=True)
    try:
        with connection:
            keep_progress(connection, Progress(source=aside.name))
            count_change(connection, FACT)
    finally:
        connection.close()


@contextmanager
def pouring_into(store: Path, source: Path) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
    """(to the store with the source attached as `damaged`, to the source alone)."""
    with reading_damaged(source) as reading:
        connection = sqlite3.connect(
            f"file:{store}?mode=rw", uri=True, timeout=30.0, isolation_level=None, check_same_thread=False
        )
        try:
            # a step that a power cut undoes is taken again: the damaged file is still there
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit={MOST_LOG_BYTES}")
            connection.execute("PRAGMA cell_size_check=ON")
            connection.execute("ATTACH DATABASE ? AS damaged", (f"file:{source}?mode=ro",))
            yield connection, reading
        finally:
            connection.close()
