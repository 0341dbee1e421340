"""The care service's job of bringing the rest of a damaged store back while the unit serves; see `kit.backup.rest`."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from kit.backup.damage import clear_left_behind
from kit.backup.newest import emptied, newest_backup
from kit.backup.report import load_task, unfinished
from kit.backup.rest import Rest
from kit.clock import SystemClock
from kit.errors import KitError
from kit.health.damage_view import progress_words
from kit.run.backups import backup_folder
from kit.run.schema import open_unit_store, unit_migrations
from kit.store.disk_room import look

if TYPE_CHECKING:
    from kit.run.unit_process import UnitProcess

LOOK_S = 2.0
"""Real seconds between two looks whether there is something to bring back."""

AGAIN_S = 60.0
"""Real seconds after a failure, or while the disk is short of room."""

TELL_S = 60.0
"""Real seconds between two lines in the log."""

SHORTEST_REST_S = 0.01
LOWEST_PRIORITY = 19

_log = logging.getLogger(__name__)


class BringingBack:
    """Brings back what is left, one damaged file after the other. Belongs to one thread.

    Args:
        unit: whose.
        make_way: set while somebody in this process must have the store to himself.
    """

    def __init__(self, unit: UnitProcess, make_way: threading.Event) -> None:
        self._unit, self._make_way = unit, make_way
        self._time = SystemClock()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        with contextlib.suppress(AttributeError, PermissionError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
        told = ""
        while not stop.wait(LOOK_S):
            for aside in unfinished(self._unit.home):
                try:
                    self._bring(aside, stop)
                    told = ""
                except (KitError, OSError, sqlite3.Error) as error:
                    if str(error) != told:
                        _log.warning("bringing back waits: %s", error)
                    told = str(error)
                    stop.wait(AGAIN_S)

    def _bring(self, aside: Path, stop: threading.Event) -> None:
        home, task = self._unit.home, load_task(aside)
        if task is None or self._make_way.is_set():
            return
        work = emptied(home.spool / "bring-back")
        folder = backup_folder(self._unit)
        # the store is held like by any service: nobody replaces it meanwhile
        with open_unit_store(home), newest_backup(home, work, [folder]) as backup:
            clear_left_behind(home)
            rest = Rest(
                home,
                aside,
                task,
                store=home.database,
                backup=backup,
                work=work,
                migrations=unit_migrations(),
                real_s=self._time.monotonic,
            )
            whole = self._step_by_step(rest, stop)
        emptied(work).rmdir()
        if whole:
            _log.warning("%s", rest.report().sentence)

    def _step_by_step(self, rest: Rest, stop: threading.Event) -> bool:
        """Rest after each step for as long as it took; returns whether it came to the end."""
        tell_s = began_s = self._time.monotonic()
        for _ in rest.steps():
            now_s = self._time.monotonic()
            if now_s >= tell_s:
                _log.info("bringing back: %s", progress_words(rest.progress.as_json()))
                tell_s = now_s + TELL_S
            if self._make_way.is_set() or stop.wait(max(SHORTEST_REST_S, now_s - began_s)):
                return False
            while (room := look(self._unit.home.path)).free_bytes < room.low_bytes:
                _log.info("bringing back waits: the disk is short of room; free some: uploads, old backups")
                if self._make_way.is_set() or stop.wait(AGAIN_S):
                    return False
            began_s = self._time.monotonic()
        return True
