"""When the store is looked over, and how a unit gets over a damaged one.

A store that cannot even be opened is mended by whichever process meets it first, before it serves. Everything else is
the care service's: after an unclean end it runs `quick_check` while the others serve already (so that readings are
taken within two seconds however large the store is), every week a full check when nothing else happens, and at once
when any process has met damage. On damage it ends the other services, recovers, and they come back on the sound store.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.backup.damage import check_room, interrupted, look_over, opens, recover
from kit.backup.report import Report, unfinished
from kit.clock import Clock
from kit.errors import KitError, NoRoomError
from kit.health.services import service_states
from kit.health.words import zone_of
from kit.home import Home
from kit.run.schema import open_unit_store, unit_migrations
from kit.run.unclean_ends import settle_for_replaced_store
from kit.settings import load_settings
from kit.store.database import suspect, suspect_file
from kit.store.facts import get_fact, put_fact
from kit.store.table_list import keep_list

if TYPE_CHECKING:
    from kit.run.unit_process import UnitProcess

FACT = "store-check"
"""{quick, full}: the last check of each kind, {at_ms, seconds, problem}."""

PROBLEM = "problem/mending"
"""{problem}: why a damaged store is not mended yet."""

NO_ROOM_AGAIN_S = 60.0
"""Kit seconds until a store that could not be mended for want of room is looked at again."""

FULL_EVERY_MS = 7 * 86_400_000
OVERDUE_MS = 10 * 86_400_000
"""A unit that is never idle at night is checked all the same."""

FULL_LOOK_S = 60.0
"""Kit seconds between two looks whether a full check is due, and whether the list of tables has changed."""

IDLE_HOURS = range(1, 5)
IDLE_LOAD = 1.0
LOWEST_PRIORITY = 19

_log = logging.getLogger(__name__)


def mend_unopenable(home: Home, *, now_ms: int) -> Report | None:
    """Recover at once if the store cannot be opened; returns what was done.

    Raises:
        KitError: it cannot be recovered now; the sentence says why.
    """
    problem = interrupted(home)
    still = None if problem else lambda: opens(home.database)
    problem = problem or opens(home.database)
    if problem is None:
        return None
    check_room(home)
    _log.error("the store cannot be opened: %s", problem)
    return _recover(home, problem, now_ms=now_ms, still_damaged=still)


class StoreChecks:
    """The care service's looks at the store.

    Args:
        unit: whose.
        unclean: whether an unclean end was found when the service started.
        make_way: set while the store must be let go of, because it is replaced.
        load: how many processes have wanted the machine, on average over the last minute.
    """

    def __init__(
        self,
        unit: UnitProcess,
        *,
        unclean: bool,
        make_way: threading.Event | None = None,
        load: Callable[[], float] = lambda: os.getloadavg()[0],
    ) -> None:
        self._unit = unit
        self._make_way = make_way or threading.Event()
        self._load = load
        self._quick_due = unclean
        self._next_look_s = self._not_before_s = 0.0

    def look(self) -> None:
        """Check if a check is due; recover if it finds damage."""
        with contextlib.suppress(AttributeError, PermissionError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
        if self._unit.clock.monotonic() < self._not_before_s:
            return
        try:
            self._look()
        except NoRoomError as error:
            self._not_before_s = self._unit.clock.monotonic() + NO_ROOM_AGAIN_S
            self._tell_problem(str(error))
            raise

    def _look(self) -> None:
        if self._quick_due or suspect_file(self._unit.home.database).exists():
            self._check(full=False)
            self._quick_due = False
            suspect_file(self._unit.home.database).unlink(missing_ok=True)
        elif self._unit.clock.monotonic() >= self._next_look_s:
            self._next_look_s = self._unit.clock.monotonic() + FULL_LOOK_S
            keep_table_list(self._unit.home)
            if self._full_is_due():
                self._check(full=True)

    def _check(self, *, full: bool) -> None:
        unit, clock = self._unit, self._unit.clock
        if not unit.home.database.exists():
            return
        began_s = clock.monotonic()
        # first what nothing works without: where that is damaged, the village waits
        problem = None if full else look_over(unit.home.database, full=False, only_small=True)
        problem = problem or look_over(unit.home.database, full=full)
        if problem is not None:
            _log.error("the store is damaged: %s", problem)
            self._make_way.set()
            try:
                _recover(unit.home, problem, now_ms=int(clock.now() * 1000), clock=clock)
            finally:
                self._make_way.clear()
        seconds = round(clock.monotonic() - began_s, 2)
        told = {"at_ms": int(clock.now() * 1000), "seconds": seconds, "problem": problem}
        with open_unit_store(unit.home) as database, database.atomic() as connection:
            before = get_fact(connection, FACT)
            put_fact(
                connection,
                FACT,
                (before[1] if before else {}) | {"full" if full else "quick": told},
                at_ms=int(told["at_ms"] or 0),
            )
        self._tell_problem("")

    def _tell_problem(self, sentence: str) -> None:
        """In `kit status`, as far as the damaged store takes it."""
        with (
            contextlib.suppress(sqlite3.Error, KitError),
            open_unit_store(self._unit.home) as database,
            database.atomic() as connection,
        ):
            before = get_fact(connection, PROBLEM)
            if sentence or before is not None:
                put_fact(connection, PROBLEM, {"problem": sentence}, at_ms=int(self._unit.clock.now() * 1000))

    def _full_is_due(self) -> bool:
        unit = self._unit
        if unfinished(unit.home):
            return False
        now_ms = int(unit.clock.now() * 1000)
        with open_unit_store(unit.home) as database:
            told: dict[str, Any] = (get_fact(database.connection, FACT) or (0, {}))[1]
        last = told.get("full") or told.get("quick")
        if last is None:
            return self._idle(now_ms)
        age_ms = now_ms - int(last["at_ms"])
        return age_ms > OVERDUE_MS or (age_ms > FULL_EVERY_MS and self._idle(now_ms))

    def _idle(self, now_ms: int) -> bool:
        hour = datetime.fromtimestamp(now_ms / 1000, zone_of(self._unit.settings.unit.timezone)).hour
        return hour in IDLE_HOURS and self._load() < IDLE_LOAD


def _recover(
    home: Home, problem: str, *, now_ms: int, clock: Clock | None = None, still_damaged: Any = None
) -> Report | None:
    check_room(home)  # before the village loses its pages over it
    end_other_services(home)
    folder = load_settings(home.settings_file).backup.folder
    report = recover(
        home,
        problem,
        migrations=unit_migrations(),
        now_ms=now_ms,
        folders=[Path(folder).expanduser()] if folder else [],
        still=still_damaged,
    )
    if report is not None:
        _log.error("%s", report.sentence)
    if report is not None and clock is not None and not report.unfinished:
        settle_for_replaced_store(home, clock)
    return report


def end_other_services(home: Home) -> None:
    """Kill this unit's other services, so that they leave the ledgers of what they acknowledged; they are restarted."""
    for service in service_states(home.services_file).services:
        pid = service.get("pid")
        if isinstance(pid, int) and pid != os.getpid() and _is_a_service(pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _is_a_service(pid: int) -> bool:
    """Not another program that has got a dead service's number since."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"service" in words and any(b"kit" in word for word in words)


def keep_table_list(home: Home) -> None:
    """Keep the copy of the list of tables up to date; a store that cannot tell it is left to the checks."""
    try:
        keep_list(home.database)
    except (sqlite3.Error, OSError) as error:
        if not suspect(home.database, error):
            _log.warning("the copy of the store's list of tables was not written: %s", error)


def explain_recovery(report: Report) -> str:
    """For the person in front of `kit run`."""
    return f"{report.sentence}. The damaged file is kept in {report.set_aside}."
