"""A damaged store: found, set aside untouched, and replaced by what can be had of it.

All but the large tables is taken from the damaged file at once (or from the newest good backup, with what can be read
put on top), with the newest readings; the rest follows while the unit serves (`kit.backup.rest`). The unit that comes
up is in a new epoch, like one that was restored. What was lost, if anything, is written down beside the damaged file in
`report.json` and told by `kit status` until a person deletes that folder.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.backup.checking import table_rows
from kit.backup.newest import NewestBackup, newest_backup
from kit.backup.report import REPORT, TASK, Report, Task, flush, gap_words, keep_report, keep_task
from kit.backup.rest import Rest, begin_rest, pouring_into
from kit.backup.restoring import STORE_FILES, epoch_of, renew, set_aside
from kit.disk import free_bytes, full_words
from kit.errors import NoRoomError
from kit.home import Home
from kit.identity import load_or_create_identity
from kit.store.database import exclusive_store, suspect_file
from kit.store.ledger import flush_folder
from kit.store.legible import Legible, legible
from kit.store.migrations import Migration, applied, migrate
from kit.store.pouring import LARGE, NEWEST, NewestRows, is_damage, keep_numbers, newest_rows
from kit.store.salvage import TableSalvage, reading_damaged, salvage

PATIENCE_S = 30.0
"""Real seconds for other processes to let go of the damaged store."""

WORK = "recover-"
"""How the name of the folder begins in which a recovery works."""

AT_ONCE_BYTES = 48_000_000
"""A store up to this size is back whole before it serves: some ten seconds on a slow card."""


def was_interrupted(home: Home) -> bool:
    """Whether `interrupted` would find something; changes nothing."""
    return _marker(home).exists()


ROOM_FACTOR = 1.3
MOST_ROOM_BYTES = 50_000_000
"""What a large store takes until it serves: its small tables, and the newest readings of each series (25 MB)."""


def interrupted(home: Home) -> str | None:
    """What was wrong with a store whose recovery was cut short, by a power cut say: its file is back in its place.

    To be called before anything opens the store.
    """
    marker = _marker(home)
    try:
        problem = marker.read_text(encoding="utf-8")
    except OSError:
        return None
    with exclusive_store(home.database, patience_s=PATIENCE_S):
        if home.database.exists() or not marker.exists():
            marker.unlink(missing_ok=True)
            return None
        _put_back(home)
    return problem or "its recovery was cut short"


def _put_back(home: Home) -> None:
    """The damaged file to its place, if there is no new store in it yet."""
    if home.database.exists() or not _marker(home).exists():
        return
    folders = sorted(file.parent for file in home.set_aside.glob(f"*/{home.database.name}"))
    for name in STORE_FILES if folders else ():
        if (folders[-1] / name).exists():
            (folders[-1] / name).rename(home.path / name)
    for name in (TASK, REPORT) if folders else ():
        (folders[-1] / name).unlink(missing_ok=True)
    for folder in folders[-1:]:
        with contextlib.suppress(OSError):
            folder.rmdir()  # nothing stands aside any more
    flush_folder(home.path)


def _marker(home: Home) -> Path:
    """Exists from before the damaged file is moved away until there is a new store in its place."""
    return home.database.with_suffix(".recovering")


def opens(file: Path) -> str | None:
    """What is wrong with a store at the first look; None if nothing, or if there is none. Takes milliseconds."""
    if not file.exists():
        return None
    try:
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5.0)
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            connection.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()
            connection.execute("SELECT origin FROM unit_epoch").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return str(error) if is_damage(error) else None
    return None


def look_over(file: Path, *, full: bool, only_small: bool = False) -> str | None:
    """`quick_check`, or the full `integrity_check`: what is wrong, or None. Reads the whole file.

    Args:
        file: the store.
        full: indexes, too.
        only_small: only what the unit cannot serve without: all tables but the large ones. Takes a second or two.
    """
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30.0)
    pragma = f"{'integrity' if full else 'quick'}_check"
    try:
        asked = [f"{pragma}({name})" for name in _small(connection)] if only_small else [f"{pragma}(3)"]
        found = {str(row[0]) for each in asked for row in connection.execute(f"PRAGMA {each}").fetchmany(3)}
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        found = {str(error)}
    finally:
        connection.close()
    return " ".join("; ".join(sorted(found - {"ok"})).split())[:300] or None


def _small(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'")
    return [str(row[0]) for row in rows if row[0] not in LARGE]


def recover(
    home: Home,
    problem: str,
    *,
    migrations: Sequence[Migration],
    now_ms: int,
    folders: Sequence[Path] = (),
    still: Callable[[], str | None] | None = None,
    at_once_bytes: int = AT_ONCE_BYTES,
    newest: NewestRows = NEWEST,
) -> Report | None:
    """Set the damaged store aside and bring up what can be had of it at once.

    Args:
        home: the unit; its other processes are stopped, or stop using the store within `PATIENCE_S`.
        problem: what is wrong with it.
        migrations: of the unit's store.
        now_ms: Unix ms.
        folders: where backups are, besides `backups/`.
        still: asked again once nobody else uses the store; where it says None, another process has mended it.
        at_once_bytes: a larger store serves before its large tables are back; see `kit.backup.rest`.
        newest: rows of the large tables that such a one has from the first moment.

    Raises:
        NoRoomError: there is too little room to begin; nothing was changed.
        StoreError: another process does not let go of the store.
        OSError: the disk is full or cannot be written; the damaged file is in its place again.
    """
    check_room(home)
    with exclusive_store(home.database, patience_s=PATIENCE_S):
        if still is not None and still() is None:
            return None
        clear_left_behind(home)
        with (
            tempfile.TemporaryDirectory(dir=home.spool, prefix=WORK, ignore_cleanup_errors=True) as folder,
            newest_backup(home, Path(folder), folders) as backup,
        ):
            small = home.database.stat().st_size <= at_once_bytes
            try:
                return _recover(home, problem, Path(folder), backup, migrations, now_ms, None if small else newest)
            except BaseException:
                _put_back(home)  # whoever waits for the store must not find none, and make an empty one
                raise


def clear_left_behind(home: Home) -> None:
    """Delete what a recovery that was killed was working on: among it is a second name of the damaged file.

    To be called while the store is held, so that no recovery is at work.
    """
    for folder in home.spool.glob(f"{WORK}*"):
        shutil.rmtree(folder, ignore_errors=True)


def check_room(home: Home) -> None:
    """Have the reserve give way to a recovery.

    Raises:
        NoRoomError: there is too little room all the same.
    """
    needs_bytes = room_to_recover(home)
    if free_bytes(home.path) < needs_bytes:
        home.reserve.unlink(missing_ok=True)
    if free_bytes(home.path) < needs_bytes:
        raise NoRoomError(
            f"the store is damaged, and {full_words(home.path, needs_bytes=needs_bytes)} to mend it; "
            f"free some space: it is mended by itself then",
            needs_bytes=needs_bytes,
        )


def room_to_recover(home: Home) -> int:
    """How many bytes must be free."""
    size = home.database.stat().st_size if home.database.exists() else 0
    return int(ROOM_FACTOR * min(size, MOST_ROOM_BYTES))


def _recover(
    home: Home,
    problem: str,
    work: Path,
    backup: NewestBackup,
    migrations: Sequence[Migration],
    now_ms: int,
    newest: NewestRows | None,
) -> Report:
    before = epoch_of(home.database)
    _marker(home).write_text(problem, encoding="utf-8")
    flush(_marker(home))
    flush_folder(home.path)
    aside = set_aside(home, now_ms=now_ms)
    assert aside is not None, "a store that is missing is not damaged"
    begun = _begin(aside / home.database.name, work, backup, migrations, newest or NEWEST)
    store, seen, base = begun.store, begun.seen, begun.base
    epoch = renew(store, unit=load_or_create_identity(home).unit, above=max(before, _highest_epoch(store)))
    whole = base is not None and base.whole
    task = Task(
        at_ms=now_ms,
        problem=problem,
        epoch=epoch,
        how="" if seen is None else seen.how,
        rows=backup.rows() if whole else _rows_of(store),
        incomplete={table.name: [gap_words(gap) for gap in table.gaps] for table in begun.tables if not table.whole},
        backup=None if base is None else base.told,
        large=seen is not None,
        holds_backup=whole,
    )
    if newest is None:
        rest = Rest(home, aside, task, store=store, backup=backup, work=work, migrations=migrations, real_s=lambda: 0.0)
        report = _all_of(rest)
    else:
        report = _leave_rest(store, aside, task)
    flush(store)
    store.rename(home.database)
    flush_folder(home.path)
    _marker(home).unlink(missing_ok=True)
    suspect_file(home.database).unlink(missing_ok=True)
    return report


@dataclass(frozen=True)
class _Begun:
    """What the unit can serve with.

    Attributes:
        seen: the damaged file, as far as it can be read.
        base: the backup that it began as, if it did.
        tables: what became of the small ones.
    """

    store: Path
    seen: Legible | None
    base: _Base | None
    tables: list[TableSalvage]


def _begin(
    damaged: Path, work: Path, backup: NewestBackup, migrations: Sequence[Migration], newest: NewestRows
) -> _Begun:
    """A store with all small tables and the newest readings."""
    sound = work / "kit.db"
    migrate(sound, migrations)
    base = None
    with legible(damaged, sound, work, backup=backup.table_list) as seen:
        # rows are copied between equal tables: a file by an earlier version is salvaged into a store of its own schema
        own = _migrations_of(seen, migrations)
        store = sound if len(own) == len(migrations) else work / "older.db"
        migrate(store, own)
        tables = _small_tables(seen, store)
        # rows tell of each other by number: a small table that is not whole is filled in before anything is added
        if not all(table.whole for table in tables):
            base = _base(backup, work / "base.db")
        if base is not None:
            store = base.store
            migrate(store, own)
            tables = _small_tables(seen, store)
        migrate(store, migrations)
        if seen is not None:
            _newest(seen.file, store, newest)
    return _Begun(store, seen, base, tables)


def _migrations_of(seen: Legible | None, migrations: Sequence[Migration]) -> Sequence[Migration]:
    """Those that the damaged file has; all of them where it does not say."""
    if seen is None:
        return migrations
    try:
        with reading_damaged(seen.file) as reading:
            own = applied(reading)
    except sqlite3.DatabaseError:
        return migrations
    return [each for each in migrations if (each.part, each.name) in own] if own else migrations


def _all_of(rest: Rest) -> Report:
    for _ in rest.steps():
        pass
    return rest.report()


def _leave_rest(store: Path, aside: Path, task: Task) -> Report:
    """To be brought back while the unit serves."""
    begin_rest(store, aside)
    keep_task(aside, task)
    report = task.report(aside, unfinished=True)
    keep_report(aside, report)
    return report


@dataclass(frozen=True)
class _Base:
    """What of a backup the new store begins with.

    Attributes:
        told: (file, Unix ms) of the backup.
        whole: its large tables are there, too.
    """

    store: Path
    told: tuple[str, int] | None
    whole: bool


def _base(backup: NewestBackup, target: Path) -> _Base | None:
    """The small tables, which are there within seconds; the whole of a backup of which they cannot be told apart."""
    begins = backup.begins()
    if begins is not None:
        return _Base(begins.rename(target), backup.begins_told(), whole=False)
    if backup.found() is not None:
        return _Base(backup.take(target), backup.told(), whole=True)
    return None


def _small_tables(seen: Legible | None, store: Path) -> list[TableSalvage]:
    """What came out of each table but the large ones."""
    if seen is None:
        return [TableSalvage("every table", whole=False)]
    lost = [TableSalvage(name, whole=False) for name in seen.lost if name not in LARGE]
    return [*salvage(seen.file, store, but=LARGE), *lost]


def _newest(damaged: Path, store: Path, newest: NewestRows) -> None:
    """The newest rows of the large tables; and no number of a series whose name is lost is given to another."""
    with pouring_into(store, damaged) as (connection, reading):
        there = {str(row[0]) for row in reading.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if "readings" in there:
            keep_numbers(connection, reading)
        newest_rows(connection, sorted(there), newest)


def _highest_epoch(store: Path) -> int:
    """Of the records: where the unit's own row could not be read, a new epoch must be later all the same."""
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return int(
            connection.execute("SELECT coalesce(max(epoch), 0) FROM records WHERE taken_ms IS NULL").fetchone()[0]
        )
    finally:
        connection.close()


def _rows_of(store: Path) -> int:
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return sum(table_rows(connection).values())
    finally:
        connection.close()
