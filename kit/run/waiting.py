"""A start on a full disk: said once, in a sentence, and gone on with by itself once there is room."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

from kit.disk import GO_ON_BYTES, START_BYTES, free_bytes, full_words, says_full
from kit.errors import KitError, NoRoomError
from kit.home import Home

T = TypeVar("T")

LOOK_S = 1.0
"""Real seconds between two looks whether there is room."""


def when_there_is_room(
    attempt: Callable[[], T], home: Home, *, first: bool, stop: threading.Event, say: Callable[[str], None]
) -> T | None:
    """What `attempt` returns; while the disk is too full for it, wait.

    Args:
        attempt: may be called again after it has failed over a full disk.
        home: on which disk.
        first: nothing is there yet: then it is not even begun without room for all of it.
        stop: give up.
        say: tells the person, once.

    Returns:
        None if `stop` was set meanwhile.

    Raises:
        Exception: what `attempt` raised, if it has nothing to do with room.
    """
    needs_bytes = START_BYTES if first else GO_ON_BYTES
    told = False
    while not stop.is_set():
        if not first or free_bytes(home.path) >= needs_bytes:
            try:
                return attempt()
            except NoRoomError as error:
                needs_bytes = error.needs_bytes
            except (KitError, OSError, sqlite3.Error) as error:
                if not says_full(error) or free_bytes(home.path) >= needs_bytes:
                    raise
        if not told:
            told = True
            full = full_words(home.path, needs_bytes=needs_bytes)
            say(f"kit: {full}; free some space: this waits, and goes on by itself")
        stop.wait(LOOK_S)
    return None


def say_aside(line: str) -> None:
    """Beside what a command prints; of a service it is the last thing that it said."""
    with contextlib.suppress(OSError):  # a service's goes to a file, on the very disk that is full
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - for the person in front of the terminal
