"""A unit with something to lose."""

from __future__ import annotations

from pathlib import Path

import pytest
from stored import measure, write

from kit.home import Home
from kit.identity import load_or_create_identity
from kit.run.schema import open_unit_store
from kit.store.records import set_origin


@pytest.fixture
def unit(tmp_path: Path) -> Home:
    home = Home(tmp_path / "unit")
    home.prepare()
    home.settings_file.write_text('[unit]\nname = "Kinamba"\n')
    identity = load_or_create_identity(home)
    with open_unit_store(home) as store, store.atomic() as connection:
        set_origin(connection, identity.unit)
    measure(home, "roof", *(float(number) for number in range(2000)))
    write(home, "receipt", b"before")
    return home
