"""After an unclean end: is what was acknowledged in the store? Looked up row by row, and told per device and kind.

The ledger's newest two files per process are looked up one by one; what is older than these was, besides, copied from
the write-ahead log into the database and flushed long ago. Raw readings that retention has since thinned out are no
loss.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kit.model.alert import rfc3339
from kit.model.ledger import LedgerFile, Names, RecordKey
from kit.store.boots import moved_times
from kit.store.rollups import rollup_state

EXAMPLES = 20
"""Of lost things, named in the history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What was acknowledged to one device (`what` = "readings") or of one kind of record (`what` = "records").

    Attributes:
        acknowledged: since the process started.
        looked_up: of these, the newest, one by one.
        lost: of those looked up, not in the store.
    """

    what: str
    who: str
    acknowledged: int
    looked_up: int
    lost: int

    @property
    def found(self) -> int:
        """Those that are not lost."""
        return self.acknowledged - self.lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """All accounts, and what is lost in words, at most `EXAMPLES`."""

    accounts: Sequence[Account]
    missing: Sequence[str]

    @property
    def acknowledged(self) -> int:
        """In all."""
        return sum(account.acknowledged for account in self.accounts)

    @property
    def looked_up(self) -> int:
        """In all."""
        return sum(account.looked_up for account in self.accounts)

    @property
    def lost(self) -> int:
        """In all."""
        return sum(account.lost for account in self.accounts)


def reckon(processes: Iterable[Sequence[LedgerFile]], connection: sqlite3.Connection) -> Reckoning:
    """Compare.

    Args:
        processes: the files of each process, the oldest first.
        connection: to the store; only read.

    Raises:
        sqlite3.DatabaseError: the store is damaged.
    """
    acknowledged: Counter[tuple[str, str]] = Counter()
    looked_up: Counter[tuple[str, str]] = Counter()
    lost: Counter[tuple[str, str]] = Counter()
    missing: list[str] = []
    shed_before_ms = rollup_state(connection).raw_from_ms
    for files in processes:
        acknowledged.update(files[-1].totals)  # each file's totals hold those of the ones before it
        for file in files:
            _look_up_readings(connection, file, shed_before_ms, looked_up, lost, missing)
            _look_up_records(connection, file.records, looked_up, lost, missing)
    accounts = [
        Account(
            what=key[0], who=key[1], acknowledged=max(count, looked_up[key]), looked_up=looked_up[key], lost=lost[key]
        )
        for key, count in sorted((acknowledged | looked_up).items())
    ]
    return Reckoning(accounts=accounts, missing=missing[:EXAMPLES])


def _look_up_readings(
    connection: sqlite3.Connection,
    file: LedgerFile,
    shed_before_ms: int,
    looked_up: Counter[tuple[str, str]],
    lost: Counter[tuple[str, str]],
    missing: list[str],
) -> None:
    same = {series for series, names in file.series.items() if _is_series(connection, series, names)}
    for series, time_ms in file.readings:
        device, quantity, unit = file.series.get(series, ("?", "", ""))
        looked_up["readings", device] += 1
        if time_ms < shed_before_ms or (series in same and _holds_reading(connection, series, time_ms)):
            continue
        lost["readings", device] += 1
        if len(missing) < EXAMPLES:
            missing.append(f"{device} {quantity} ({unit}) of {_moment(time_ms)}")


def _look_up_records(
    connection: sqlite3.Connection,
    records: Iterable[RecordKey],
    looked_up: Counter[tuple[str, str]],
    lost: Counter[tuple[str, str]],
    missing: list[str],
) -> None:
    for origin, epoch, seq, kind in records:
        looked_up["records", kind] += 1
        row = connection.execute(
            "SELECT 1 FROM records WHERE origin = ?1 AND epoch = ?2 AND seq = ?3 "
            "UNION ALL SELECT 1 FROM records_renamed WHERE origin = ?1 AND epoch = ?2 AND seq = ?3",
            (origin, epoch, seq),
        ).fetchone()
        if row is None:
            lost["records", kind] += 1
            if len(missing) < EXAMPLES:
                missing.append(f"record {kind} {origin}/{epoch}/{seq}")


def _is_series(connection: sqlite3.Connection, series: int, names: Names) -> bool:
    row = connection.execute("SELECT device, quantity, unit FROM series WHERE id = ?", (series,)).fetchone()
    return row is not None and tuple(row) == names


def _holds_reading(connection: sqlite3.Connection, series: int, time_ms: int) -> bool:
    return any(
        connection.execute("SELECT 1 FROM readings WHERE series = ? AND time_ms = ?", (series, at_ms)).fetchone()
        for at_ms in (time_ms, *moved_times(connection, time_ms))
    )


def _moment(time_ms: int) -> str:
    try:
        return rfc3339(time_ms)
    except (ValueError, OverflowError):
        return f"{time_ms} ms"


def as_json(reckoning: Reckoning) -> Mapping[str, object]:
    """`{acknowledged, looked_up, found, lost, accounts: [...], missing: [...]}`."""
    return {
        "acknowledged": reckoning.acknowledged,
        "looked_up": reckoning.looked_up,
        "found": reckoning.acknowledged - reckoning.lost,
        "lost": reckoning.lost,
        "accounts": [
            {
                "what": account.what,
                "who": account.who,
                "acknowledged": account.acknowledged,
                "looked_up": account.looked_up,
                "found": account.found,
                "lost": account.lost,
            }
            for account in reckoning.accounts
        ],
        "missing": list(reckoning.missing),
    }
