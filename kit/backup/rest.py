"""The rest of a damaged store: its large tables, brought back while the unit serves.

A unit whose store was damaged serves at once, with everything but the older readings; these come back from the damaged
file in small steps, and what cannot be read of them from the newest good backup. A process that is killed meanwhile
goes on where it was: the task stands beside the damaged file, and how far it has come in the running store.
"""

from __future__ import annotations

import errno
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kit.backup.archive import BackupError, Head, unpack
from kit.backup.checking import check_store
from kit.backup.making import backup_secret, list_backups
from kit.backup.report import TASK, Report, Task, gap_words, keep_report
from kit.backup.restoring import unpacked
from kit.backup.small_store import SMALL
from kit.home import Home
from kit.store.database import CHECKPOINT_PAGES, MOST_LOG_BYTES
from kit.store.disk_room import look
from kit.store.facts import count_change
from kit.store.legible import Legible, legible, list_of
from kit.store.migrations import Migration, migrate
from kit.store.pouring import FACT, FILLED_BY, LARGE, Pouring, Progress, keep_progress, queue_again, queued_since_ms
from kit.store.salvage import reading_damaged
from kit.store.table_list import TableList, list_file, load_list

UNPACKED_ROOM = 1.3
"""So many times the backup's size must be free to unpack it, besides what readings need."""

STORE = "kit.db"
"""As a backup names it."""

QUEUED_BEFORE_MS = 3_600_000
KEYS_AT_ONCE = 1_000


class NewestBackup:
    """The newest backup that proves good, unpacked when it is first asked for.

    What it begins with, the store without its large tables, is there within seconds; the whole of it takes as long as
    the card takes to write it.

    Args:
        home: the unit.
        work: a folder on its disk.
        files: backups, the newest first.
        stack: takes the unpacked files away at its end.
    """

    def __init__(self, home: Home, work: Path, files: Sequence[tuple[Path, Head]], stack: ExitStack) -> None:
        self._home, self._work, self._files, self._stack = home, work, files, stack
        self._found: tuple[Path, int, Path, int] | None = None
        self._begun: tuple[Path, int, Path] | None = None
        self._looked = self._looked_first = False

    def found(self) -> Path | None:
        """Its store; None where no backup is good."""
        if not self._looked:
            self._looked = True
            self._found = self._unpack()
        return None if self._found is None else self._found[2]

    def begins(self) -> Path | None:
        """Its store without the large tables; None where no backup has such a one, or none is good."""
        if not self._looked_first:
            self._looked_first = True
            self._begun = self._unpack_first()
        return None if self._begun is None else self._begun[2]

    def told(self) -> tuple[str, int] | None:
        """(file, Unix ms) of it."""
        return None if self.found() is None or self._found is None else (str(self._found[0]), self._found[1])

    def begins_told(self) -> tuple[str, int] | None:
        """(file, Unix ms) of the one that `begins` is of."""
        return None if self._begun is None else (str(self._begun[0]), self._begun[1])

    def rows(self) -> int:
        """How many rows it holds."""
        return 0 if self._found is None else self._found[3]

    def size(self) -> int | None:
        """Of the newest file; None where there is none."""
        return self._files[0][0].stat().st_size if self._files else None

    def take(self, target: Path) -> Path:
        """Its store moved to `target`."""
        store = self.found()
        assert store is not None, "asked for only where one was found"
        return store.rename(target)

    def table_list(self) -> TableList | None:
        """Its list of tables."""
        begins = self.begins()
        kept = None if begins is None else load_list(list_file(begins.with_name(STORE)))
        if kept is not None:
            return kept
        store = self.found()
        return None if store is None or not store.exists() else list_of(store)

    def _unpack(self) -> tuple[Path, int, Path, int] | None:
        for file, head in self._files:
            try:
                folder, manifest = self._stack.enter_context(unpacked(file, backup_secret(self._home), self._work))
            except BackupError:
                continue
            return file, head.created_ms, folder / "kit.db", sum(manifest["tables"].values())
        return None

    def _unpack_first(self) -> tuple[Path, int, Path] | None:
        for file, head in self._files:
            folder = emptied(self._work / "begins-in-work")
            self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
            try:
                wanted = (SMALL, list_file(folder / STORE).name)
                manifest = unpack(file, backup_secret(self._home), folder, only=wanted)
                if SMALL not in manifest["files"]:
                    return None  # made by an older version: the newest is worth waiting for
                check_store(folder / SMALL)
            except BackupError:
                continue
            return file, head.created_ms, folder / SMALL
        return None


@contextmanager
def newest_backup(home: Home, work: Path, folders: Sequence[Path]) -> Iterator[NewestBackup]:
    """The newest good backup in these folders and in the home's own."""
    files = [each for place in {home.backups, *folders} for each in list_backups(place)]
    with ExitStack() as stack:
        yield NewestBackup(home, work, sorted(files, key=lambda each: each[1].created_ms, reverse=True), stack)


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
    ) -> None:
        self._home, self._aside, self._task, self._store = home, aside, task, store
        self._backup, self._work, self._migrations, self._real_s = backup, work, migrations, real_s
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
        size = self._backup.size()
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
            pouring = Pouring(connection, reading, self.progress, wanted=wanted, real_s=self._real_s)
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


def emptied(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return folder
