"""The broker's and the collector's own processes take no more memory at the end of a week than at its beginning."""

from __future__ import annotations

from pathlib import Path

import pytest
from week_of_a_unit import live

LEAK_BYTES = 2_000_000
"""In each process, of the 7,200 messages of the last three days: 200 bytes of each and half a megabyte, by which the
heap still settles (it grows by nothing after three weeks)."""

MOST_BYTES = 80_000_000
"""Both together, counted as what is resident of each: pages that they share count twice."""


@pytest.mark.timeout(180)
def test_a_week_on_an_accelerated_clock_leaves_the_memory_of_both_processes_as_it_was(tmp_path: Path) -> None:
    days = list(live(tmp_path / "kit", 7))
    assert [day.day for day in days] == [1, 2, 3, 4, 5, 6, 7]
    fourth, last = days[3], days[-1]
    assert last.broker - fourth.broker < LEAK_BYTES, days
    assert last.collect - fourth.collect < LEAK_BYTES, days
    assert max(day.broker + day.collect for day in days) < MOST_BYTES, days
