"""What a transaction will have made true, noted in it for the ledger (`kit.store.ledger`).

The functions that write readings and records know nothing of ledgers: they note, and `Database.atomic` hands what was
noted to the process's ledger once the commit is on the disk. On a connection without a ledger, noting does nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from kit.model.ledger import Evidence, Names, RecordKey
from kit.store.transactions import StoreConnection


def note_series(connection: sqlite3.Connection, series: int, names: Names) -> None:
    """This is what readings of that series number are readings of."""
    evidence = evidence_of(connection)
    if evidence is not None:
        evidence.series[series] = names


def note_readings(connection: sqlite3.Connection, keys: Iterable[int]) -> None:
    """The transaction stores these readings (series, Unix ms, series, Unix ms…), and their sender will be told so."""
    evidence = evidence_of(connection)
    if evidence is not None:
        evidence.readings.extend(keys)


def note_records(connection: sqlite3.Connection, records: Iterable[RecordKey]) -> None:
    """The transaction accepts these records, and whoever gave them will be told so."""
    evidence = evidence_of(connection)
    if evidence is not None:
        evidence.records.extend(records)


def evidence_of(connection: sqlite3.Connection) -> Evidence | None:
    """What the connection's open transaction has noted; None where nobody keeps any."""
    transaction = connection.transaction if isinstance(connection, StoreConnection) else None
    return None if transaction is None else transaction.evidence
