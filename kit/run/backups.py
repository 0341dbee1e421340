"""The care service's backups: every night, and onto a stick that is plugged in for it.

What became of each is the fact `backup`: `{nightly, stick}`, each `{at_ms, ok, file, bytes, sentence}`.
"""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardware.ports import StickWatcher
from kit.backup.archive import BackupError
from kit.backup.making import Made, keep_newest, list_backups, make_backup
from kit.backup.report import unfinished
from kit.health.words import zone_of
from kit.run.schema import open_unit_store
from kit.store.facts import get_fact, put_fact

if TYPE_CHECKING:
    from kit.run.unit_process import UnitProcess

FACT = "backup"
ON_STICK = "village-kit"
"""The folder on a stick."""

TOO_OLD_MS = 36 * 3_600_000
"""A newest backup older than this is made up for at once, whatever the hour: the unit was off at night."""

RECENT_MS = 18 * 3_600_000
RETRY_S = 600.0
"""Kit seconds after a backup that failed."""

_log = logging.getLogger(__name__)


def nightly_is_due(*, now_ms: int, newest_ms: int | None, hour: int, wanted_hour: int, trusted: bool) -> bool:
    """Whether a nightly backup is to be made now.

    Args:
        now_ms: Unix ms.
        newest_ms: when the newest one was made; None if there is none.
        hour: of the day, in the village.
        wanted_hour: the setting.
        trusted: whether the clock is. Where it is not, only the first one is made: no age can be told.
    """
    if newest_ms is None:
        return True
    age_ms = now_ms - newest_ms
    if not trusted:
        return False
    return age_ms >= TOO_OLD_MS or (age_ms >= RECENT_MS and hour == wanted_hour)


class BackupWatch:
    """Makes backups when they are due. One call of `look_*` at a time.

    Args:
        unit: whose.
        sticks: where sticks are plugged in; None = nowhere.
    """

    def __init__(self, unit: UnitProcess, sticks: StickWatcher | None) -> None:
        self._unit, self._sticks = unit, sticks
        self._folder = backup_folder(unit)
        self._done: set[tuple[str, str]] = set()
        self._failed_at: float | None = None

    def look_at_the_clock(self) -> None:
        """Make the nightly backup if it is due."""
        unit, clock = self._unit, self._unit.clock
        if not unit.settings.backup.keep or not unit.home.database.exists():
            return
        if unfinished(unit.home):
            return  # it would hold less than the ones that are there, and take the place of one
        if self._failed_at is not None and clock.monotonic() - self._failed_at < RETRY_S:
            return
        now_ms = int(clock.now() * 1000)
        # one that does not begin with the small tables would keep a unit with a damaged store waiting
        own = [head for _, head in list_backups(self._folder) if head.unit == unit.identity.unit and head.small_first]
        newest = own[0] if own else None
        due = nightly_is_due(
            now_ms=now_ms,
            newest_ms=None if newest is None else newest.created_ms,
            hour=datetime.fromtimestamp(now_ms / 1000, zone_of(unit.settings.unit.timezone)).hour,
            wanted_hour=unit.settings.backup.hour,
            trusted=clock.trusted,
        )
        if due:
            ok = self._make("nightly", self._folder)
            self._failed_at = None if ok else clock.monotonic()

    def look_for_sticks(self) -> None:
        """Make a backup on each stick that was plugged in since the last look."""
        if self._sticks is None:
            return
        plugged = self._sticks.sticks()
        # with its trouble: a stick that is mounted or unlocked after all is looked at anew
        looked_at = {(stick.serial, stick.trouble) for stick in plugged}
        self._done &= looked_at
        for stick in plugged:
            if (stick.serial, stick.trouble) in self._done:
                continue
            self._done.add((stick.serial, stick.trouble))
            if stick.path is None or stick.trouble:
                self._tell("stick", ok=False, file="", size=0, sentence=stick.trouble)
            else:
                self._make("stick", stick.path / ON_STICK)

    def _make(self, which: str, folder: Path) -> bool:
        unit = self._unit
        try:
            made = make_backup(unit.home, folder, name=unit.settings.unit.name, now_ms=int(unit.clock.now() * 1000))
            keep_newest(folder, unit.settings.backup.keep, unit=unit.identity.unit)
        except BackupError as error:
            self._tell(which, ok=False, file=str(folder), size=0, sentence=str(error))
            return False
        self._tell(which, ok=True, file=str(made.file), size=made.file.stat().st_size, sentence=_praise(which, made))
        return True

    def _tell(self, which: str, *, ok: bool, file: str, size: int, sentence: str) -> None:
        (_log.info if ok else _log.warning)("backup (%s): %s", which, sentence)
        at_ms = int(self._unit.clock.now() * 1000)
        told: dict[str, Any] = {"at_ms": at_ms, "ok": ok, "file": file, "bytes": size, "sentence": sentence}
        with open_unit_store(self._unit.home) as database, database.atomic() as connection:
            before = get_fact(connection, FACT)
            put_fact(connection, FACT, (before[1] if before else {}) | {which: told}, at_ms=at_ms)


def backup_folder(unit: UnitProcess) -> Path:
    """Where nightly backups go."""
    return Path(unit.settings.backup.folder).expanduser() if unit.settings.backup.folder else unit.home.backups


def _praise(which: str, made: Made) -> str:
    rows = sum(made.manifest["tables"].values())
    end = "; the stick may be pulled out" if which == "stick" else ""
    return f"{made.file.name}, {made.file.stat().st_size / 1e6:.1f} MB, {rows} rows, checked{end}"
