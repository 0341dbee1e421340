"""A home that has run once, for the commands that read and change it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.home import Home
from kit.run.schema import open_unit_store
from kit.store.records import set_origin, write_record
from sync.protocol.records import Priority


@pytest.fixture
def unit(tmp_path: Path) -> Home:
    home = Home(tmp_path / "unit")
    home.prepare()
    with open_unit_store(home) as database, database.atomic() as connection:
        set_origin(connection, "kit-7gq2mzk4")
        write_record(
            connection, kind="alert", priority=Priority.DISTRESS, body=b"a" * 100, created_ms=1_460_419_920_000
        )
        for _ in range(3):
            write_record(connection, kind="readings", priority=Priority.READING, body=b"r" * 150, created_ms=0)
    return home
