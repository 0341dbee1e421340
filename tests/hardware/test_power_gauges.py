"""The battery, as the kernel knows it and as simulated."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardware.drivers.power_sysfs import SysfsPower
from hardware.ports import HardwareError, PowerReading
from hardware.simulated.power import SimulatedPower
from kit.clock import ManualClock

MIDNIGHT = 1_460_419_200.0
HOUR = 3600.0


def _supply(folder: Path, name: str, **files: str) -> None:
    (folder / name).mkdir(parents=True)
    for file, text in files.items():
        (folder / name / file).write_text(text + "\n")


def test_a_battery_without_mains_is_read(tmp_path: Path) -> None:
    _supply(tmp_path, "BAT0", type="Battery", capacity="63", status="Discharging")
    _supply(tmp_path, "AC", type="Mains", online="0")
    assert SysfsPower(tmp_path).read() == PowerReading("battery", 63.0, charging=False)


def test_a_battery_on_mains_is_read(tmp_path: Path) -> None:
    _supply(tmp_path, "BAT0", type="Battery", capacity="63", status="Charging")
    _supply(tmp_path, "usb", type="USB", online="1")
    assert SysfsPower(tmp_path).read() == PowerReading("mains", 63.0, charging=True)


def test_of_two_batteries_the_emptiest_counts_and_that_of_a_mouse_does_not(tmp_path: Path) -> None:
    _supply(tmp_path, "BAT0", type="Battery", capacity="90", status="Full")
    _supply(tmp_path, "BAT1", type="Battery", capacity="40", status="Discharging")
    _supply(tmp_path, "mouse", type="Battery", scope="Device", capacity="5")
    assert SysfsPower(tmp_path).read().battery_percent == 40


def test_a_board_without_a_battery_says_so_without_an_error(tmp_path: Path) -> None:
    assert SysfsPower(tmp_path).read() == PowerReading("unknown", None, None)


def test_a_gauge_without_a_level_names_the_lead(tmp_path: Path) -> None:
    _supply(tmp_path, "BAT0", type="Battery", status="Unknown")
    with pytest.raises(HardwareError, match="lead between battery and gauge"):
        SysfsPower(tmp_path).read()


def test_a_missing_directory_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match=r"\[power\] driver"):
        SysfsPower(tmp_path / "none").read()


def _levels(power: SimulatedPower, clock: ManualClock, hours: int) -> list[float]:
    levels = []
    for _ in range(hours):
        level = power.read().battery_percent
        assert level is not None
        levels.append(level)
        clock.advance(HOUR)
    return levels


def test_the_battery_falls_at_night_and_rises_by_day() -> None:
    clock = ManualClock(at_s=MIDNIGHT)
    levels = _levels(SimulatedPower(clock, longitude=0, panel_w=20), clock, 15)
    assert levels[:6] == sorted(levels[:6], reverse=True)
    assert levels[5] < levels[0]
    assert levels[14] > levels[7]


def test_at_noon_it_charges_and_at_midnight_it_does_not() -> None:
    noon = SimulatedPower(ManualClock(at_s=MIDNIGHT + 9 * HOUR), longitude=0).read()
    night = SimulatedPower(ManualClock(at_s=MIDNIGHT), longitude=0).read()
    assert (noon.source, night.source, night.charging) == ("solar", "battery", False)


def test_two_processes_see_the_same_battery() -> None:
    clock = ManualClock(at_s=MIDNIGHT + 3 * HOUR)
    early = SimulatedPower(clock)
    early.read()
    clock.advance(5 * HOUR)
    assert early.read().battery_percent == pytest.approx(SimulatedPower(clock).read().battery_percent, abs=1)


def test_under_thick_cloud_the_battery_runs_empty_but_not_below() -> None:
    clock = ManualClock(at_s=MIDNIGHT)
    power = SimulatedPower(clock)
    power.cloud(1.0)
    assert _levels(power, clock, 60)[-1] == 0


def test_a_gauge_that_does_not_answer_names_its_lead() -> None:
    power = SimulatedPower(ManualClock(at_s=MIDNIGHT))
    power.disconnect_gauge()
    with pytest.raises(HardwareError, match="check the I2C lead"):
        power.read()
    power.reconnect_gauge()
    assert power.read().battery_percent is not None
