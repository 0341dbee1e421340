"""What is known of a transaction while it runs and after it: what it notes for the ledger, and what became of it.

Memory that is filled inside a transaction is true only if that transaction reached the disk. Whoever keeps such memory
asks at its beginning for a `Lifetime`, and before it uses the memory again whether it is still true: only a commit that
`Database` saw succeed makes it so. Everything else (a rollback, a savepoint undone, a transaction somebody began by
hand, another connection) counts as "no", and the memory is filled anew from the store. What *other* connections wrote
meanwhile is another question; see `kit.store.reading_writer`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.model.ledger import Evidence


@dataclass(slots=True, eq=False)
class Transaction:
    """One outermost transaction of `Database.atomic`.

    Attributes:
        evidence: what it will have made true; None where nobody keeps any.
        committed: it is on the disk.
        undone: how many savepoints in it were rolled back.
    """

    evidence: Evidence | None = None
    committed: bool = False
    undone: int = 0


class StoreConnection(sqlite3.Connection):
    """A connection that carries its open transaction; None outside of `Database.atomic`."""

    transaction: Transaction | None = None


class Lifetime:
    """How long what is put into memory now stays true. Begun inside a transaction."""

    __slots__ = ("_connection", "_transaction", "_undone")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._transaction = connection.transaction if isinstance(connection, StoreConnection) else None
        self._undone = 0 if self._transaction is None else self._transaction.undone

    def lasts(self, connection: sqlite3.Connection) -> bool:
        """Whether all that was written since it began is in the store, as this connection sees it."""
        transaction = self._transaction
        if transaction is None or connection is not self._connection or transaction.undone != self._undone:
            return False
        return transaction.committed or self._connection.transaction is transaction  # type: ignore[attr-defined]  # checked in __init__
