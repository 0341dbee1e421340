"""`kit service care`: what keeps a unit sound when nobody looks.

It settles unclean ends (the power-cut ledger), checks the store, and makes the backups. Each job is a loop in a thread
of its own; what one stumbles over is logged and tried again at its next turn: a unit in trouble needs its care most.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from kit.backup.report import unfinished
from kit.health.words import zone_of
from kit.model.local_days import LocalDays
from kit.run import adapters
from kit.run.backups import BackupWatch
from kit.run.bringing_back import BringingBack
from kit.run.disk import DiskWatch
from kit.run.mending import StoreChecks
from kit.run.schema import open_unit_store, process_ledger
from kit.run.together import every, run_together
from kit.run.unclean_ends import date_what_could_not_be_dated, settle_unclean_ends
from kit.store.disk_room import Reserve
from kit.store.power_history import dead_ledgers

if TYPE_CHECKING:
    from kit.run.unit_process import UnitProcess

SETTLE_EVERY_S = 5.0
"""Real seconds; also how long the other services have, after a power cut, to leave their own traces in one event."""

ALIVE_EVERY_S = 60.0
"""Kit seconds; how exactly it is known when the power went, at the price of one written page a minute."""

CHECK_LOOK_S = 2.0
"""Real seconds between two looks whether somebody met damage; a village waits for its pages meanwhile."""

DISK_LOOK_S = 1.0
"""Real seconds between two looks at the disk: at a megabyte of readings a second, within the room that is left."""

NIGHTLY_LOOK_S = 60.0
"""Kit seconds between two looks whether the nightly backup is due; also how long after its start a new unit makes its
first one."""

STICK_LOOK_S = 2.0
"""Real seconds between two looks for a stick; a person stands there and waits."""

RECEIVED_LOOK_S = 5.0
"""Real seconds between two looks for files that the city core has published."""

_log = logging.getLogger(__name__)


def serve_care(unit: UnitProcess, stop: threading.Event, ready: Callable[[Mapping[str, Any]], None]) -> None:
    """Run the jobs until `stop`."""
    sticks = adapters.sticks(unit.home, replace(unit.settings.sticks, label=unit.settings.backup.stick))
    backups = BackupWatch(unit, sticks if unit.settings.backup.stick else None)
    make_way = threading.Event()
    checks = StoreChecks(unit, unclean=bool(dead_ledgers(unit.home.ledger)), make_way=make_way)
    disk = DiskWatch(
        partial(open_unit_store, unit.home),
        reserve=Reserve(unit.home.database),
        clock=unit.clock,
        days=LocalDays(zone_of(unit.settings.unit.timezone)),
    )
    jobs: dict[str, Callable[[threading.Event], None]] = {
        "unclean-ends": every(SETTLE_EVERY_S, lambda: _settle(unit)),
        "heartbeat": every(max(0.2, unit.clock.real(ALIVE_EVERY_S)), process_ledger(unit.home).alive, at_once=True),
        "store-check": every(CHECK_LOOK_S, checks.look, at_once=True),
        "disk": every(DISK_LOOK_S, disk.look, at_once=True),
        "nightly-backup": every(max(1.0, unit.clock.real(NIGHTLY_LOOK_S)), backups.look_at_the_clock),
        "stick": every(STICK_LOOK_S, backups.look_for_sticks),
    }
    jobs["bringing-back"] = BringingBack(unit, make_way).run
    jobs["received-files"] = every(RECEIVED_LOOK_S, partial(_write_received, unit), at_once=True)
    ready({"jobs": sorted(jobs)})
    run_together(jobs, stop)


def _write_received(unit: UnitProcess) -> None:
    from kit.run.received import ReceivedFiles

    with open_unit_store(unit.home) as database:
        ReceivedFiles(unit.home, database, unit.clock).look()


def _settle(unit: UnitProcess) -> None:
    if unfinished(unit.home):
        return  # what is not back yet is not lost
    settle_unclean_ends(unit.home, unit.clock)
    date_what_could_not_be_dated(unit.home, unit.clock)
