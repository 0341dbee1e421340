"""The clock that all processes of a unit share through one file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kit.clock import AcceleratedClock, FaultyMachine, ManualClock, accelerate, open_clock
from kit.home import Home
from kit.timekeeping import Report, hear
from kit.unit_clock import UnitClock, describe_clock, open_kept_clock, open_unit_clock

NOW = 1_795_000_000.0


def _machine(**changes: object) -> ManualClock:
    told: dict[str, object] = {"at_s": NOW, "trusted": False, "boot": "a", "up_s": 30.0, **changes}
    return ManualClock(**told)  # type: ignore[arg-type]  # the test's own values


def _trust(clock: UnitClock, wall_s: float) -> None:
    with clock.keep() as write:
        write(hear(clock.state, Report(source="gps", who="g", wall_s=wall_s, monotonic_s=clock.monotonic())))


def test_every_process_sees_a_change_within_a_moment(tmp_path: Path) -> None:
    file, machine = tmp_path / "run" / "time.json", _machine()
    mine, theirs = UnitClock(machine, file), UnitClock(machine, file)
    assert theirs.now() == NOW
    _trust(mine, NOW + 3600)
    machine.advance(0.25)
    assert theirs.now() == pytest.approx(NOW + 3600.25)
    assert theirs.trusted


def test_the_machines_clock_may_jump_and_the_kits_does_not(tmp_path: Path) -> None:
    machine = _machine()
    clock = UnitClock(machine, tmp_path / "time.json")
    _trust(clock, NOW)
    machine.at_s = 0.0
    machine.advance(10.0)
    assert clock.now() == pytest.approx(NOW + 10)


def test_trust_ends_with_the_boot_and_the_time_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "time.json"
    _trust(UnitClock(_machine(), file), NOW)
    after = UnitClock(_machine(at_s=5.0, boot="b", up_s=5.0), file)
    assert not after.trusted
    assert after.now() > NOW
    assert describe_clock(after)["source"] == "none"


def test_a_damaged_file_costs_the_trust_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "time.json"
    _trust(UnitClock(_machine(), file), NOW)
    whole = json.loads(file.read_text())
    for damage in (
        "{",
        "[]",
        json.dumps({"boot": "a", "offset_s": "x", "source": "gps"}),
        json.dumps({"boot": 1}),
        json.dumps(whole | {"shown_s": None}),
    ):
        file.write_text(damage)
        clock = UnitClock(_machine(), file)
        assert clock.now() == NOW
        assert not clock.trusted


def test_the_first_process_of_a_boot_writes_down_what_all_go_by(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    clock = open_kept_clock(home, floor_s=lambda: NOW + 9e8)  # the store knows a later time than this machine
    assert (home.run / "time.json").exists()
    assert open_unit_clock(home).now() == pytest.approx(clock.now(), abs=1.0)


def test_a_simulation_keeps_its_own_time(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    accelerate(home.clock_file, start_s=NOW, speed=100.0)
    assert isinstance(open_kept_clock(home, floor_s=lambda: 0.0), AcceleratedClock)


def test_a_faulty_machine_is_what_its_file_says_at_any_moment(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    file.write_text(json.dumps({"boot": boot, "pid": os.getpid(), "wrong_by_s": -1e9, "boot_name": "x"}))
    machine = open_clock(file)
    assert isinstance(machine, FaultyMachine)
    before = machine.now()
    assert (machine.boot, machine.trusted, machine.firm) == ("x", False, False)
    file.write_text(json.dumps({"boot": boot, "pid": os.getpid(), "wrong_by_s": 0.0, "synchronised": True}))
    assert machine.now() - before == pytest.approx(1e9, abs=60)
    assert machine.trusted
