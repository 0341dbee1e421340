"""A whole unit as real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from whole_unit import Unit


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    unit = Unit(tmp_path)
    unit.write_settings()
    yield unit
    if unit.process is not None and unit.process.poll() is None:
        unit.process.terminate()
        unit.process.wait(timeout=20)
