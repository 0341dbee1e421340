"""Looks at the store, read-only in spirit, and makes the `Moment` that the story is told from."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from kit.clock import Clock
from kit.model.alert import AlertError, MsgType, from_record_body, receipt_from_body
from kit.model.alert_state import AlertState
from kit.model.forecast import FROST_FACT, NightForecast
from kit.run.story import AlertMoment, Moment
from kit.store.alerts import list_alerts
from kit.store.database import Database
from kit.store.facts import get_fact
from kit.store.links import links
from kit.store.queue import queue_counts
from kit.store.readings import latest_readings, spans

DAY_MS = 86_400_000

FRESH_MS = 3_600_000
"""The station measures every quarter of an hour."""


def look(database: Database, clock: Clock, siren_file: Path, *, device: str) -> Moment:
    """What the store knows now; `siren_file` is the simulated siren's state, `device` the weather station."""
    connection = database.connection
    now_ms = int(clock.now() * 1000)
    fact = get_fact(connection, FROST_FACT)
    return Moment(
        now_ms=now_ms,
        air_c=_air_c(connection, device, now_ms),
        forecast=None if fact is None else NightForecast.from_fact(fact[1]),
        alerts=_alerts(connection, now_ms),
        siren=_sounding(siren_file, now_ms),
        links_up=frozenset(row.name for row in links(connection) if row.state in {"up", "busy"}),
        waiting=sum(queue_counts(connection).values()),
        history_days=_history_days(connection, device),
    )


def _air_c(connection: sqlite3.Connection, device: str, now_ms: int) -> float | None:
    """The air now; None while the station is still telling of the weeks before."""
    for reading in latest_readings(connection, device=device):
        if reading.quantity == "temperature" and now_ms - reading.time_ms < FRESH_MS:
            return reading.value
    return None


def _history_days(connection: sqlite3.Connection, device: str) -> int:
    for span in spans(connection, "temperature"):
        if span.device == device:
            return int((span.last_ms - span.first_ms) // DAY_MS)
    return 0


def _sounding(siren_file: Path, now_ms: int) -> bool:
    try:
        return float(json.loads(siren_file.read_text())["until_s"]) * 1000 > now_ms
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _alerts(connection: sqlite3.Connection, now_ms: int) -> tuple[AlertMoment, ...]:
    """One moment per incident: an update does not raise the warning anew."""
    by_incident: dict[str, list[AlertState]] = {}
    for state in sorted(list_alerts(connection), key=lambda state: state.alert.sent_ms):
        by_incident.setdefault(state.alert.incident, []).append(state)
    alert_links, receipt_links = _custody(connection)
    return tuple(
        _moment(incident, states, alert_links, receipt_links, now_ms) for incident, states in by_incident.items()
    )


def _moment(
    incident: str,
    states: list[AlertState],
    alert_links: dict[str, tuple[str, str]],
    receipt_links: dict[tuple[str, str], str],
    now_ms: int,
) -> AlertMoment:
    first, last = states[0], states[-1]
    left_by, core_by = alert_links.get(first.alert.identifier, ("", ""))
    people = dict.fromkeys((receipt.alert, receipt.person) for state in states for receipt in state.receipts)
    return AlertMoment(
        identifier=incident,
        sent_ms=first.alert.sent_ms,
        onset_ms=first.alert.onset_ms,
        event=first.alert.event,
        ended=last.alert.msg_type is MsgType.CANCEL or last.ended(now_ms),
        left_by=left_by,
        core_by=core_by,
        receipts=tuple((person, receipt_links.get((alert, person), "")) for alert, person in people),
    )


def _custody(connection: sqlite3.Connection) -> tuple[dict[str, tuple[str, str]], dict[tuple[str, str], str]]:
    """Alert → (link it left by, link it was accepted over); (alert, person) → link the receipt was accepted over."""
    alerts: dict[str, tuple[str, str]] = {}
    receipts: dict[tuple[str, str], str] = {}
    for kind, body, left_by, core_by in connection.execute(_CUSTODY):
        try:
            if kind == "alert":
                alerts[from_record_body(body).identifier] = (left_by or "", core_by or "")
            else:
                receipt = receipt_from_body(body)
                receipts[receipt.alert, receipt.person] = core_by or ""
        except AlertError:
            continue  # another app's record of the same kind; the story is not about it
    return alerts, receipts


_CUSTODY = """
SELECT kind, body,
  (SELECT link FROM custody c WHERE c.number = r.number AND c.left_ms IS NOT NULL ORDER BY left_ms LIMIT 1),
  (SELECT link FROM custody c WHERE c.number = r.number AND c.accepted_ms IS NOT NULL ORDER BY accepted_ms LIMIT 1)
FROM records r WHERE kind IN ('alert', 'receipt')
"""
