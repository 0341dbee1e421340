"""A damaged store: found, set aside untouched, and replaced by the newest good backup with everything salvaged on top.

The unit that comes up is in a new epoch, like one that was restored. What was lost, if anything, is written down beside
the damaged file in `report.json` and told by `kit status` until a person deletes that folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kit.backup.archive import BackupError, Head
from kit.backup.making import backup_secret, list_backups
from kit.backup.restoring import epoch_of, renew, set_aside, unpacked
from kit.home import Home
from kit.identity import load_or_create_identity
from kit.store.database import exclusive_store, suspect_file
from kit.store.ledger import flush_folder
from kit.store.legible import legible, list_of
from kit.store.migrations import Migration, migrate
from kit.store.salvage import TableSalvage, salvage

REPORT = "report.json"
PATIENCE_S = 30.0
"""Real seconds for other processes to let go of the damaged store."""


MOST_NAMES = 8
"""Tables named in a sentence; all of them stand in the report."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found, and what became of it.

    Attributes:
        problem: what SQLite said.
        set_aside: where the damaged file is.
        backup: the backup that what could not be salvaged was taken from; None where there was none.
        backup_ms: when it was made.
        salvaged: rows that the unit goes on with.
        incomplete: tables that could not be read whole, each with the places where reading failed.
        epoch: the new one.
        how: what it took to read its list of tables; "" where it could be read.
    """

    at_ms: int
    problem: str
    set_aside: str
    backup: str | None
    backup_ms: int | None
    salvaged: int
    incomplete: dict[str, list[str]]
    epoch: int
    how: str = ""

    @property
    def sentence(self) -> str:
        """For the technician."""
        how = f"; {self.how}" if self.how else ""
        if not self.incomplete:
            return f"the store was damaged ({self.problem}){how}; everything in it was salvaged: {self.salvaged:,} rows"
        parts = [f"{name} ({'; '.join(gaps[:2])})" for name, gaps in self.incomplete.items() if gaps]
        gone = [name for name, gaps in self.incomplete.items() if not gaps]
        parts += [f"nothing of {', '.join(gone[:MOST_NAMES])}{_and_more(len(gone))}"] if gone else []
        filled = f"the backup {Path(self.backup).name} filled in" if self.backup else "there was no backup"
        return (
            f"the store was damaged ({self.problem}){how}; the unit goes on with {self.salvaged:,} rows, {filled}; "
            f"not wholly readable: {', '.join(parts)}"
        )


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
        return str(error) if _is_damage(error) else None
    return None


def look_over(file: Path, *, full: bool) -> str | None:
    """`quick_check`, or the full `integrity_check`: what is wrong, or None. Reads the whole file."""
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30.0)
    try:
        found = [str(row[0]) for row in connection.execute(f"PRAGMA {'integrity' if full else 'quick'}_check(3)")]
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        found = [str(error)]
    finally:
        connection.close()
    return None if found == ["ok"] else " ".join("; ".join(found).split())[:300]


def recover(
    home: Home,
    problem: str,
    *,
    migrations: Sequence[Migration],
    now_ms: int,
    folders: Sequence[Path] = (),
    still: Callable[[], str | None] | None = None,
) -> Report | None:
    """Set the damaged store aside and bring up what can be had of it.

    Args:
        home: the unit; its other processes are stopped, or stop using the store within `PATIENCE_S`.
        problem: what is wrong with it.
        migrations: of the unit's store.
        now_ms: Unix ms.
        folders: where backups are, besides `backups/`.
        still: asked again once nobody else uses the store; where it says None, another process has mended it.

    Raises:
        StoreError: another process does not let go of the store.
        OSError: the disk is full or cannot be written.
    """
    with exclusive_store(home.database, patience_s=PATIENCE_S):
        if still is not None and still() is None:
            return None
        with tempfile.TemporaryDirectory(dir=home.spool, prefix="recover-", ignore_cleanup_errors=True) as folder:
            backups = sorted(
                [each for place in {home.backups, *folders} for each in list_backups(place)],
                key=lambda each: each[1].created_ms,
                reverse=True,
            )
            return _recover(home, problem, Path(folder), backups, migrations=migrations, now_ms=now_ms)


def reports(home: Home) -> list[dict[str, Any]]:
    """What was recovered from and is not cleared away yet, the newest first."""
    found = []
    for file in home.set_aside.glob(f"*/{REPORT}"):
        with contextlib.suppress(OSError, ValueError):
            found.append(json.loads(file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda report: int(report.get("at_ms", 0)), reverse=True)


def _recover(
    home: Home,
    problem: str,
    work: Path,
    backups: Sequence[tuple[Path, Head]],
    *,
    migrations: Sequence[Migration],
    now_ms: int,
) -> Report:
    before = epoch_of(home.database)
    aside = set_aside(home, now_ms=now_ms)
    assert aside is not None, "a store that is missing is not damaged"
    with _newest_good_backup(home, work, backups) as (backup, store):
        migrate(store, migrations)
        tables, how = _salvage(aside / home.database.name, store, work, is_former_self=backup is not None)
        epoch = renew(store, unit=load_or_create_identity(home).unit, above=before)
        _flush(store)
        store.rename(home.database)
        flush_folder(home.path)
    report = Report(
        at_ms=now_ms,
        problem=problem,
        set_aside=str(aside),
        backup=None if backup is None else str(backup[0]),
        backup_ms=None if backup is None else backup[1],
        salvaged=sum(table.rows for table in tables),
        incomplete={table.name: [_gap(gap) for gap in table.gaps] for table in tables if not table.whole},
        epoch=epoch,
        how=how,
    )
    told = asdict(report) | {"sentence": report.sentence}
    (aside / REPORT).write_text(json.dumps(told, indent=1), encoding="utf-8")
    _flush(aside / REPORT)
    suspect_file(home.database).unlink(missing_ok=True)
    return report


@contextmanager
def _newest_good_backup(
    home: Home, work: Path, backups: Sequence[tuple[Path, Head]]
) -> Iterator[tuple[tuple[Path, int] | None, Path]]:
    """The newest backup that proves good, unpacked; else an empty store."""
    with contextlib.ExitStack() as stack:
        for file, head in backups:
            try:
                folder, _ = stack.enter_context(unpacked(file, backup_secret(home), work))
            except BackupError:
                continue
            yield (file, head.created_ms), folder / "kit.db"
            return
        yield None, work / "kit.db"


def _salvage(damaged: Path, store: Path, work: Path, *, is_former_self: bool) -> tuple[list[TableSalvage], str]:
    """What came out of each table, and what it took to read the list of them."""
    with legible(damaged, store, work, backup=lambda: list_of(store) if is_former_self else None) as seen:
        if seen is None:
            return [TableSalvage("every table", whole=False)], ""
        lost = [TableSalvage(name, whole=False) for name in seen.lost]
        return [*salvage(seen.file, store), *lost], seen.how


def _and_more(count: int) -> str:
    return f" and {count - MOST_NAMES} more" if count > MOST_NAMES else ""


def _gap(gap: tuple[tuple[int, ...], object, object]) -> str:
    fixed, low, high = gap
    return " ".join([*(f"{value}:" for value in fixed), f"between {low} and {high}"])


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    )


def _flush(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
