"""What a page notes when it gives a file of the city to somebody's browser: that it was opened here, once.

Invariant: nothing is noted before there is a page to give, and nothing but that. A browser that only fetches ahead, or
asks whether there is something, opens nothing; and a unit that cannot write shows its pages all the same.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable

from flask import request

from kit.health.content_view import RECEIVED_FACT
from kit.health.received_files import ReceivedFile
from kit.store.inbox import mark_opened
from village_apps.web.reader import database, frame, now_ms

AHEAD_HEADERS = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
"""By which browsers say that nobody has asked for the page yet (`prefetch`, `preview`)."""

LOG = logging.getLogger("web")


def note_opened(kind: str, key: str, find: Callable[[], ReceivedFile | None]) -> None:
    """Somebody is being given this; the core is told, the first time.

    Args:
        kind: of the file.
        key: what it is called in the address.
        find: the file that is shown; asked once for each change of what has come. None = it is not one of the city's.
    """
    if request.method != "GET" or any(request.headers.get(name) for name in AHEAD_HEADERS):
        return
    known, version = frame().opened, frame().connections.versions((RECEIVED_FACT,))
    if known.get((kind, key)) == version:
        return
    file = find()
    try:
        if file is not None and file.record is not None:
            with database().atomic() as connection:
                mark_opened(connection, file.record, at_ms=now_ms())
    except sqlite3.Error as error:
        LOG.warning("that %s %s was opened could not be noted: %s", kind, key, error)
        return
    known[kind, key] = version
