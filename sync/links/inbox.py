"""Frames that a link's own threads have taken, until the link's user asks for them."""

from __future__ import annotations

import queue

from sync.links.port import Arrival


def taken(inbox: queue.Queue[Arrival], timeout_s: float) -> list[Arrival]:
    """Everything that is there; waits up to that many real seconds for the first."""
    arrivals: list[Arrival] = []
    try:
        arrivals.append(inbox.get(timeout=max(timeout_s, 0.0)))
        while True:
            arrivals.append(inbox.get_nowait())
    except queue.Empty:
        return arrivals
