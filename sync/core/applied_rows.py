"""From a record's body to the tables that the page reads, one function per kind.

Invariant: applying is idempotent and does not depend on the order of arrival. Each row is keyed by the kit and by what
the body names; where only the newest counts, newest means (epoch, seq), the order in which the kit issued them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from kit.model import alert as alerts
from kit.model import custody, letters, new_key
from kit.model.custody import CustodyNote, custody_from_body
from kit.model.letters import letter_from_body
from sync.core import broadcast_custody, key_rows, reading_rows
from sync.core.bodies import BodyError, forecast_of, quiz_of, text_of, time_of
from sync.core.store import Outcome
from sync.protocol.records import Record, RecordId

UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""What a hostile or damaged body can make a decoder or a statement raise. Not `OperationalError`: a full disk or a
locked file is no fault of the body, and a record that met one must not be acknowledged."""


def apply(connection: sqlite3.Connection, record: Record) -> Outcome:
    """Apply a record in the caller's transaction; `Outcome.RAW` for a kind without tables.

    Raises:
        UNREADABLE: one of them; the body makes no sense, and the caller undoes what was written of it.
    """
    write = _APPLIERS.get(record.kind)
    if write is None:
        return Outcome.RAW
    write(connection, record)
    return Outcome.APPLIED


def known_kinds() -> tuple[str, ...]:
    """Kinds that have tables."""
    return tuple(_APPLIERS)


def _apply_alert(connection: sqlite3.Connection, record: Record) -> None:
    alert = alerts.from_record_body(record.body)
    for at_ms in (alert.sent_ms, alert.expires_ms, alert.onset_ms, *(ref.sent_ms for ref in alert.references)):
        time_of(0 if at_ms is None else at_ms, "a time of the alert")
    for word in (alert.identifier, alert.incident, alert.event, alert.area.name):
        text_of(word, "a word of the alert")
    connection.execute(
        "INSERT INTO core_alerts VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            record.id.origin,
            alert.identifier,
            record.id.epoch,
            record.id.seq,
            alert.incident,
            alert.expires_ms,
            record.body,
        ),
    )


def _apply_receipt(connection: sqlite3.Connection, record: Record) -> None:
    receipt = alerts.receipt_from_body(record.body)
    connection.execute(
        "INSERT INTO core_receipts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            record.id.origin,
            text_of(receipt.alert, "the alert"),
            text_of(receipt.person, "the person"),
            text_of(receipt.channel, "the channel"),
            time_of(receipt.at_ms, "the receipt's time"),
        ),
    )
    broadcast_custody.note_receipt(
        connection, receipt.alert, unit=record.id.origin, person=receipt.person, at_ms=receipt.at_ms
    )


def _apply_forecast(connection: sqlite3.Connection, record: Record) -> None:
    told = forecast_of(record.body)
    connection.execute(
        "INSERT INTO core_forecasts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (unit) DO UPDATE SET "
        "epoch = excluded.epoch, seq = excluded.seq, issued_ms = excluded.issued_ms, night = excluded.night, "
        "device = excluded.device, tmin_c = excluded.tmin_c, tmin_p10_c = excluded.tmin_p10_c, "
        "tmin_p90_c = excluded.tmin_p90_c, p_frost = excluded.p_frost, warning = excluded.warning "
        "WHERE (excluded.epoch, excluded.seq) > (epoch, seq)",
        (
            *record.id,
            time_of(record.created_ms, "the record's time"),
            told.night,
            told.device,
            told.tmin_c,
            told.tmin_p10_c,
            told.tmin_p90_c,
            told.p_frost,
            told.warning,
        ),
    )


def _apply_quiz(connection: sqlite3.Connection, record: Record) -> None:
    told = quiz_of(record.body)
    if told.attempts == 0:
        raise BodyError("a digest of no attempts")
    connection.execute(
        "INSERT INTO core_quizzes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (*record.id, told.lesson, told.version, told.attempts, told.questions, told.mean_score, told.until_ms),
    )


def _apply_message(_connection: sqlite3.Connection, record: Record) -> None:
    letter_from_body(record.body)  # kept in the record itself; `sync.core.letters` shows it


def _apply_custody(connection: sqlite3.Connection, record: Record) -> None:
    """A kit says that records for it were read, or opened, there. Of records for others it can say nothing."""
    note = custody_from_body(record.body)
    if note.opened:
        _apply_opened(connection, record, note)
        return
    if not note.read:
        raise BodyError("only a core says that something was delivered: it knows when a kit has accepted it")
    for epoch, seq in note.told:
        found = connection.execute(
            "UPDATE core_records SET read_ms = coalesce(read_ms, ?), "
            "read_by = CASE WHEN read_ms IS NULL THEN ? ELSE read_by END "
            "WHERE origin = ? AND epoch = ? AND seq = ? AND addressee = ?",
            (time_of(note.at_ms, "the time"), note.person, record.addressee, epoch, seq, record.id.origin),
        )
        name = RecordId(record.addressee, epoch, seq)
        if not found.rowcount and not broadcast_custody.note_read(
            connection, name, unit=record.id.origin, person=note.person, at_ms=note.at_ms
        ):
            raise BodyError(f"{record.addressee} has no record {epoch}.{seq} here that was for {record.id.origin}")


def _apply_opened(connection: sqlite3.Connection, record: Record, note: CustodyNote) -> None:
    at_ms = time_of(note.at_ms, "the time")
    for epoch, seq in note.told:
        name = RecordId(record.addressee, epoch, seq)
        if not broadcast_custody.note_opened(connection, name, unit=record.id.origin, at_ms=at_ms):
            raise BodyError(f"{record.addressee} has published no file {epoch}.{seq} that was for {record.id.origin}")


_APPLIERS: dict[str, Callable[[sqlite3.Connection, Record], None]] = {
    "alert": _apply_alert,
    "receipt": _apply_receipt,
    "readings": reading_rows.apply_readings,
    "summary": reading_rows.apply_summary,
    "forecast": _apply_forecast,
    "quiz": _apply_quiz,
    letters.KIND: _apply_message,
    custody.KIND: _apply_custody,
    new_key.KIND: key_rows.apply_new_key,
}
