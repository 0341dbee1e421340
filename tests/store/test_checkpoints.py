"""The log is copied into the file beside the commits: none of them waits, it stays bounded, and nothing is lost."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest

from kit.store.checkpoints import Log
from kit.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PAGES = 40
PATIENCE_S = 30.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "kit.db"
    with contextlib.closing(sqlite3.connect(made)) as connection:
        connection.execute("PRAGMA page_size=1024")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE seen (id INTEGER PRIMARY KEY, text TEXT)")
    return made


@pytest.fixture
def hurried(file: Path) -> Iterator[Database]:
    with Database(file, hurried=True, checkpoint_pages=PAGES) as opened:
        yield opened


def write(database: Database, rows: int = 1) -> None:
    with database.atomic() as connection:
        connection.executemany("INSERT INTO seen (text) VALUES (?)", [("x" * 300,)] * rows)


def pages_of(file: Path) -> int:
    """Pages in the log as SQLite counts them; copies some of them on the way."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])


def soon(condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def test_the_length_of_the_log_is_what_sqlite_says(file: Path) -> None:
    log = Log(file)
    with Database(file, checkpoint_pages=PAGES) as database:
        for rows in (1, 10, 30):
            write(database, rows)
            pages = pages_of(file)
            assert log.reaches(pages)
            assert not log.reaches(pages + 1)
    log.close()


def test_a_log_that_began_anew_is_short_although_its_file_is_as_long_as_before(file: Path) -> None:
    log = Log(file)
    with Database(file, checkpoint_pages=PAGES) as database:
        write(database, 50)
        long = pages_of(file)
        assert log.reaches(long)
        write(database)
        assert log.reaches(1)
        assert not log.reaches(long)
    log.close()


def test_a_store_without_a_log_has_a_short_one(tmp_path: Path) -> None:
    assert not Log(tmp_path / "kit.db").reaches(1)


def test_a_long_log_is_copied_beside_the_commits_and_begins_anew(hurried: Database, file: Path) -> None:
    checkpoints = hurried._checkpoints
    assert checkpoints is not None
    write(hurried, 4 * PAGES)
    assert soon(lambda: checkpoints.made)
    write(hurried)
    assert not Log(file).reaches(PAGES)


def test_the_log_stays_bounded_while_somebody_writes_without_a_pause(hurried: Database, file: Path) -> None:
    for _ in range(600):
        write(hurried, 2)
    checkpoints, log = hurried._checkpoints, Log(file)
    assert checkpoints is not None

    def bounded_while_writing() -> bool:
        write(hurried, 2)
        return bool(checkpoints.made) and not log.reaches(4 * PAGES)

    # 1,800 pages are written; on a busy machine it takes a while until the copying has its turn
    assert soon(bounded_while_writing)
    log.close()


def test_while_somebody_reads_for_long_it_is_not_tried_at_every_commit(hurried: Database, file: Path) -> None:
    checkpoints = hurried._checkpoints
    assert checkpoints is not None
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM seen").fetchone()
        write(hurried, 5 * PAGES)
        assert soon(lambda: checkpoints._next_at > PAGES)
        assert soon(lambda: not checkpoints._copying)
        before = checkpoints._next_at
        for _ in range(3):
            write(hurried)
        assert not checkpoints._copying
        assert (checkpoints._next_at, checkpoints.made) == (before, 0)
        reader.execute("COMMIT")
    deadline = time.monotonic() + PATIENCE_S
    while not checkpoints.made and time.monotonic() < deadline:
        write(hurried, PAGES // 4)
    assert checkpoints.made
    write(hurried)
    assert not Log(file).reaches(PAGES)


KILLED = """
import sys
from pathlib import Path
from kit.store.database import Database
with Database(Path(sys.argv[1]), hurried=True, checkpoint_pages=40) as store:
    for number in range(1_000_000):
        with store.atomic() as connection:
            connection.execute("INSERT INTO seen (text) VALUES (?)", (str(number) * 100,))
        print(number, flush=True)
"""


def test_what_was_committed_is_there_after_a_kill_while_the_log_is_being_copied(file: Path) -> None:
    program = [sys.executable, "-c", textwrap.dedent(KILLED), str(file)]
    committed = 0
    for until in (90, 151, 233):
        lines = until
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(until):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            lines += sum(line.endswith("\n") for line in process.stdout)
        with contextlib.closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            (stored,) = connection.execute("SELECT count(*) FROM seen").fetchone()
        committed += lines
        assert stored >= committed
        committed = stored
