"""How long something still lasts, on machines whose clock is wrong."""

from __future__ import annotations

import pytest

from kit.broker.protocol.lifetimes import Instant, Life

BEFORE = Instant(1_700_000_000_000, 100.0, "first boot")


def test_within_one_boot_only_the_steady_clock_counts() -> None:
    life = Life(60, BEFORE)
    ten_years_ahead = Instant(2_000_000_000_000, 130.5, "first boot")
    assert life.carried_over(ten_years_ahead) is life
    assert life.left_s(ten_years_ahead) == 30
    assert not life.is_over(ten_years_ahead)
    assert life.is_over(Instant(0, 160.0, "first boot"))
    assert life.left_s(Instant(0, 999.0, "first boot")) == 0


@pytest.mark.parametrize(
    ("now", "left_s"),
    [
        (Instant(1_700_000_020_000, 5.0, "second boot"), 40),
        (Instant(1_700_000_900_000, 5.0, "second boot"), 0),
        (Instant(1_600_000_000_000, 5.0, "second boot"), 60),  # the clock went back: nothing is known to have passed
        (Instant(1_700_000_900_000, 5.0, "second boot", trusted=False), 60),
    ],
)
def test_across_a_restart_of_the_machine_only_trusted_time_counts(now: Instant, left_s: int) -> None:
    assert Life(60, BEFORE).carried_over(now).left_s(now) == left_s


def test_a_life_that_began_before_the_clock_was_set_does_not_end_by_setting_it() -> None:
    unset = Instant(5_000, 100.0, "first boot", trusted=False)
    now = Instant(1_700_000_000_000, 20.0, "second boot")
    assert Life(60, unset).carried_over(now).left_s(now) == 60
