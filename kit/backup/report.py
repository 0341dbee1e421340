"""What is said of a damaged store, and what of it is still to be done; both stand beside the damaged file."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kit.home import Home
from kit.store.ledger import flush_folder
from kit.store.salvage import Gap

REPORT = "report.json"
TASK = "unfinished.json"
"""Exists while the large tables are being brought back."""

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
        unfinished: the large tables are still being brought back.
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
    unfinished: bool = False

    @property
    def sentence(self) -> str:
        """For the technician."""
        found = f"the store was damaged ({self.problem}){f'; {self.how}' if self.how else ''}"
        if self.unfinished:
            return f"{found}; the unit serves, and the older readings are brought back from the damaged file meanwhile"
        if not self.incomplete:
            return f"{found}; everything in it was salvaged: {self.salvaged:,} rows"
        parts = [f"{name} ({'; '.join(gaps[:2])})" for name, gaps in self.incomplete.items() if gaps]
        gone = [name for name, gaps in self.incomplete.items() if not gaps]
        parts += [f"nothing of {', '.join(gone[:MOST_NAMES])}{_and_more(len(gone))}"] if gone else []
        filled = f"the backup {Path(self.backup).name} filled in" if self.backup else "there was no backup"
        return (
            f"{found}; the unit goes on with {self.salvaged:,} rows, {filled}; not wholly readable: {', '.join(parts)}"
        )


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is still to be done when the unit serves again.

    Attributes:
        at_ms, problem, epoch, how: as in the report.
        rows: that the unit began with.
        incomplete: small tables that could not be read whole.
        backup: (file, Unix ms) of the backup that the new store began as; None where it began empty.
        large: the damaged file's tables can be found at all.
        holds_backup: it began as the whole of that backup; else only what of it is small is there already.
    """

    at_ms: int
    problem: str
    epoch: int
    how: str
    rows: int
    incomplete: dict[str, list[str]]
    backup: tuple[str, int] | None
    large: bool
    holds_backup: bool

    def report(
        self,
        aside: Path,
        *,
        unfinished: bool = False,
        rows: int = 0,
        incomplete: dict[str, list[str]] | None = None,
        filled: tuple[str, int] | None = None,
    ) -> Report:
        """The report, with the rows that were brought back since, and what of them could not be read."""
        backup = self.backup or filled
        return Report(
            at_ms=self.at_ms,
            problem=self.problem,
            set_aside=str(aside),
            backup=None if backup is None else backup[0],
            backup_ms=None if backup is None else backup[1],
            salvaged=self.rows + rows,
            incomplete=self.incomplete | (incomplete or {}),
            epoch=self.epoch,
            how=self.how,
            unfinished=unfinished,
        )


def reports(home: Home) -> list[dict[str, Any]]:
    """What was recovered from and is not cleared away yet, the newest first."""
    found = []
    for file in home.set_aside.glob(f"*/{REPORT}"):
        with contextlib.suppress(OSError, ValueError):
            found.append(json.loads(file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda report: int(report.get("at_ms", 0)), reverse=True)


def keep_report(aside: Path, report: Report) -> None:
    """Write it beside the damaged file."""
    _write(aside / REPORT, asdict(report) | {"sentence": report.sentence})


def keep_task(aside: Path, task: Task) -> None:
    """Write it beside the damaged file."""
    _write(aside / TASK, asdict(task))


def load_task(aside: Path) -> Task | None:
    """What is still to be done with that damaged file; None where there is nothing, or it is no longer there."""
    try:
        told = json.loads((aside / TASK).read_text(encoding="utf-8"))
        backup = told.pop("backup")
        told.setdefault("holds_backup", backup is not None)  # written by an earlier version
        return Task(**told, backup=None if backup is None else (str(backup[0]), int(backup[1])))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def unfinished(home: Home) -> list[Path]:
    """The folders of damaged files whose large tables are still to be brought back, the oldest first."""
    return sorted(file.parent for file in home.set_aside.glob(f"*/{TASK}"))


def gap_words(gap: Gap) -> str:
    """Where reading failed."""
    fixed, low, high = gap
    return " ".join([*(f"{value}:" for value in fixed), f"between {low} and {high}"])


def flush(file: Path) -> None:
    """On the disk when this returns."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(file: Path, told: dict[str, Any]) -> None:
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps(told, indent=1), encoding="utf-8")
    flush(temporary)
    temporary.rename(file)
    flush_folder(file.parent)


def _and_more(count: int) -> str:
    return f" and {count - MOST_NAMES} more" if count > MOST_NAMES else ""
