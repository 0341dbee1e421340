"""Settles unclean ends: compares the ledgers that dead processes left with the store, and keeps the outcome.

A ledger of an earlier boot tells of a power cut (or a reset), one of this boot of a killed process. Readings may come
in meanwhile: they only add to the store.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from typing import Any

from kit.clock import Clock
from kit.errors import KitError
from kit.home import Home
from kit.store.database import Database
from kit.store.power_history import DeadLedger, dead_ledgers, history, settle
from kit.store.reckoning import Reckoning, as_json, reckon

_log = logging.getLogger(__name__)

POWER_CUT, KILLED = "power cut", "killed"


def settle_unclean_ends(home: Home, clock: Clock) -> list[dict[str, Any]]:
    """Settle every unclean end that is not settled yet; returns the new events.

    Raises:
        sqlite3.DatabaseError: the store is damaged; nothing is settled, the ledgers wait.
    """
    dead = dead_ledgers(home.ledger)
    if not dead:
        return []
    events = []
    with Database(home.database, read_only=True) as database:
        for boot in dict.fromkeys(ledger.boot for ledger in dead):
            of_boot = [ledger for ledger in dead if ledger.boot == boot]
            found = reckon([ledger.files for ledger in of_boot], database.connection)
            event = _event(of_boot, found, clock)
            settle(home.ledger, event, of_boot)
            events.append(event)
            _log.warning("%s", in_one_line(event))
    return events


def date_what_could_not_be_dated(home: Home, clock: Clock) -> None:
    """How long the power was off is known only once the clock is; fill it in for power cuts before this boot."""
    for event in history(home.ledger):
        if event.get("off_s") is None and event.get("boot") == clock.boot and event.get("kind") == POWER_CUT:
            off_s = _off_s(int(event["last_alive_ms"]), clock)
            if off_s is not None:
                settle(home.ledger, event | {"off_s": off_s})


def in_one_line(event: dict[str, Any]) -> str:
    """The event as the log tells it."""
    return (
        f"unclean end ({event['kind']}) of {', '.join(event['processes'])}: acknowledged {event['acknowledged']}, "
        f"found {event['found']}, lost {event['lost']}"
    )


def _event(dead: Sequence[DeadLedger], found: Reckoning, clock: Clock) -> dict[str, Any]:
    last_ms = max(ledger.last_ms for ledger in dead)
    cut = dead[0].boot != clock.boot
    return {
        "id": "-".join(sorted(ledger.token for ledger in dead)),
        "kind": POWER_CUT if cut else KILLED,
        "processes": sorted({ledger.files[-1].process for ledger in dead}),
        "boot": clock.boot,
        "started_ms": min(ledger.files[-1].started_ms for ledger in dead),
        "last_alive_ms": last_ms,
        "settled_ms": int(clock.now() * 1000),
        "off_s": _off_s(last_ms, clock) if cut else None,
        **as_json(found),
    }


def _off_s(last_alive_ms: int, clock: Clock) -> float | None:
    """Seconds from the last sign of life to this boot; None while no clock can tell."""
    if not clock.trusted:
        return None
    off_s = clock.now() - clock.monotonic() - last_alive_ms / 1000
    return round(off_s, 1) if off_s >= 0 else None


def settle_for_replaced_store(home: Home, clock: Clock) -> None:
    """Before a backup takes the store's place: settle against the store that knows; if it cannot tell, say so."""
    try:
        settle_unclean_ends(home, clock)
    except (sqlite3.Error, KitError):
        for ledger in dead_ledgers(home.ledger):
            counts = sum(ledger.files[-1].totals.values())
            event = _event([ledger], Reckoning(accounts=(), missing=()), clock) | {
                "acknowledged": counts,
                "missing": ["the store was replaced before it could be asked"],
            }
            settle(home.ledger, event, [ledger])
