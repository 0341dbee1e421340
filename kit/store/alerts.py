"""The alerts' tables: messages, receipts, and what delivery has already done.

An alert's row is written once and only ever marked as superseded: by what came after it, or by what overtook it.
Whether the siren has sounded is remembered per incident, what the broker has acknowledged per topic, so that a restart
neither repeats nor forgets.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from kit.model.alert import Alert, MsgType, Receipt
from kit.model.alert_state import AlertState, counting_receipts
from kit.model.cap import from_json, to_json
from kit.store.migrations import sql

MIGRATIONS = (
    sql(
        "alerts",
        "0001_alerts_and_receipts",
        """
        CREATE TABLE alerts (
            number INTEGER PRIMARY KEY,
            identifier TEXT NOT NULL UNIQUE, incident TEXT NOT NULL, msg_type TEXT NOT NULL,
            expires_ms INTEGER NOT NULL, superseded_by TEXT, body TEXT NOT NULL
        );
        CREATE INDEX alerts_by_incident ON alerts (incident);
        CREATE TABLE alert_receipts (
            alert TEXT NOT NULL, person TEXT NOT NULL, channel TEXT NOT NULL, at_ms INTEGER NOT NULL,
            PRIMARY KEY (alert, person, channel)
        ) WITHOUT ROWID;
        CREATE TABLE alert_sirens (incident TEXT PRIMARY KEY, sounded_ms INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE alert_topics (topic TEXT PRIMARY KEY, digest BLOB NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID
        """,
    ),
)


def insert_alert(connection: sqlite3.Connection, alert: Alert) -> bool:
    """Keep a message; False if it is already there.

    It supersedes the earlier ones of its incident. It may itself have been overtaken by those that refer to it (over a
    radio the end of a warning can be here before the warning): then it is superseded by their last word at once.
    """
    made = connection.execute(
        "INSERT INTO alerts (identifier, incident, msg_type, expires_ms, body) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (identifier) DO NOTHING",
        (alert.identifier, alert.incident, alert.msg_type.value, alert.expires_ms, json.dumps(to_json(alert))),
    )
    if not made.rowcount:
        return False
    overtook = _that_refer_to(connection, alert)
    supersede = "UPDATE alerts SET superseded_by = ? WHERE identifier = ? AND superseded_by IS NULL"
    if overtook:
        last = max(overtook, key=lambda each: (each.msg_type is MsgType.CANCEL, each.sent_ms))
        connection.execute(supersede, (last.identifier, alert.identifier))
    earlier = connection.execute(
        "SELECT identifier FROM alerts WHERE incident = ? AND superseded_by IS NULL", (alert.incident,)
    ).fetchall()
    spared = {alert.identifier, *(each.identifier for each in overtook)}
    connection.executemany(supersede, [(alert.identifier, name) for (name,) in earlier if name not in spared])
    return True


def _that_refer_to(connection: sqlite3.Connection, alert: Alert) -> list[Alert]:
    """The messages of its incident that are here and name it among those they follow."""
    rows = connection.execute(
        "SELECT body FROM alerts WHERE incident = ? AND identifier <> ?", (alert.incident, alert.identifier)
    )
    others = [from_json(json.loads(body)) for (body,) in rows]
    return [each for each in others if any(told.identifier == alert.identifier for told in each.references)]


def insert_receipt(connection: sqlite3.Connection, receipt: Receipt) -> Receipt | None:
    """Keep a receipt; returns the one given before, if this person has already confirmed on this channel."""
    made = connection.execute(
        "INSERT INTO alert_receipts VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (receipt.alert, receipt.person, receipt.channel, receipt.at_ms),
    )
    if made.rowcount:
        return None
    row = connection.execute(
        "SELECT at_ms FROM alert_receipts WHERE alert = ? AND person = ? AND channel = ?",
        (receipt.alert, receipt.person, receipt.channel),
    ).fetchone()
    return Receipt(alert=receipt.alert, person=receipt.person, channel=receipt.channel, at_ms=int(row[0]))


def find_alert(connection: sqlite3.Connection, identifier: str) -> AlertState | None:
    """One message with its receipts."""
    row = connection.execute("SELECT incident FROM alerts WHERE identifier = ?", (identifier,)).fetchone()
    if row is None:
        return None
    return next(s for s in _load_incident(connection, str(row[0])) if s.alert.identifier == identifier)


_ENDS_NOTHING = (
    "msg_type = 'Cancel' AND NOT EXISTS (SELECT 1 FROM alerts b WHERE b.incident = alerts.incident "
    "AND b.msg_type <> 'Cancel'{})"
)
"""The end of a warning that was never here. It is kept, for the warning may still come, and shown nowhere."""


def list_alerts(connection: sqlite3.Connection, *, limit: int = 200) -> list[AlertState]:
    """The messages issued last, the newest first; without the ends of warnings that were never here."""
    rows = connection.execute(
        f"SELECT identifier, incident FROM alerts WHERE NOT ({_ENDS_NOTHING.format('')}) "  # noqa: S608 - our constant
        "ORDER BY number DESC LIMIT ?",
        (limit,),
    )
    return _load(connection, rows.fetchall())


def active_alerts(connection: sqlite3.Connection, now_ms: int) -> list[AlertState]:
    """What holds now, the worst first: neither superseded nor cancelled nor past its time."""
    rows = connection.execute(
        "SELECT identifier, incident FROM alerts "
        "WHERE superseded_by IS NULL AND msg_type IN ('Alert', 'Update') AND expires_ms > ? ORDER BY number DESC",
        (now_ms,),
    ).fetchall()
    return sorted(_load(connection, rows), key=lambda state: state.alert.severity.rank)


def standing_all_clears(connection: sqlite3.Connection, now_ms: int) -> list[AlertState]:
    """All-clears of what was a warning here, whose own time is not over, the newest first."""
    ends_nothing = _ENDS_NOTHING.format(" AND b.number < alerts.number")
    rows = connection.execute(
        "SELECT identifier, incident FROM alerts "  # noqa: S608 - our constant
        f"WHERE superseded_by IS NULL AND msg_type = 'Cancel' AND expires_ms > ? AND NOT ({ends_nothing}) "
        "ORDER BY number DESC",
        (now_ms,),
    ).fetchall()
    return _load(connection, rows)


def all_clear_of(connection: sqlite3.Connection, incident: str) -> Alert | None:
    """The message that cancelled an incident."""
    row = connection.execute(
        "SELECT body FROM alerts WHERE incident = ? AND msg_type = ? AND superseded_by IS NULL",
        (incident, MsgType.CANCEL.value),
    ).fetchone()
    return None if row is None else from_json(json.loads(row[0]))


def sounded_incidents(connection: sqlite3.Connection, incidents: Iterable[str]) -> set[str]:
    """Those for which the siren has sounded."""
    return {
        incident
        for incident in incidents
        if connection.execute("SELECT 1 FROM alert_sirens WHERE incident = ?", (incident,)).fetchone()
    }


def mark_sounded(connection: sqlite3.Connection, incident: str, *, at_ms: int) -> None:
    """The siren has sounded for this incident."""
    connection.execute("INSERT OR IGNORE INTO alert_sirens VALUES (?, ?)", (incident, at_ms))


def sounded_since(connection: sqlite3.Connection, since_ms: int) -> dict[str, int]:
    """The incidents for which the siren was switched on after that, and when (Unix ms)."""
    rows = connection.execute("SELECT incident, sounded_ms FROM alert_sirens WHERE sounded_ms > ?", (since_ms,))
    return {str(incident): int(at_ms) for incident, at_ms in rows}


def published_digest(connection: sqlite3.Connection, topic: str) -> bytes | None:
    """The digest of what the broker last acknowledged on a topic."""
    row = connection.execute("SELECT digest FROM alert_topics WHERE topic = ?", (topic,)).fetchone()
    return None if row is None else bytes(row[0])


def mark_published(connection: sqlite3.Connection, topic: str, digest: bytes, *, at_ms: int) -> None:
    """The broker has acknowledged this content on a topic."""
    connection.execute("INSERT OR REPLACE INTO alert_topics VALUES (?, ?, ?)", (topic, digest, at_ms))


def _load(connection: sqlite3.Connection, rows: Iterable[sqlite3.Row]) -> list[AlertState]:
    wanted = [(str(identifier), str(incident)) for identifier, incident in rows]
    states = {
        state.alert.identifier: state
        for incident in dict.fromkeys(incident for _, incident in wanted)
        for state in _load_incident(connection, incident)
    }
    return [states[identifier] for identifier, _ in wanted]


def _load_incident(connection: sqlite3.Connection, incident: str) -> list[AlertState]:
    rows = connection.execute(
        "SELECT body, superseded_by FROM alerts WHERE incident = ? ORDER BY number", (incident,)
    ).fetchall()
    alerts = [from_json(json.loads(body)) for body, _ in rows]
    receipts = [
        Receipt(alert=alert, person=person, channel=channel, at_ms=at_ms)
        for alert, person, channel, at_ms in connection.execute(
            "SELECT r.alert, r.person, r.channel, r.at_ms FROM alert_receipts r "
            "JOIN alerts a ON a.identifier = r.alert WHERE a.incident = ?",
            (incident,),
        )
    ]
    return [
        AlertState(
            alert=alert,
            receipts=counting_receipts(alerts[: index + 1], receipts),
            superseded_by=superseded_by,
        )
        for index, (alert, (_, superseded_by)) in enumerate(zip(alerts, rows, strict=True))
    ]
