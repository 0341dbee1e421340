"""Several jobs of one process, each in a thread: they live together and end together."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping

from hardware.ports import HardwareError
from kit.errors import KitError

_log = logging.getLogger(__name__)


def run_together(jobs: Mapping[str, Callable[[threading.Event], None]], stop: threading.Event) -> None:
    """Run each job in a thread until `stop`; if one fails, all end and its error is raised.

    The process then ends with it, is shown with that error, and is started anew: a service that lost one of its
    threads must not look alive.
    """
    failures: list[BaseException] = []

    def guard(job: Callable[[threading.Event], None]) -> None:
        try:
            job(stop)
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
