"""The jobs of one process: they live and end together, and a full disk ends none of them."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from kit.disk import full_words, is_full, mount_of, says_full
from kit.errors import KitError
from kit.run.together import run_together


def full_store(tmp_path: Path) -> sqlite3.OperationalError:
    """What SQLite itself says."""
    connection = sqlite3.connect(tmp_path / "small.db")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError) as told:
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    connection.close()
    return told.value


def test_a_job_that_meets_a_full_disk_is_begun_again_and_the_others_go_on(tmp_path: Path) -> None:
    stop, begun = threading.Event(), []
    errors = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), full_store(tmp_path)]

    def writes(ended: threading.Event) -> None:
        begun.append("again")
        if errors:
            raise errors.pop()
        stop.set()
        ended.wait()

    run_together({"writes": writes, "other": lambda ended: (ended.wait(), None)[1]}, stop, full_again_s=0.01)
    assert len(begun) == 3


def test_any_other_failure_ends_them_all(tmp_path: Path) -> None:
    def fails(_: threading.Event) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(tmp_path))

    with pytest.raises(OSError, match="Input/output"):
        run_together({"fails": fails, "other": lambda ended: (ended.wait(), None)[1]}, threading.Event())


def test_a_full_disk_is_told_from_a_failing_one(tmp_path: Path) -> None:
    wrapped = KitError("the home cannot be written")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert is_full(wrapped)
    assert is_full(full_store(tmp_path))
    assert not is_full(OSError(errno.EIO, "Input/output error"))
    with pytest.raises(sqlite3.OperationalError) as missing:
        sqlite3.connect(f"file:{tmp_path}/none?mode=ro", uri=True)
    assert (is_full(missing.value), says_full(missing.value)) == (False, True)


def test_the_sentence_names_the_file_system_of_a_place_that_is_not_there_yet(tmp_path: Path) -> None:
    place = tmp_path / "not" / "there"
    assert mount_of(place).is_mount()
    told = full_words(place, needs_bytes=4_000_000)
    assert told.startswith(f"the disk that holds {place} (file system {mount_of(place)}, ")
    assert told.endswith("MB free) is full: 4.0 MB are needed")
