"""`kit service care`: what keeps a unit sound when nobody looks.

It settles unclean ends (the power-cut ledger). Each job is a loop in a thread of its own; whatever one stumbles over is
logged and tried again at its next turn, because a unit whose disk is full needs its care most.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kit.errors import KitError
from kit.run.schema import process_ledger
from kit.run.unclean_ends import date_what_could_not_be_dated, settle_unclean_ends

if TYPE_CHECKING:
    from kit.run.services import UnitProcess

SETTLE_EVERY_S = 5.0
"""Real seconds; also how long the other services have, after a power cut, to leave their own traces in one event."""

ALIVE_EVERY_S = 60.0
"""Kit seconds; how exactly it is known when the power went, at the price of one written page a minute."""

_log = logging.getLogger(__name__)


def serve_care(unit: UnitProcess, stop: threading.Event, ready: Callable[[Mapping[str, Any]], None]) -> None:
    """Run the jobs until `stop`."""
    from kit.run.services import run_together

    jobs: dict[str, Callable[[threading.Event], None]] = {
        "unclean-ends": every(SETTLE_EVERY_S, lambda: _settle(unit)),
        "heartbeat": every(max(0.2, unit.clock.real(ALIVE_EVERY_S)), process_ledger(unit.home).alive, at_once=True),
    }
    ready({"jobs": sorted(jobs)})
    run_together(jobs, stop)


def every(real_s: float, job: Callable[[], None], *, at_once: bool = False) -> Callable[[threading.Event], None]:
    """Call the job every so many real seconds; what it raises from outside the program is logged once as it changes."""

    def loop(stop: threading.Event) -> None:
        told = ""
        first = at_once
        while first or not stop.wait(real_s):
            first = False
            try:
                job()
                told = ""
            except (KitError, OSError, sqlite3.Error) as error:
                if str(error) != told:
                    _log.warning("%s: %s", threading.current_thread().name, error)
                told = str(error)

    return loop


def _settle(unit: UnitProcess) -> None:
    settle_unclean_ends(unit.home, unit.clock)
    date_what_could_not_be_dated(unit.home, unit.clock)
