"""A store that is found damaged by the kit that would have converted it keeps what was undated in it."""

from __future__ import annotations

from pathlib import Path

from kit.backup.damage import recover
from kit.home import Home
from kit.run.schema import unit_migrations
from kit.store.boots import boots
from kit.store.database import Database
from kit.store.migrations import FLASH_PAGE_BYTES as PAGE
from kit.store.undated import count_undated, move_readings, release_readings

NOW_MS = 1_800_000_900_000
ROWS = [(1, 0, 60_000 + number, number % 3, NOW_MS + number, 1) for number in range(2_000)]
"""Boot, moved, ms since boot, series, Unix ms, held."""


def write_older(file: Path) -> int:
    """A store of an older kit; returns a page in the midst of what is undated."""
    older = [each for each in unit_migrations() if each.name != "0003_undated_by_transaction"]
    with Database(file, migrations=older) as store, store.atomic() as connection:
        connection.execute("INSERT INTO boots VALUES (1, 'boot', 0, 0, ?, 'none', 0, 0, 0, 0)", (NOW_MS - 60_000,))
        connection.executemany("INSERT INTO readings VALUES (?, ?, 0, 0)", [(row[3], row[4]) for row in ROWS])
        connection.executemany("INSERT INTO undated_readings VALUES (?, ?, ?, ?, ?, ?)", ROWS)
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'undated_readings'").fetchone()
    page = file.read_bytes()[(root - 1) * PAGE : root * PAGE]
    cell = int.from_bytes(page[12 + 20 : 14 + 20], "big")
    return int.from_bytes(page[cell : cell + 4], "big")


def spoil(file: Path, page: int) -> None:
    with file.open("r+b") as stream:
        stream.seek((page - 1) * PAGE)
        stream.write(b"\xff" * PAGE)


def test_undated_readings_of_an_older_kit_wait_for_their_time_in_the_mended_store(unit: Home) -> None:
    unit.database.unlink(missing_ok=True)
    spoil(unit.database, write_older(unit.database))
    report = recover(unit, "a spoiled page", migrations=unit_migrations(), now_ms=NOW_MS)
    assert report is not None
    assert "undated_readings" in report.incomplete
    with Database(unit.database, migrations=unit_migrations()) as store:
        kept = count_undated(store.connection, 1)
        assert 1_900 < kept < 2_000, "but for those on the page"
        row = boots(store.connection)[0]
        assert move_readings(store.connection, row, limit=5_000) == kept
        assert release_readings(store.connection, row, limit=5_000) == kept
