"""The kit's one SQLite file: connections, pragmas, transactions.

Invariant: whatever a transaction of `Database.atomic` wrote is on the disk when the block ends (WAL with
`synchronous=FULL` fsyncs the log at every commit). Everything acknowledged to anybody is committed this way first.

Several processes and threads use the file. A `Database` belongs to one thread at a time; each thread opens its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kit.disk import GO_ON_BYTES, free_bytes, full_words, says_full
from kit.errors import KitError
from kit.home import explain_home_error
from kit.store.migrations import FLASH_PAGE_BYTES, Migration, migrate
from kit.store.transactions import StoreConnection, Transaction

if TYPE_CHECKING:
    from kit.store.checkpoints import Checkpoints
    from kit.store.ledger import Ledger

BUSY_TIMEOUT_MS = 30_000
"""Longer than any of the kit's transactions on a slow SD card, so that "database is locked" never reaches a person."""


CHECKPOINT_PAGES = 4_000
"""4 MB of log (at 1,024 bytes a page) before it is copied into the file. The pages that every reading touches are then
copied once for hundreds of commits; a longer log saves no more, and would have to be read after a power cut."""

MOST_LOG_BYTES = 8_000_000
"""What a burst made larger is cut back to this at the next checkpoint: the space belongs to the readings."""

USE_POLL_S = 0.05


class StoreError(KitError):
    """The store cannot be opened or written."""


class StoreBusyError(StoreError):
    """Somebody else is writing, and the caller did not want to wait."""


class Database:
    """A connection to the kit's store.

    Args:
        file: the SQLite file.
        migrations: the schema this caller needs; applied on opening when something is pending.
        read_only: refuse writes, and do not create the file.
        page_bytes: of a file that is made.
        ledger: told what each transaction made true, between its commit and whatever is said about it.
        hurried: somebody waits for each commit of `atomic`: the log is copied beside them, not in one of them.
        checkpoint_pages: how long the log may become before it is copied.
    """

    def __init__(
        self,
        file: Path,
        *,
        migrations: Sequence[Migration] = (),
        read_only: bool = False,
        page_bytes: int = FLASH_PAGE_BYTES,
        ledger: Ledger | None = None,
        hurried: bool = False,
        checkpoint_pages: int = CHECKPOINT_PAGES,
    ) -> None:
        self._file = file
        self._page_bytes = page_bytes
        self._ledger = ledger
        self._migrations = migrations
        self._read_only = read_only
        self._connection: StoreConnection | None = None
        self._use: int | None = None
        self._patient = True
        self._hurried, self._checkpoint_pages = hurried, checkpoint_pages
        self._checkpoints: Checkpoints | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Open the file, bring its schema up to date, set the pragmas.

        Raises:
            StoreError: the file cannot be opened; the sentence says why and what to do.
        """
        try:
            if not self._read_only:
                self._use = _use(self._file)
                migrate(self._file, self._migrations, page_bytes=self._page_bytes)
            mode = "ro" if self._read_only else "rw"
            connection = sqlite3.connect(
                f"file:{self._file}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=30.0,
                factory=StoreConnection,
            )
            connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            connection.execute("PRAGMA foreign_keys=ON")
            if not self._read_only:
                connection.execute("PRAGMA synchronous=FULL")
                in_a_commit = self._checkpoint_pages * (2 if self._hurried else 1)
                connection.execute(f"PRAGMA wal_autocheckpoint={in_a_commit}")
                connection.execute(f"PRAGMA journal_size_limit={MOST_LOG_BYTES}")
        except OSError as error:
            self._stop_using()
            raise StoreError(explain_home_error(self._file.parent, error)) from error
        except sqlite3.Error as error:
            self._stop_using()
            if says_full(error) and free_bytes(self._file) < GO_ON_BYTES:
                raise StoreError(f"{full_words(self._file)}; free some space, then run `kit doctor`") from error
            raise StoreError(f"{self._file} cannot be opened ({error}); run `kit doctor`") from error
        connection.row_factory = sqlite3.Row
        self._connection = connection
        if self._hurried:
            from kit.store.checkpoints import Checkpoints  # not for a command that only looks

            on_error = partial(suspect, self._file)
            self._checkpoints = Checkpoints(self._file, pages=self._checkpoint_pages, on_error=on_error)
        if self._ledger is not None:
            self._ledger.__enter__()

    def close(self) -> None:
        """Close the connection; nothing is pending because every change was committed by `atomic`."""
        if self._checkpoints is not None:
            self._checkpoints.close()
            self._checkpoints = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            if self._ledger is not None:
                self._ledger.__exit__(None, None, None)
        self._stop_using()

    def _stop_using(self) -> None:
        if self._use is not None:
            os.close(self._use)
            self._use = None

    @property
    def connection(self) -> StoreConnection:
        """The open connection, rows as `sqlite3.Row`."""
        if self._connection is None:
            raise StoreError(f"{self._file} is not open")
        return self._connection

    @property
    def file(self) -> Path:
        """Where it is."""
        return self._file

    @contextmanager
    def atomic(
        self, *, patient: bool = True, at_disk: Callable[[], object] | None = None
    ) -> Iterator[sqlite3.Connection]:
        """A transaction; nested blocks are savepoints. On disk when the outermost block ends without an exception.

        Args:
            patient: wait for whoever else is writing.
            at_disk: called when the statements are through and only the disk is waited for.

        Raises:
            StoreBusyError: somebody else is writing, and `patient` is false; nothing was begun.
        """
        connection = self.connection
        if connection.in_transaction:
            with _savepoint(connection):
                yield connection
            return
        self._begin(connection, patient=patient)
        evidence = None if self._ledger is None else self._ledger.begin()
        transaction = connection.transaction = Transaction(evidence)
        try:
            yield connection
            if at_disk is not None:
                at_disk()
            connection.execute("COMMIT")
            transaction.committed = True
        except BaseException as error:
            _roll_back(connection)
            suspect(self._file, error)
            raise
        finally:
            connection.transaction = transaction.evidence = None
        if self._ledger is not None and evidence is not None:
            self._ledger.wrote(evidence)
        if self._checkpoints is not None:
            self._checkpoints.look(connection)

    def _begin(self, connection: StoreConnection, *, patient: bool) -> None:
        if patient is not self._patient:
            connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS if patient else 0}")
            self._patient = patient
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not patient and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise StoreBusyError(f"somebody else is writing to {self._file.name}") from error
            raise

    def changed_elsewhere(self) -> int:
        """A number that changes whenever another connection has committed (PRAGMA data_version); cheap to poll."""
        return int(self.connection.execute("PRAGMA data_version").fetchone()[0])


@contextmanager
def exclusive_store(file: Path, *, patience_s: float = 1.0) -> Iterator[None]:
    """Keep everybody from opening the store for writing while its file is replaced.

    Args:
        file: the SQLite file.
        patience_s: real seconds to wait for those that have it open.

    Raises:
        StoreError: somebody still has it open.
    """
    descriptor = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        waited_s = 0.0
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if waited_s >= patience_s:
                    raise StoreError(f"{file} is in use; stop the unit first (Ctrl-C, or systemctl stop)") from error
                time.sleep(USE_POLL_S)
                waited_s += USE_POLL_S
        yield
    finally:
        os.close(descriptor)


def suspect_file(file: Path) -> Path:
    """Exists while somebody has met damage in the store that was not looked into yet."""
    return file.with_suffix(".suspect")


def suspect(file: Path, error: BaseException) -> bool:
    """If the error says that the store is damaged, have the care service look into it at once; whether it does."""
    code = getattr(error, "sqlite_errorcode", 0) or 0
    if code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        with contextlib.suppress(OSError):
            suspect_file(file).touch()
        return True
    return False


def _use(file: Path) -> int:
    """Wait until nobody is replacing the store, and keep it from being replaced until this descriptor is closed."""
    descriptor = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _roll_back(connection: sqlite3.Connection) -> None:
    # a full disk makes SQLite roll back by itself; then there is nothing left to undo
    if connection.in_transaction:
        connection.execute("ROLLBACK")


@contextmanager
def _savepoint(connection: StoreConnection) -> Iterator[None]:
    connection.execute("SAVEPOINT nested")
    transaction = connection.transaction or Transaction()  # begun by hand: nobody keeps anything of it
    evidence = transaction.evidence
    mark = None if evidence is None else evidence.mark()
    try:
        yield
    except BaseException:
        transaction.undone += 1
        if evidence is not None and mark is not None:
            evidence.back_to(mark)
        connection.execute("ROLLBACK TO nested")
        connection.execute("RELEASE nested")
        raise
    connection.execute("RELEASE nested")
