"""The ledger of commands to actuators: who asked what, what the device said, how it ended."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from kit.model.commands import OVER, Command, CommandState
from kit.store.facts import count_change
from kit.store.migrations import sql

SUBJECT = "commands"
REPLACED, WITHDRAWN = 1, 2
"""Why a command is to end: another one for the same output follows, or the device is to be off."""

KEPT = 1_000
"""Commands in the ledger; the oldest that are over go first."""

MIGRATIONS = (
    sql(
        "commands",
        "0001_ledger_of_commands",
        """
        CREATE TABLE commands (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
            device TEXT NOT NULL, output TEXT NOT NULL, wanted_on INTEGER NOT NULL, for_s REAL NOT NULL,
            asked_by TEXT NOT NULL, asked_ms INTEGER NOT NULL, boot TEXT NOT NULL, asked_s REAL NOT NULL,
            state TEXT NOT NULL, why TEXT NOT NULL,
            acked_s REAL, acked_ms INTEGER, ended_ms INTEGER, end_asked INTEGER NOT NULL DEFAULT 0
        );
        CREATE INDEX commands_live ON commands (state) WHERE ended_ms IS NULL
        """,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """A command as the technician sees it; Unix ms."""

    command: Command
    boot: str
    asked_by: str
    asked_ms: int
    acked_ms: int | None
    ended_ms: int | None
    end_asked: int


def ask(
    connection: sqlite3.Connection,
    *,
    device: str,
    output: str,
    on: bool,
    for_s: float,
    by: str,
    boot: str,
    now_s: float,
    now_ms: int,
) -> str:
    """Ask for a state; returns the command's id. What the same output was asked for before ends.

    Args:
        connection: inside a transaction.
        device: which.
        output: of it; "" = its only one.
        on: the state.
        for_s: kit seconds to hold it.
        by: who asks: "cli", "siren", an app's name.
        boot: this boot.
        now_s: kit seconds since boot.
        now_ms: Unix ms.
    """
    import secrets

    identifier = secrets.token_hex(4)
    connection.execute(
        "UPDATE commands SET end_asked = ? WHERE device = ? AND output = ? AND ended_ms IS NULL",
        (REPLACED, device, output),
    )
    connection.execute(
        "INSERT INTO commands (id, device, output, wanted_on, for_s, asked_by, asked_ms, boot, asked_s, state, why) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')",
        (identifier, device, output, int(on), for_s, by, now_ms, boot, now_s, CommandState.ASKED.value),
    )
    connection.execute(
        "DELETE FROM commands WHERE ended_ms IS NOT NULL AND number <= (SELECT max(number) FROM commands) - ?", (KEPT,)
    )
    count_change(connection, SUBJECT)
    return identifier


def withdraw(connection: sqlite3.Connection, identifier: str) -> None:
    """Have the device be off, before the command's time is over."""
    connection.execute("UPDATE commands SET end_asked = ? WHERE id = ?", (WITHDRAWN, identifier))


def live(connection: sqlite3.Connection) -> list[LedgerRow]:
    """Every command that is not over, in the order in which they were asked."""
    return [_row(row) for row in connection.execute("SELECT * FROM commands WHERE ended_ms IS NULL ORDER BY number")]


def ledger(connection: sqlite3.Connection, *, limit: int) -> list[LedgerRow]:
    """The last commands, the newest first."""
    return [_row(row) for row in connection.execute("SELECT * FROM commands ORDER BY number DESC LIMIT ?", (limit,))]


def find(connection: sqlite3.Connection, identifier: str) -> LedgerRow | None:
    """One command."""
    row = connection.execute("SELECT * FROM commands WHERE id = ?", (identifier,)).fetchone()
    return None if row is None else _row(row)


def save(connection: sqlite3.Connection, command: Command, *, now_ms: int) -> None:
    """Write down how far a command has come."""
    connection.execute(
        "UPDATE commands SET state = ?, why = ?, acked_s = ?, "
        "acked_ms = coalesce(acked_ms, CASE WHEN ? THEN ? END), ended_ms = CASE WHEN ? THEN ? END WHERE id = ?",
        (
            command.state.value,
            command.why,
            command.acked_s,
            command.acked_s is not None,
            now_ms,
            command.state in OVER,
            now_ms,
            command.id,
        ),
    )
    count_change(connection, SUBJECT)


def _row(row: sqlite3.Row) -> LedgerRow:
    command = Command(
        id=row["id"],
        device=row["device"],
        output=row["output"],
        on=bool(row["wanted_on"]),
        for_s=row["for_s"],
        asked_s=row["asked_s"],
        state=CommandState(row["state"]),
        acked_s=row["acked_s"],
        why=row["why"],
    )
    return LedgerRow(
        command=command,
        boot=row["boot"],
        asked_by=row["asked_by"],
        asked_ms=row["asked_ms"],
        acked_ms=row["acked_ms"],
        ended_ms=row["ended_ms"],
        end_asked=row["end_asked"],
    )
