"""A whole unit as real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from village import Village
from whole_unit import Unit


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    unit = Unit(tmp_path)
    unit.write_settings()
    yield unit
    if unit.process is not None and unit.process.poll() is None:
        unit.process.terminate()
        unit.process.wait(timeout=60)


@pytest.fixture
def village(tmp_path: Path) -> Iterator[Village]:
    made = Village(tmp_path)
    yield made
    for home in list(made.processes):
        made.stop(home)
