"""What every siren keeps to, the real one (on gpiozero's mock pins) and the simulated one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hardware.drivers.siren_gpio import GpioSiren
from hardware.ports import Siren
from hardware.simulated.siren import SimulatedSiren

gpiozero = pytest.importorskip("gpiozero")


class FastClock:
    """Twenty kit seconds pass in a real one."""

    speed = 20.0

    def now(self) -> float:
        return time.time() * self.speed

    def monotonic(self) -> float:
        return time.monotonic() * self.speed

    def sleep(self, seconds: float) -> None:
        time.sleep(self.real(seconds))

    def real(self, seconds: float) -> float:
        return seconds / self.speed


@pytest.fixture(params=["gpio", "simulated"])
def siren(request: Any, tmp_path: Path) -> Iterator[Siren]:
    if request.param == "simulated":
        yield SimulatedSiren(tmp_path / "siren.json", FastClock())
        return
    from gpiozero.pins.mock import MockFactory

    factory = MockFactory()
    with GpioSiren(17, FastClock(), pin_factory=factory) as opened:
        yield opened
    factory.reset()


def _within(seconds: float, true: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.005)
    return true()


def test_it_is_silent_at_first(siren: Siren) -> None:
    assert not siren.sounding


def test_it_sounds_at_once_and_the_caller_need_not_wait(siren: Siren) -> None:
    started = time.monotonic()
    siren.sound(60)
    assert time.monotonic() - started < 1
    assert siren.sounding


def test_it_falls_silent_by_itself_in_kit_time(siren: Siren) -> None:
    siren.sound(4)
    assert _within(20, lambda: not siren.sounding)


def test_sounding_again_extends_it(siren: Siren) -> None:
    siren.sound(2)
    siren.sound(60)
    time.sleep(0.2)
    assert siren.sounding


def test_a_shorter_second_sounding_does_not_cut_the_first_short(siren: Siren) -> None:
    siren.sound(60)
    siren.sound(1)
    time.sleep(0.2)
    assert siren.sounding


def test_it_can_be_silenced_at_once(siren: Siren) -> None:
    siren.sound(60)
    siren.silence()
    assert not siren.sounding


def test_silencing_a_silent_siren_does_nothing(siren: Siren) -> None:
    siren.silence()
    assert not siren.sounding


def test_it_sounds_again_after_it_was_silenced(siren: Siren) -> None:
    siren.sound(60)
    siren.silence()
    siren.sound(60)
    assert siren.sounding


def test_a_relay_that_does_not_switch_off_is_tried_again() -> None:
    from gpiozero.pins.mock import MockFactory, MockPin

    class StickyPin(MockPin):  # type: ignore[misc]  # gpiozero ships no type information
        tries_in_vain = 0

        def _set_state(self, value: bool) -> None:
            if not value and StickyPin.tries_in_vain:
                StickyPin.tries_in_vain -= 1
                raise OSError("input/output error")
            super()._set_state(value)

    factory = MockFactory(pin_class=StickyPin)
    with GpioSiren(17, FastClock(), pin_factory=factory) as siren:
        siren.sound(2)
        StickyPin.tries_in_vain = 2
        assert _within(10, lambda: not siren.sounding)
        assert StickyPin.tries_in_vain == 0
    factory.reset()
