"""What the page and the commands ask of the core's tables. Reading changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from kit.model.alert import Alert, Receipt, from_record_body
from kit.model.alert_state import AlertState, counting_receipts
from sync.core.row_values import values_of
from sync.core.store import (
    ForecastRow,
    Outcome,
    QuizRow,
    RecordCounts,
    RefusedRecord,
    SeriesRow,
    TakenRecord,
)
from sync.protocol.records import Priority, RecordId

_TAKEN = """
SELECT number, origin, epoch, seq, kind, priority, created_ms, length(body) AS size_bytes, link, received_ms, outcome,
       reason FROM core_records WHERE outcome IS NOT NULL
"""


def alerts(connection: sqlite3.Connection, unit: str, *, until_after_ms: int) -> list[AlertState]:
    """See `CoreStore.alerts`."""
    rows = connection.execute(
        "SELECT incident, max(epoch), max(seq) FROM core_alerts WHERE unit = ? AND expires_ms > ? "
        "GROUP BY incident ORDER BY 2 DESC, 3 DESC",
        (unit, until_after_ms),
    )
    return [_last_of(connection, unit, str(row[0])) for row in rows.fetchall()]


def _last_of(connection: sqlite3.Connection, unit: str, incident: str) -> AlertState:
    rows = connection.execute(
        "SELECT body FROM core_alerts WHERE unit = ? AND incident = ? ORDER BY epoch, seq", (unit, incident)
    )
    messages: list[Alert] = [from_record_body(row[0]) for row in rows]
    receipts = connection.execute(
        "SELECT r.alert, r.person, r.channel, r.at_ms FROM core_receipts r "
        "JOIN core_alerts a ON a.unit = r.unit AND a.identifier = r.alert WHERE r.unit = ? AND a.incident = ?",
        (unit, incident),
    )
    return AlertState(alert=messages[-1], receipts=counting_receipts(messages, values_of(Receipt, receipts)))


def early_receipts(connection: sqlite3.Connection, unit: str) -> int:
    """See `CoreStore.early_receipts`."""
    (count,) = connection.execute(
        "SELECT count(*) FROM core_receipts r WHERE unit = ? AND NOT EXISTS "
        "(SELECT 1 FROM core_alerts a WHERE a.unit = r.unit AND a.identifier = r.alert) "
        "AND r.alert NOT IN (SELECT alert FROM core_broadcasts)",
        (unit,),
    ).fetchone()
    return int(count)


def series(connection: sqlite3.Connection, unit: str) -> list[SeriesRow]:
    """See `CoreStore.series`."""
    rows = connection.execute(
        "SELECT device, quantity, unit_symbol, count, latest_ms, latest_value, latest_quality AS quality "
        "FROM core_series WHERE unit = ? AND latest_ms IS NOT NULL ORDER BY device, quantity, unit_symbol",
        (unit,),
    )
    return values_of(SeriesRow, rows)


def forecast(connection: sqlite3.Connection, unit: str) -> ForecastRow | None:
    """See `CoreStore.forecast`."""
    row = connection.execute("SELECT * FROM core_forecasts WHERE unit = ?", (unit,)).fetchone()
    if row is None:
        return None
    return ForecastRow(
        night=row["night"],
        device=row["device"],
        tmin_c=row["tmin_c"],
        tmin_p10_c=row["tmin_p10_c"],
        tmin_p90_c=row["tmin_p90_c"],
        p_frost=row["p_frost"],
        warning=bool(row["warning"]),
        issued_ms=row["issued_ms"],
    )


def quizzes(connection: sqlite3.Connection, unit: str) -> list[QuizRow]:
    """See `CoreStore.quizzes`. Versions of a lesson stand apart: their questions differ."""
    rows = connection.execute(
        "SELECT lesson, version, questions, sum(attempts) AS attempts, "
        "sum(mean_score * attempts) / sum(attempts) AS mean_score, "
        "max(until_ms) AS until_ms FROM core_quizzes WHERE unit = ? GROUP BY lesson, version, questions "
        "ORDER BY lesson, version DESC",
        (unit,),
    )
    return values_of(QuizRow, rows)


def taken(
    connection: sqlite3.Connection, *, unit: str | None, kind: str | None, limit: int | None
) -> Iterator[TakenRecord]:
    """See `CoreStore.taken`."""
    last = f"{_TAKEN} AND (?1 IS NULL OR origin = ?1) AND (?2 IS NULL OR kind = ?2) ORDER BY number DESC LIMIT ?3"
    values = (unit, kind, -1 if limit is None else limit)
    rows = connection.execute(f"SELECT * FROM ({last}) ORDER BY number", values)  # noqa: S608 - our constant
    return map(_taken, rows)


def undecodable(connection: sqlite3.Connection, *, limit: int) -> list[TakenRecord]:
    """See `CoreStore.undecodable`."""
    rows = connection.execute(f"{_TAKEN} AND outcome = 'undecodable' ORDER BY number DESC LIMIT ?", (limit,))
    return [_taken(row) for row in rows]


def refused(connection: sqlite3.Connection, *, limit: int) -> list[RefusedRecord]:
    """See `CoreStore.refused`."""
    return [
        RefusedRecord(
            peer=row["peer"],
            id=RecordId(row["origin"], row["epoch"], row["seq"]),
            kind=row["kind"],
            reason=row["reason"],
            link=row["link"],
            first_ms=row["first_ms"],
            times=row["times"],
        )
        for row in connection.execute("SELECT * FROM core_refused ORDER BY number DESC LIMIT ?", (limit,))
    ]


def counts(connection: sqlite3.Connection) -> RecordCounts:
    """See `CoreStore.counts`."""
    told = dict(connection.execute("SELECT outcome, sum(records) FROM core_counts GROUP BY outcome").fetchall())
    (refused_count,) = connection.execute("SELECT count(*) FROM core_refused").fetchone()
    return RecordCounts(
        applied=told.get(Outcome.APPLIED, 0),
        raw=told.get(Outcome.RAW, 0),
        undecodable=told.get(Outcome.UNDECODABLE, 0),
        refused=refused_count,
    )


def _taken(row: sqlite3.Row) -> TakenRecord:
    return TakenRecord(
        id=RecordId(row["origin"], row["epoch"], row["seq"]),
        kind=row["kind"],
        priority=Priority(row["priority"]),
        created_ms=row["created_ms"],
        size_bytes=row["size_bytes"],
        link=row["link"],
        received_ms=row["received_ms"],
        outcome=Outcome(row["outcome"]),
        reason=row["reason"],
    )
