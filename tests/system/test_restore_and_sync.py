"""A real kit and a real core: back up, go on, die, restore, sync. The core holds everything, each once."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from whole_unit import wait_until

if TYPE_CHECKING:
    from village import Village

pytestmark = pytest.mark.timeout(300)


def core_values(core: Path) -> list[float]:
    connection = sqlite3.connect(core / "core.db")
    try:
        return [row[0] for row in connection.execute("SELECT value FROM core_readings ORDER BY time_ms")]
    finally:
        connection.close()


def test_after_a_restore_the_core_holds_everything_once(village: Village, tmp_path: Path) -> None:
    village.start(village.core, "core", "run")
    invite = village.kit("core", "invite", "kinamba", home=village.core)
    village.start(village.home, "run")
    village.kit("join", invite["invite"])
    roof = village.kit("device", "add", "roof")
    village.measure(roof, range(5))
    file = village.kit("backup", "--to", str(tmp_path / "stick"))["file"]
    village.kit("messages", "send", "city", "the pump is broken")
    # what follows the backup reaches the core, and dies with the unit
    village.measure(roof, range(5, 10))
    village.batch()
    wait_until(lambda: len(core_values(village.core)) == 10 or None, seconds=90, what="the core has all ten readings")
    wait_until(village.all_accepted, seconds=60, what="all is accepted")
    village.power_cut(village.home)
    before = village.records()
    restored = village.kit("restore", file)
    assert Path(restored["set_aside"], "kit.db").exists()
    village.start(village.home, "run")
    village.measure(roof, range(10, 15))
    village.batch()
    wait_until(lambda: len(core_values(village.core)) >= 15 or None, seconds=90, what="the core has the new readings")
    wait_until(village.all_accepted, seconds=60, what="all is accepted again")
    time.sleep(1)
    after = village.records()
    assert core_values(village.core) == [float(value) for value in range(15)]
    ids = Counter((row["origin"], row["epoch"], row["seq"]) for row in after)
    assert max(ids.values()) == 1
    assert {(row["origin"], row["epoch"], row["seq"]) for row in before} <= set(ids)
    assert Counter(row["kind"] for row in after)["message"] == 1
    assert {row["epoch"] for row in after} == {before[0]["epoch"], restored["epoch"]}
