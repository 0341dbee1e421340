"""The boots of this machine, and what was dated in them by a guess.

While the time is a guess, a reading that the kit dates is noted with its boot and the offset by which it was dated
(`kit.store.undated_rows`). Own records and alerts need no mark of their own: `boots` remembers their numbers at the
start of each boot, and numbers count in the order of writing, whatever the clock says. When the time of a boot becomes
known, `settle_boot` moves records, alerts and receipts at once, and `kit.store.undated` the readings, some thousand at
a time; killed in between, it goes on where it was, because every move is to an absolute time.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kit.store.migrations import Migration, sql

if TYPE_CHECKING:
    import sqlite_utils

    from kit.model.alert import Alert


def _by_transaction(db: sqlite_utils.Database) -> None:
    """One row for many readings instead of one for each."""
    from kit.store.packed_value import KEYS_AT_ONCE
    from kit.store.undated_rows import note_undated

    connection = db.conn
    connection.execute("ALTER TABLE undated_readings RENAME TO undated_readings_0002")
    connection.execute(
        "CREATE TABLE undated_readings (id INTEGER PRIMARY KEY, boot INTEGER NOT NULL, moved INTEGER NOT NULL, "
        "held INTEGER NOT NULL, offset_ms INTEGER NOT NULL, first_mono_ms INTEGER NOT NULL, "
        "last_mono_ms INTEGER NOT NULL, keys BLOB NOT NULL)"
    )
    alike: dict[tuple[int, int, int, int], list[int]] = {}

    def note(dated: tuple[int, int, int, int]) -> None:
        boot, moved, held, offset_ms = dated
        keys = alike.pop(dated)
        note_undated(connection, boot=boot, offset_ms=offset_ms, held=bool(held), keys=keys, moved=bool(moved))

    for boot, moved, held, mono_ms, series, time_ms in connection.execute(
        "SELECT boot, moved, held, mono_ms, series, time_ms FROM undated_readings_0002 "
        "ORDER BY boot, moved, mono_ms, series, time_ms"
    ):
        dated = boot, moved, held, time_ms - mono_ms
        keys = alike.setdefault(dated, [])
        keys += series, time_ms
        if len(keys) == 2 * KEYS_AT_ONCE:
            note(dated)
    for dated in list(alike):
        note(dated)
    connection.execute("DROP TABLE undated_readings_0002")


MIGRATIONS = (
    sql(
        "boots",
        "0001_boots_and_what_is_undated",
        """
        CREATE TABLE boots (
            number INTEGER PRIMARY KEY, boot TEXT NOT NULL UNIQUE,
            first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, offset_ms INTEGER NOT NULL,
            source TEXT NOT NULL, known INTEGER NOT NULL, firm INTEGER NOT NULL,
            records_before INTEGER NOT NULL, alerts_before INTEGER NOT NULL
        );
        CREATE TABLE undated_readings (
            boot INTEGER NOT NULL, mono_ms INTEGER NOT NULL, series INTEGER NOT NULL, time_ms INTEGER NOT NULL,
            held INTEGER NOT NULL, moved INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (series, time_ms)
        ) WITHOUT ROWID;
        CREATE INDEX undated_by_boot ON undated_readings (boot, moved, mono_ms);
        CREATE TABLE time_reports (
            number INTEGER PRIMARY KEY AUTOINCREMENT, boot TEXT NOT NULL, mono_ms INTEGER NOT NULL,
            source TEXT NOT NULL, who TEXT NOT NULL, wall_ms INTEGER NOT NULL
        );
        CREATE TABLE time_moves (
            number INTEGER PRIMARY KEY, low_ms INTEGER NOT NULL, high_ms INTEGER NOT NULL, delta_ms INTEGER NOT NULL
        )
        """,
    ),
    # one tree in the order of arrival: a transaction's rows stand side by side, on a page that the last one touched too
    sql(
        "boots",
        "0002_undated_in_order",
        """
        ALTER TABLE undated_readings RENAME TO undated_readings_0001;
        DROP INDEX undated_by_boot;
        CREATE TABLE undated_readings (
            boot INTEGER NOT NULL, moved INTEGER NOT NULL, mono_ms INTEGER NOT NULL, series INTEGER NOT NULL,
            time_ms INTEGER NOT NULL, held INTEGER NOT NULL, PRIMARY KEY (boot, moved, mono_ms, series, time_ms)
        ) WITHOUT ROWID;
        INSERT INTO undated_readings
            SELECT boot, moved, mono_ms, series, time_ms, held FROM undated_readings_0001
            ORDER BY boot, moved, mono_ms, series, time_ms;
        DROP TABLE undated_readings_0001
        """,
    ),
    Migration("boots", "0003_undated_by_transaction", _by_transaction),
)

REPORTS_KEPT = 200

_STAMPS = (
    ("heard_devices", ("last_seen_ms",)),
    ("devices", ("added_ms",)),
    ("mqtt_clients", ("since_ms",)),
    ("join_codes", ("made_ms", "until_ms")),
)
"""What else is dated by the kit: rows whose first column falls into a boot move with it, so that an age stays an age
and a code on the technician's screen stays good for as long as it said."""


class BootRow(NamedTuple):
    """A row of `boots`; `known`: its time is the truth; `firm`: it will never be corrected."""

    number: int
    boot: str
    first_ms: int
    last_ms: int
    offset_ms: int
    source: str
    known: int
    firm: int
    records_before: int
    alerts_before: int


class TimeReport(NamedTuple):
    """What somebody said the time was."""

    number: int
    boot: str
    mono_ms: int
    source: str
    who: str
    wall_ms: int


def boot_number(connection: sqlite3.Connection, boot: str, *, mono_ms: int, offset_ms: int) -> int:
    """The number of this boot, made if it is new."""
    row = connection.execute("SELECT number FROM boots WHERE boot = ?", (boot,)).fetchone()
    if row is not None:
        return int(row[0])
    made = connection.execute(
        "INSERT INTO boots (boot, first_ms, last_ms, offset_ms, source, known, firm, records_before, alerts_before) "
        "VALUES (?, ?, ?, ?, 'none', 0, 0, (SELECT coalesce(max(number), 0) FROM records), "
        "(SELECT coalesce(max(number), 0) FROM alerts))",
        (boot, mono_ms, mono_ms, offset_ms),
    )
    return int(made.lastrowid or 0)


def boots(connection: sqlite3.Connection) -> list[BootRow]:
    """All boots in their order."""
    return [BootRow(*row) for row in connection.execute("SELECT * FROM boots ORDER BY number")]


def note_ends(connection: sqlite3.Connection) -> None:
    """A boot lasted at least until its last reading, also where the power was cut before it was noted."""
    ends = connection.execute("SELECT max(last_mono_ms), boot FROM undated_readings GROUP BY boot").fetchall()
    connection.executemany("UPDATE boots SET last_ms = max(last_ms, ?) WHERE number = ?", ends)


def report_time(connection: sqlite3.Connection, *, boot: str, mono_ms: int, source: str, who: str, wall_ms: int) -> int:
    """Keep what somebody says the time is until the keeper of the time considers it; returns the report's number."""
    made = connection.execute(
        "INSERT INTO time_reports (boot, mono_ms, source, who, wall_ms) VALUES (?, ?, ?, ?, ?)",
        (boot, mono_ms, source, who, wall_ms),
    )
    number = int(made.lastrowid or 0)
    connection.execute("DELETE FROM time_reports WHERE number <= ?", (number - REPORTS_KEPT,))
    return number


def time_reports(connection: sqlite3.Connection, *, after: int) -> list[TimeReport]:
    """What was said since that number, in order."""
    rows = connection.execute("SELECT * FROM time_reports WHERE number > ? ORDER BY number", (after,))
    return [TimeReport(*row) for row in rows]


def latest_time_s(connection: sqlite3.Connection) -> float:
    """The latest kit time at which anything is known to have come in, Unix seconds; 0 if nothing ever did."""
    row = connection.execute(
        "SELECT max(coalesce((SELECT max(last_seen_ms) FROM heard_devices), 0), "
        "coalesce((SELECT max(last_ms + offset_ms) FROM boots), 0))"
    ).fetchone()
    return float(row[0]) / 1000


def latest_time_in(file: Path) -> float:
    """`latest_time_s` of that store; 0 where there is none, or one from before there was such a table."""
    if not file.exists():
        return 0.0
    try:
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5.0)
    except sqlite3.Error:
        return 0.0
    try:
        return latest_time_s(connection)
    except sqlite3.Error:
        return 0.0
    finally:
        connection.close()


class Marks(NamedTuple):
    """The last record and alert written before the time was changed."""

    record: int
    alert: int


def last_written(connection: sqlite3.Connection) -> Marks:
    """The numbers now."""
    row = connection.execute(
        "SELECT (SELECT coalesce(max(number), 0) FROM records), (SELECT coalesce(max(number), 0) FROM alerts)"
    ).fetchone()
    return Marks(int(row[0]), int(row[1]))


def settle_boot(
    connection: sqlite3.Connection, row: BootRow, *, offset_ms: int, source: str, known: bool, firm: bool, marks: Marks
) -> None:
    """Give a boot its offset, and move its records, alerts, receipts and the ages of its devices along.

    Args:
        connection: inside a transaction.
        row: the boot as it was.
        offset_ms: the new one.
        source: who said so.
        known: whether it is the truth.
        firm: whether it is the last word.
        marks: the last things written by the old offset.
    """
    delta = offset_ms - row.offset_ms
    if delta and not row.firm:
        _move_alerts(connection, row, delta, marks)
        _move_receipts(connection, row, delta)
        _move_records(connection, row, delta, marks)
        low, high = row.first_ms + row.offset_ms, row.last_ms + row.offset_ms
        connection.execute("INSERT INTO time_moves (low_ms, high_ms, delta_ms) VALUES (?, ?, ?)", (low, high, delta))
        for table, columns in _STAMPS:
            moved = ", ".join(f"{column} = {column} + :delta" for column in columns)
            connection.execute(
                f"UPDATE {table} SET {moved} WHERE {columns[0]} BETWEEN :low AND :high",  # noqa: S608 - our constants
                {"delta": delta, "low": low, "high": high},
            )
    if delta or known != bool(row.known):
        connection.execute("UPDATE undated_readings SET moved = 0 WHERE boot = ?", (row.number,))
    connection.execute(
        "UPDATE boots SET offset_ms = ?, source = ?, known = ?, firm = ? WHERE number = ?",
        (offset_ms, source, int(known), int(firm), row.number),
    )


def moved_times(connection: sqlite3.Connection, time_ms: int) -> list[int]:
    """Where a reading that the kit once dated so may be now, if its boot's time was corrected since."""
    try:
        moves = connection.execute("SELECT low_ms, high_ms, delta_ms FROM time_moves ORDER BY number").fetchall()
    except sqlite3.OperationalError:
        return []  # a store from before there were such moves
    times = []
    for low_ms, high_ms, delta_ms in moves:
        if low_ms <= time_ms <= high_ms:
            time_ms += delta_ms
            times.append(time_ms)
    return times


def _move_alerts(connection: sqlite3.Connection, row: BootRow, delta: int, marks: Marks) -> None:
    # brings XML, which the services that only ask for the time need not keep
    from kit.model.cap import from_json, to_json

    found = connection.execute(
        "SELECT number, body FROM alerts WHERE number > ? AND number <= ? ORDER BY number",
        (row.alerts_before, _until(connection, row, "alerts_before", marks.alert)),
    ).fetchall()
    for number, body in found:
        alert = moved_alert(from_json(json.loads(body)), delta, connection=connection)
        connection.execute(
            "UPDATE alerts SET body = ?, expires_ms = ? WHERE number = ?",
            (json.dumps(to_json(alert)), alert.expires_ms, number),
        )


def _until(connection: sqlite3.Connection, row: BootRow, column: str, mark: int) -> int:
    """The last number written in a boot: the next boot began after it."""
    after = connection.execute(
        f"SELECT {column} FROM boots WHERE number > ? ORDER BY number LIMIT 1",  # noqa: S608 - one of two constants
        (row.number,),
    ).fetchone()
    return mark if after is None else min(mark, int(after[0]))


def moved_alert(alert: Alert, delta: int, *, connection: sqlite3.Connection | None = None) -> Alert:
    """The alert with all its times later by `delta` ms; references follow the messages they name, which moved too."""

    def later(at_ms: int | None) -> int | None:
        return None if at_ms is None else at_ms + delta

    references = alert.references
    if connection is not None and references:
        references = tuple(
            replace(reference, sent_ms=_sent_ms(connection, reference.identifier, reference.sent_ms))
            for reference in references
        )
    return replace(
        alert,
        sent_ms=alert.sent_ms + delta,
        effective_ms=later(alert.effective_ms),
        onset_ms=later(alert.onset_ms),
        expires_ms=alert.expires_ms + delta,
        references=references,
    )


def _sent_ms(connection: sqlite3.Connection, identifier: str, told_ms: int) -> int:
    from kit.model.cap import from_json

    row = connection.execute("SELECT body FROM alerts WHERE identifier = ?", (identifier,)).fetchone()
    return told_ms if row is None else from_json(json.loads(row[0])).sent_ms


def _move_receipts(connection: sqlite3.Connection, row: BootRow, delta: int) -> None:
    connection.execute(
        "UPDATE alert_receipts SET at_ms = at_ms + ? WHERE at_ms BETWEEN ? AND ?",
        (delta, row.first_ms + row.offset_ms, row.last_ms + row.offset_ms),
    )


def _move_records(connection: sqlite3.Connection, row: BootRow, delta: int, marks: Marks) -> None:
    """Own records of the boot that no link has taken yet; one that has left keeps what was said."""
    found = connection.execute(
        "SELECT number, kind, body FROM records WHERE number > ? AND number <= ? AND taken_ms IS NULL "
        "AND left_ms IS NULL AND accepted_ms IS NULL",
        (row.records_before, _until(connection, row, "records_before", marks.record)),
    ).fetchall()
    for number, kind, body in found:
        connection.execute(
            "UPDATE records SET created_ms = created_ms + ?, body = ? WHERE number = ?",
            (delta, _moved_body(connection, str(kind), bytes(body), delta), number),
        )


def _moved_body(connection: sqlite3.Connection, kind: str, body: bytes, delta: int) -> bytes:
    """Alerts and receipts carry their time inside as well."""
    if kind == "receipt":
        from kit.model.alert import receipt_body, receipt_from_body

        receipt = receipt_from_body(body)
        return receipt_body(replace(receipt, at_ms=receipt.at_ms + delta))
    if kind == "alert":
        from kit.model.alert import from_record_body, to_record_body
        from kit.model.cap import from_json

        told = from_record_body(body)
        stored = connection.execute("SELECT body FROM alerts WHERE identifier = ?", (told.identifier,)).fetchone()
        if stored is not None:
            return to_record_body(from_json(json.loads(stored[0])))  # moved already
        return to_record_body(moved_alert(told, delta))
    return body
