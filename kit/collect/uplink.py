"""How wide the way to the core is now: it decides how readings are bundled, and whether they are summarised."""

from __future__ import annotations

import sqlite3
from enum import Enum

from kit.store.links import links

_NARROW = ("lora",)
_BY_HAND = ("stick",)
"""Carried by somebody some day: no way to the core that is open now."""

HEARD_WITHIN_MS = 2 * 3_600_000
"""A core that is there answers the beacon that a kit sends after a quarter of an hour of silence."""


class Uplink(Enum):
    """The widest way that is open.

    `AWAY`: there is a radio, but nothing wider, and the core has not been heard over it lately.
    """

    NONE = "none"
    AWAY = "away"
    NARROW = "narrow"
    WIDE = "wide"


def uplink(connection: sqlite3.Connection, *, now_ms: int) -> Uplink:
    """As the sync service last said."""
    found = Uplink.NONE
    for link in links(connection):
        if link.name in _BY_HAND:
            continue
        is_up = link.state in ("up", "busy")
        if link.name not in _NARROW:
            if is_up:
                return Uplink.WIDE
            continue
        heard = link.last_heard_ms is not None and abs(now_ms - link.last_heard_ms) <= HEARD_WITHIN_MS
        found = Uplink.NARROW if is_up and heard else Uplink.AWAY
    return found
