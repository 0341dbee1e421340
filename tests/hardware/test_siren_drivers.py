"""What is peculiar to each siren."""

from __future__ import annotations

from pathlib import Path

import pytest
from gpiozero.pins.mock import MockFactory

from hardware.drivers.siren_gpio import GpioSiren
from hardware.ports import HardwareError
from hardware.simulated.siren import SimulatedSiren
from kit.clock import ManualClock, SystemClock


def test_another_process_sees_the_simulated_siren_sound(tmp_path: Path) -> None:
    clock = ManualClock(at_s=1000)
    SimulatedSiren(tmp_path / "siren.json", clock).sound(60)
    watcher = SimulatedSiren(tmp_path / "siren.json", clock)
    assert watcher.sounding
    assert watcher.state().times == 1
    clock.advance(61)
    assert not watcher.sounding


def test_a_broken_relay_says_what_to_check(tmp_path: Path) -> None:
    siren = SimulatedSiren(tmp_path / "siren.json", ManualClock())
    siren.break_relay()
    with pytest.raises(HardwareError, match="check the relay's lead"):
        siren.sound(1)
    siren.mend_relay()
    siren.sound(1)
    assert siren.sounding


def test_a_damaged_state_file_means_silence(tmp_path: Path) -> None:
    (tmp_path / "siren.json").write_text("{not json")
    assert not SimulatedSiren(tmp_path / "siren.json", ManualClock(at_s=5)).sounding


def test_the_pin_goes_high_and_low() -> None:
    factory = MockFactory()
    pin = factory.pin(17)
    with GpioSiren(17, SystemClock(), pin_factory=factory) as siren:
        siren.sound(60)
        assert pin.state
        siren.silence()
        assert not pin.state
        siren.sound(60)
    assert not pin.state


def test_a_relay_that_closes_on_low_rests_high() -> None:
    factory = MockFactory()
    with GpioSiren(17, SystemClock(), active_high=False, pin_factory=factory) as siren:
        assert factory.pin(17).state
        siren.sound(60)
        assert not factory.pin(17).state


def test_a_pin_the_board_does_not_have_says_which_setting_to_check() -> None:
    with pytest.raises(HardwareError, match=r"check \[siren\] driver"):
        GpioSiren(99, SystemClock(), pin_factory=MockFactory()).sound(1)


def test_making_a_siren_touches_no_pin() -> None:
    GpioSiren(99, SystemClock(), pin_factory=MockFactory())
