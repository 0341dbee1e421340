"""How wide the way to the core is now: it decides how readings are bundled, and whether they are summarised."""

from __future__ import annotations

import sqlite3
from enum import Enum

from kit.store.links import links

_NARROW = ("lora",)
_BY_HAND = ("stick",)
"""Carried by somebody some day: no way to the core that is open now."""


class Uplink(Enum):
    """The widest link that is up."""

    NONE = "none"
    NARROW = "narrow"
    WIDE = "wide"


def uplink(connection: sqlite3.Connection) -> Uplink:
    """As the sync service last said."""
    found = Uplink.NONE
    for link in links(connection):
        if link.state not in ("up", "busy") or link.name in _BY_HAND:
            continue
        if link.name not in _NARROW:
            return Uplink.WIDE
        found = Uplink.NARROW
    return found
