"""When the care service looks the store over: after an unclean end, weekly at night, and when somebody met damage."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from stored import measure

from kit.backup import damage
from kit.clock import ManualClock
from kit.errors import NoRoomError
from kit.health.doctor_status import check_damage
from kit.health.status import unit_status
from kit.home import Home
from kit.identity import load_or_create_identity
from kit.run.mending import FACT, StoreChecks
from kit.run.schema import open_unit_store
from kit.run.unit_process import UnitProcess
from kit.settings import Settings, UnitSettings
from kit.store.database import suspect_file
from kit.store.facts import get_fact
from kit.store.table_list import list_file, load_list

NOON_S = 1_800_100_800.0  # 2027-01-16T12:00Z
DAY_S = 86_400.0


def checks(home: Home, clock: ManualClock, *, unclean: bool, load: float = 0.1) -> StoreChecks:
    unit = UnitProcess(
        home=home,
        settings=Settings(unit=UnitSettings(timezone="UTC")),
        clock=clock,
        identity=load_or_create_identity(home),
        log=logging.getLogger("test"),
    )
    return StoreChecks(unit, unclean=unclean, load=lambda: load)


def told(home: Home) -> dict[str, Any]:
    with open_unit_store(home) as store:
        found = get_fact(store.connection, FACT)
    return {} if found is None else found[1]


def test_after_an_unclean_end_the_store_is_looked_over_once(unit: Home) -> None:
    clock = ManualClock(at_s=NOON_S)
    looking = checks(unit, clock, unclean=True)
    for _ in range(3):
        looking.look()
        clock.advance(120.0)
    assert told(unit)["quick"]["problem"] is None
    assert told(unit)["quick"]["at_ms"] == int(NOON_S * 1000)
    assert "full" not in told(unit)


def test_after_a_clean_end_nothing_is_looked_over(unit: Home) -> None:
    checks(unit, ManualClock(at_s=NOON_S), unclean=False).look()
    assert told(unit) == {}


def test_every_week_it_is_looked_over_in_full_at_night(unit: Home) -> None:
    clock = ManualClock(at_s=NOON_S)
    looking = checks(unit, clock, unclean=False)
    times = set()
    for _ in range(24 * 9):
        looking.look()
        clock.advance(3600.0)
        if found := told(unit):
            times.add(found["full"]["at_ms"] / 1000)
    assert [round((at_s - NOON_S) / DAY_S, 2) for at_s in sorted(times)] == [0.54, 7.58]


def test_a_unit_that_is_busy_every_night_is_looked_over_all_the_same_after_ten_days(unit: Home) -> None:
    clock = ManualClock(at_s=NOON_S)
    checks(unit, clock, unclean=True).look()
    looking = checks(unit, clock, unclean=False, load=3.0)
    for _ in range(24 * 9):
        clock.advance(3600.0)
        looking.look()
    assert "full" not in told(unit)
    clock.advance(DAY_S + 3600.0)
    looking.look()
    assert told(unit)["full"]["problem"] is None


def test_damage_that_somebody_met_is_mended_and_the_doctor_says_so(unit: Home) -> None:
    measure(unit, "river", *(float(number) for number in range(5_000)))
    size = unit.database.stat().st_size
    with unit.database.open("r+b") as stream:
        stream.seek(size // 2 // 1024 * 1024)
        stream.write(os.urandom(4096))
    clock = ManualClock(at_s=NOON_S)
    looking = checks(unit, clock, unclean=False)
    looking.look()
    suspect_file(unit.database).touch()
    looking.look()
    assert not suspect_file(unit.database).exists()
    assert told(unit)["quick"]["problem"]
    status = unit_status(unit, Settings(), clock)
    assert [check.ok for check in check_damage(status)] == [True, False]
    assert Path(status["damage"][0]["set_aside"]).is_dir()


def test_a_damaged_store_without_room_to_mend_it_says_what_is_missing_and_is_mended_once_there_is_room(
    unit: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(unit, "river", *(float(number) for number in range(5_000)))
    with unit.database.open("r+b") as stream:
        stream.seek(unit.database.stat().st_size // 2 // 1024 * 1024)
        stream.write(os.urandom(4096))
    clock = ManualClock(at_s=NOON_S)
    looking = checks(unit, clock, unclean=True)
    with monkeypatch.context() as full:
        full.setattr(damage, "free_bytes", lambda _: 1_000)
        with pytest.raises(NoRoomError, match=r"the store is damaged, .* is full: 0\.\d MB are needed to mend it"):
            looking.look()
        looking.look()  # not again and again
    assert any("mended by itself" in each for each in unit_status(unit, Settings(), clock)["problems"])
    assert not unit.set_aside.exists()
    clock.advance(61.0)
    looking.look()
    status = unit_status(unit, Settings(), clock)
    assert not any("mended by itself" in each for each in status["problems"])
    assert len(status["damage"]) == 1


def test_the_copy_of_the_list_of_tables_follows_the_store(unit: Home) -> None:
    clock = ManualClock(at_s=NOON_S)
    looking = checks(unit, clock, unclean=False)
    looking.look()
    first = load_list(list_file(unit.database))
    assert first is not None
    assert "readings" in first.roots()
    with open_unit_store(unit) as store:
        store.connection.execute("CREATE TABLE another (a)")
    clock.advance(120.0)
    looking.look()
    second = load_list(list_file(unit.database))
    assert second is not None
    assert second.roots().keys() - first.roots().keys() == {"another"}
