"""The disk that forgets what was not synced catches a store that promises too much and spares one that does not."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import forgetful
import pytest
from forgetful import ForgetfulDisk

pytestmark = pytest.mark.skipif(forgetful.compiler() is None, reason="no C compiler; script/test installs one")

WRITER = Path(forgetful.__file__).parent / "writer.py"


def lost_rows(tmp_path: Path, synchronous: str, *, cuts: int) -> int:
    """How many rows whose commit had returned are gone, over some power cuts."""
    disk = ForgetfulDisk(tmp_path / "disk", tmp_path / "scratch")
    rng = random.Random(5)
    lost = 0
    for _ in range(cuts):
        command = [sys.executable, str(WRITER), str(disk.root / "kept.db"), synchronous]
        process = subprocess.Popen(command, env=disk.environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        wanted = rng.randrange(20, 400)
        said = [process.stdout.readline() for _ in range(wanted)]
        process.kill()
        said += [line for line in process.stdout if line.endswith("\n")]
        process.wait()
        process.stdout.close()
        disk.power_cut(rng)
        connection = sqlite3.connect(disk.root / "kept.db")
        newest = 0
        with contextlib.suppress(sqlite3.OperationalError):  # even the table may be gone
            (newest,) = connection.execute("SELECT coalesce(max(number), 0) FROM kept").fetchone()
        connection.close()
        lost += max(0, int(said[-1]) - newest)
    return lost


def test_a_store_that_syncs_every_commit_loses_nothing(tmp_path: Path) -> None:
    assert lost_rows(tmp_path, "FULL", cuts=6) == 0


def test_a_store_that_does_not_is_found_out(tmp_path: Path) -> None:
    assert lost_rows(tmp_path, "NORMAL", cuts=6) > 0
