"""The unit of `actuated_unit`, with leases short enough for a test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from actuated_unit import SPEED, Unit

from kit.clock import AcceleratedClock


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    made = Unit(tmp_path, AcceleratedClock(1_790_000_000.0, time.clock_gettime(time.CLOCK_BOOTTIME), SPEED))
    with made.stack:
        made.start_broker()
        made.start_service()
        made.stack.callback(made.stop_service)
        yield made
