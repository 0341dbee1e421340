"""A renewal of the unit's keys that is under way: how far it has come (see `sync.rotation`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kit.health.times import rfc3339
from kit.home import Home

_WORDS = {
    "offered": "new keys are offered to the city core, which has not answered yet; the old ones are in use",
    "switched": "the new keys are in use; the old ones go once the city core has answered under them",
}

_SHORT = {
    "offered": "being renewed; the core has not answered",
    "switched": "being renewed; the new ones are in use",
}


def rotation_row(home: Home) -> dict[str, Any] | None:
    """{stage, since, offer}; None where no renewal is under way, or this user may not see it."""
    try:
        told = json.loads((home.keys / "rotation.json").read_text())
        return {"stage": str(told["stage"]), "since": rfc3339(int(told["since_ms"])), "offer": int(told["offer"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def rotation_words(row: Mapping[str, Any] | None, *, short: bool = False) -> str:
    """For the technician; "" where none is under way. The short form is for half a terminal's width."""
    return (_SHORT if short else _WORDS).get(str(row.get("stage")), "being renewed") if row else ""
