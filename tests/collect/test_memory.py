"""Broker and collector take no more memory at the end of a week than at its beginning."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[1] / "support" / "week_of_readings.py"
LEAK_BYTES = 3_000_000
"""Less than a hundred bytes for each of the week's messages; fragments of the heap take one to two megabytes."""

MOST_BYTES = 80_000_000


def test_a_week_of_fifty_devices_leaves_the_memory_as_it_was(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path), "7"], check=True, capture_output=True, text=True, timeout=110
    ).stdout
    days = [json.loads(line) for line in told.splitlines()]
    assert len(days) == 7
    assert days[1]["readings"] > 5_000, "the week was lived through"
    assert days[-1]["rss_bytes"] - days[1]["rss_bytes"] < LEAK_BYTES, days
    assert days[-1]["rss_bytes"] < MOST_BYTES
