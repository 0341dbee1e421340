"""Logging: one line per event, in the service's own file below `log/`, with kit time.

The terminal belongs to the person; only what they need to know is printed there, and not from here.
"""

from __future__ import annotations

import logging
import logging.handlers
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.clock import Clock
    from kit.home import Home

LOG_BYTES = 1_000_000
"""Per file; with one old file kept, a service's log wears out no SD card and fills no disk."""


def log_to_home(home: Home, service: str, clock: Clock) -> logging.Logger:
    """Send this process's log to `log/<service>.log` and return the service's logger."""
    # opened with the first line, and then again with each until it can be: a full disk must not end a service
    handler = logging.handlers.RotatingFileHandler(
        home.log / f"{service}.log", maxBytes=LOG_BYTES, backupCount=1, delay=True
    )
    handler.setFormatter(_KitTime(clock))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    return logging.getLogger(service)


class _KitTime(logging.Formatter):
    def __init__(self, clock: Clock) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._clock = clock

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        del record, datefmt
        return datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
