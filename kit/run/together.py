"""Several jobs of one process, each in a thread: they live together and end together."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping

from hardware.ports import HardwareError
from kit.disk import is_full
from kit.errors import KitError

FULL_AGAIN_S = 2.0
"""Real seconds after which a job that met a full disk is begun again."""

_log = logging.getLogger(__name__)


def run_together(
    jobs: Mapping[str, Callable[[threading.Event], None]], stop: threading.Event, *, full_again_s: float = FULL_AGAIN_S
) -> None:
    """Run each job in a thread until `stop`; if one fails, all end and its error is raised.

    The process then ends with it, is shown with that error, and is started anew: a service that lost one of its
    threads must not look alive. Only a job that met a full disk is begun again where it stands: that is told elsewhere,
    passes by itself, and ending would take the other jobs down with it, which may need no room.
    """
    failures: list[BaseException] = []

    def guard(job: Callable[[threading.Event], None]) -> None:
        try:
            _through_full_disks(job, stop, full_again_s)
            if not stop.is_set():
                failures.append(RuntimeError(f"{threading.current_thread().name} ended by itself"))
        except BaseException as error:  # noqa: BLE001 - whatever it was, the main thread raises it
            failures.append(error)
        stop.set()

    threads = [threading.Thread(target=guard, args=(job,), name=name, daemon=True) for name, job in jobs.items()]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join(1.5)
    if failures:
        raise failures[0]


def _through_full_disks(job: Callable[[threading.Event], None], stop: threading.Event, full_again_s: float) -> None:
    told = False
    while True:
        try:
            job(stop)
        except (KitError, OSError, sqlite3.Error) as error:
            if not is_full(error):
                raise
            if not told:
                _log.warning("%s waits for room on the disk: %s", threading.current_thread().name, error)
            told = True
            if stop.wait(full_again_s):
                return
        else:
            return


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
            except (KitError, HardwareError, OSError, sqlite3.Error) as error:
                if str(error) != told:
                    _log.warning("%s: %s", threading.current_thread().name, error)
                told = str(error)

    return loop
