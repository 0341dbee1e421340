"""A day's bytes on the mobile network, and who stops first when they run out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from kit.clock import ManualClock
from sync.links.data_budget import SHARES, DataBudget

NOON_S = 1_461_412_800.0  # 2016-04-23T12:00:00Z
NAIROBI = ZoneInfo("Africa/Nairobi")


def day(now_s: float) -> str:
    return datetime.fromtimestamp(now_s, NAIROBI).date().isoformat()


def budget(daily_bytes: int = 100_000, ledger: Path | None = None, clock: ManualClock | None = None) -> DataBudget:
    return DataBudget(daily_bytes, clock or ManualClock(at_s=NOON_S), day, ledger=ledger)


def test_without_a_limit_everything_goes_and_is_counted() -> None:
    metered = budget(0)
    metered.count(10**9, 5)
    assert metered.lowest_priority() == 5
    assert metered.allows(10**9, priority=5)
    assert metered.explain() == ""
    assert metered.facts()["used_bytes"] == 10**9


def test_the_less_urgent_stop_first_and_alarms_and_receipts_never() -> None:
    metered = budget()
    allowed = []
    for _ in range(101):
        allowed.append(metered.lowest_priority())
        metered.count(1000, 4)
    assert allowed[0] == 5
    assert allowed.index(4) == 60
    assert allowed.index(3) == 85
    assert allowed.index(2) == 95
    assert allowed[100] == 1
    assert metered.allows(10**6, priority=0)
    assert metered.allows(10**6, priority=1)
    assert not metered.allows(1, priority=2)


@pytest.mark.parametrize(("priority", "share"), SHARES.items())
def test_a_frame_that_would_go_over_the_share_does_not_go(priority: int, share: float) -> None:
    metered = budget()
    metered.count(int(100_000 * share) - 500, priority)
    assert metered.allows(500, priority=priority)
    assert not metered.allows(501, priority=priority)


def test_what_is_left_but_too_little_for_a_frame_counts_as_used_up_until_midnight() -> None:
    clock = ManualClock(at_s=NOON_S)
    metered = budget(clock=clock)
    metered.count(98_000, 2)
    assert metered.lowest_priority() == 2
    assert not metered.allows(3000, priority=2)
    assert metered.lowest_priority() == metered.facts()["lowest_priority"] == 1
    clock.at_s += 86_400
    assert metered.lowest_priority() == 5
    metered.count(80_000, 2)
    assert not metered.allows(60_000, priority=2)
    assert metered.lowest_priority() == 4, "there is room for all but a very large frame"


def test_the_day_turns_at_midnight_in_the_village() -> None:
    clock = ManualClock(at_s=NOON_S)
    metered = budget(clock=clock)
    metered.count(100_000, 5)
    clock.advance(8.9 * 3600)  # 23:54 in Nairobi
    assert metered.lowest_priority() == 1
    clock.advance(0.2 * 3600)
    assert metered.lowest_priority() == 5
    assert metered.used == 0


def test_what_was_used_is_remembered_over_a_restart(tmp_path: Path) -> None:
    first = budget(ledger=tmp_path / "data.json")
    first.count(90_000, 4)
    first.save()
    again = budget(ledger=tmp_path / "data.json")
    assert again.lowest_priority() == 3
    assert again.explain() == "90 kB of today's 100 kB are used"


def test_a_crash_forgets_at_most_half_a_minute(tmp_path: Path) -> None:
    clock = ManualClock(at_s=NOON_S)
    first = budget(ledger=tmp_path / "data.json", clock=clock)
    for _ in range(10):
        clock.advance(31.0)
        first.count(1_000, 4)
    assert budget(ledger=tmp_path / "data.json").used == 10_000


@pytest.mark.parametrize("text", ["", "{", '{"day": 3}', '{"day": "x", "used": {"4": "many"}}', "[]"])
def test_a_damaged_ledger_counts_from_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.json").write_text(text)
    assert budget(ledger=tmp_path / "data.json").used == 0
