"""That a call comes back by itself, however busy the machine: what would hold it up lasts longer than the patience."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 20.0
"""Real seconds; Meshtastic's library waits 30 s for a radio, a poll over HTTPS is held for 50 s, a ZeroMQ context waits
for ever."""


def returns(call: Callable[[], T], *, what: str) -> T:
    """What the call gives; it fails the test if it does not come back."""
    given: list[T] = []
    thread = threading.Thread(target=lambda: given.append(call()), daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), f"{what} does not come back"
    assert given, f"{what} has failed"
    return given[0]
