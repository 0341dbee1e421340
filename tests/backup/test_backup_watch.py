"""Backups that nobody has to think of: at night, and on a stick that is plugged in for it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from earlier import earlier_backup

from hardware.simulated.sticks import SimulatedSticks
from kit.backup.making import list_backups
from kit.clock import ManualClock
from kit.health.backup_view import backup_problems, backup_row, backup_words
from kit.home import Home
from kit.identity import load_or_create_identity
from kit.run.backups import BackupWatch, nightly_is_due
from kit.run.schema import open_unit_store
from kit.run.unit_process import UnitProcess
from kit.settings import BackupSettings, Settings, UnitSettings

DAY_S = 86_400.0
MIDNIGHT_S = 1_800_057_600.0  # 2027-01-16T00:00Z


def process(home: Home, clock: ManualClock, **settings: Any) -> UnitProcess:
    return UnitProcess(
        home=home,
        settings=Settings(unit=UnitSettings(timezone="UTC"), backup=BackupSettings(**settings)),
        clock=clock,
        identity=load_or_create_identity(home),
        log=logging.getLogger("test"),
    )


def told(home: Home) -> Any:
    with open_unit_store(home) as store:
        return backup_row(store.connection)


@pytest.mark.parametrize(
    ("age_h", "hour", "trusted", "due"),
    [
        (None, 15, False, True),
        (24, 2, True, True),
        (24, 15, True, False),
        (2, 2, True, False),
        (40, 15, True, True),
        (400, 2, False, False),
        (-5, 2, True, False),
    ],
)
def test_a_backup_is_made_at_night_or_made_up_for(age_h: float | None, hour: int, trusted: bool, due: bool) -> None:
    newest_ms = None if age_h is None else int(1e12 - age_h * 3_600_000)
    now = {"now_ms": int(1e12), "newest_ms": newest_ms}
    assert nightly_is_due(**now, hour=hour, wanted_hour=2, trusted=trusted) is due  # type: ignore[arg-type]


def test_a_week_of_nights_keeps_the_newest_three_on_the_second_partition(unit: Home, tmp_path: Path) -> None:
    clock = ManualClock(at_s=MIDNIGHT_S)
    watch = BackupWatch(process(unit, clock, folder=str(tmp_path / "second")), None)
    for _ in range(7 * 24):
        watch.look_at_the_clock()
        clock.advance(3600.0)
    made = list_backups(tmp_path / "second")
    assert len(made) == 3
    assert [round((made[0][1].created_ms - head.created_ms) / 1000 / DAY_S) for _, head in made] == [0, 1, 2]
    assert told(unit)["nightly"]["ok"] is True


def test_a_backup_by_an_earlier_version_is_followed_by_one_that_begins_with_the_small_tables(unit: Home) -> None:
    clock = ManualClock(at_s=MIDNIGHT_S + 12 * 3600)
    watch = BackupWatch(process(unit, clock), None)
    earlier_backup(unit, now_ms=int(clock.now() * 1000) - 3_600_000)
    for _ in range(3):
        watch.look_at_the_clock()
        clock.advance(3600.0)
    assert [head.small_first for _, head in list_backups(unit.backups)] == [True, False]


def test_a_night_that_failed_is_told_and_tried_again_later(unit: Home, tmp_path: Path) -> None:
    (tmp_path / "second").write_text("a file where the partition should be mounted")
    clock = ManualClock(at_s=MIDNIGHT_S)
    watch = BackupWatch(process(unit, clock, folder=str(tmp_path / "second")), None)
    watch.look_at_the_clock()
    assert "FAILED" in backup_words(told(unit), None)[0]
    assert "failed" in backup_problems(told(unit), None)[0]
    (tmp_path / "second").unlink()
    watch.look_at_the_clock()
    assert not told(unit)["nightly"]["ok"]
    clock.advance(3600.0)
    watch.look_at_the_clock()
    assert told(unit)["nightly"]["ok"]


def test_a_stick_gets_one_backup_each_time_it_is_plugged_in(unit: Home, tmp_path: Path) -> None:
    clock = ManualClock(at_s=MIDNIGHT_S)
    place = tmp_path / "sticks"
    watch = BackupWatch(process(unit, clock, keep=1), SimulatedSticks(["KIT-BACKUP"], place))
    watch.look_for_sticks()
    (place / "HOLIDAY-PICS").mkdir(parents=True)
    watch.look_for_sticks()
    assert told(unit) is None
    stick = place / "KIT-BACKUP"
    stick.mkdir()
    for _ in range(3):
        watch.look_for_sticks()
    (first,) = list_backups(stick / "village-kit")
    assert "may be pulled out" in told(unit)["stick"]["sentence"]
    stick.rename(tmp_path / "in a pocket")
    watch.look_for_sticks()
    clock.advance(60.0)
    (tmp_path / "in a pocket").rename(stick)
    watch.look_for_sticks()
    (second,) = list_backups(stick / "village-kit")
    assert second[1].created_ms == first[1].created_ms + 60_000


def test_a_stick_that_is_not_mounted_is_said_and_served_when_it_is(unit: Home, tmp_path: Path) -> None:
    place = tmp_path / "sticks"
    stick = place / "KIT-BACKUP"
    stick.mkdir(parents=True)
    (place / "sticks.json").write_text('{"unmounted": ["KIT-BACKUP"]}')
    watch = BackupWatch(process(unit, ManualClock(at_s=MIDNIGHT_S)), SimulatedSticks(["KIT-BACKUP"], place))
    watch.look_for_sticks()
    assert "not mounted" in told(unit)["stick"]["sentence"]
    (place / "sticks.json").unlink()
    watch.look_for_sticks()
    assert told(unit)["stick"]["ok"]


def test_a_stick_pulled_out_while_it_is_written_costs_that_backup_only(unit: Home, tmp_path: Path) -> None:
    place = tmp_path / "sticks"
    (place / "KIT-BACKUP").mkdir(parents=True)
    (place / "KIT-BACKUP" / "village-kit").write_text("what a stick that fails looks like: no folder can be made")
    watch = BackupWatch(process(unit, ManualClock(at_s=MIDNIGHT_S)), SimulatedSticks(["KIT-BACKUP"], place))
    watch.look_for_sticks()
    assert not told(unit)["stick"]["ok"]
    assert "no backup was made" in told(unit)["stick"]["sentence"]
