"""The simulated air: who hears what, at which cost in time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from hardware.simulated import radio_phy
from hardware.simulated.air import Air, AirFaults, Timetable, Tuning
from sync.protocol import airtime

LONG_FAST = Tuning("EU_868", "LONG_FAST")


@dataclass
class Ear:
    """A station that keeps what it hears."""

    number: int
    tuning: Tuning = LONG_FAST
    heard: list[tuple[Any, float]] = field(default_factory=list)
    heard_by: list[int] = field(default_factory=list)

    def hear(self, packet: Any, now_s: float) -> None:
        self.heard.append((packet, now_s))

    def sent(self, packet: Any, now_s: float, *, heard_by: int) -> None:
        del packet, now_s
        self.heard_by.append(heard_by)


@pytest.fixture
def air() -> Air:
    return Air(timetable=Timetable(), rng=random.Random(3))


def stations(air: Air, count: int) -> list[Ear]:
    ears = [Ear(number) for number in range(count)]
    for ear in ears:
        air.join(ear)
    return ears


@pytest.mark.parametrize(
    ("preset", "data_ms", "acknowledgement_ms"),
    [("LONG_FAST", 1911, 477), ("MEDIUM_FAST", 570, 140), ("SHORT_FAST", 181, 40)],
)
def test_airtime_is_what_was_measured_on_real_presets(preset: str, data_ms: int, acknowledgement_ms: int) -> None:
    modem = radio_phy.PRESETS[preset]
    assert modem.airtime_ms(224) == pytest.approx(data_ms, abs=1.0)
    assert modem.airtime_ms(31) == pytest.approx(acknowledgement_ms, abs=1.0)


@pytest.mark.parametrize("preset", sorted(radio_phy.PRESETS))
def test_the_radio_and_the_kit_agree_on_airtime_without_sharing_a_formula(preset: str) -> None:
    for size in (16, 29, 100, 224, 255):
        assert radio_phy.PRESETS[preset].airtime_ms(size) == pytest.approx(airtime.phy_airtime_ms(size, preset))


def test_the_radio_and_the_kit_agree_on_duty_cycles() -> None:
    for region in {*airtime.DUTY_CYCLE, *radio_phy.DUTY_CYCLE_PERCENT, "US"}:
        assert radio_phy.duty_cycle_percent(region) == pytest.approx(100 * airtime.duty_cycle(region))


def test_a_packet_is_heard_by_everybody_else_when_its_airtime_is_over(air: Air) -> None:
    sender, near, far = stations(air, 3)
    airtime_s = air.transmit(sender, "packet", phy_bytes=224, now_s=10.0)
    air.timetable.run_until(10.0 + airtime_s - 0.001)
    assert near.heard == []
    air.timetable.run_until(99.0)  # a shell that wakes up late changes nothing
    assert near.heard == far.heard == [("packet", 10.0 + airtime_s)]
    assert sender.heard == []
    assert sender.heard_by == [2]


def test_two_at_once_are_heard_by_nobody(air: Air) -> None:
    one, two, listener = stations(air, 3)
    air.transmit(one, "one", phy_bytes=50, now_s=0.0)
    air.transmit(two, "two", phy_bytes=50, now_s=0.1)
    air.timetable.run_until(10.0)
    assert listener.heard == []
    assert air.collisions == 2


def test_a_radio_that_talks_does_not_hear(air: Air) -> None:
    one, two = stations(air, 2)
    air.transmit(one, "long", phy_bytes=224, now_s=0.0)
    air.transmit(two, "short", phy_bytes=20, now_s=0.5)
    air.timetable.run_until(10.0)
    assert one.heard == two.heard == []


def test_listening_before_talking_finds_a_carrier_once_it_is_a_slot_old(air: Air) -> None:
    sender, listener = stations(air, 2)
    airtime_s = air.transmit(sender, "packet", phy_bytes=100, now_s=0.0)
    assert not air.busy_for(listener, 0.005)
    assert air.busy_for(listener, 0.1)
    assert not air.busy_for(listener, airtime_s + 0.001)


def test_radios_on_different_presets_do_not_hear_each_other(air: Air) -> None:
    sender, listener = stations(air, 2)
    listener.tuning = Tuning("EU_868", "SHORT_FAST")
    air.transmit(sender, "packet", phy_bytes=100, now_s=0.0)
    assert not air.busy_for(listener, 0.1)
    air.timetable.run_until(10.0)
    assert listener.heard == []


def test_a_radio_without_antenna_is_alone(air: Air) -> None:
    sender, listener = stations(air, 2)
    air.faults = AirFaults(unplugged=frozenset({1}))
    air.transmit(sender, "packet", phy_bytes=100, now_s=0.0)
    air.timetable.run_until(10.0)
    assert listener.heard == []
    assert sender.heard_by == [0]


def test_loss_takes_the_share_it_was_told(air: Air) -> None:
    sender, listener = stations(air, 2)
    air.faults = AirFaults(loss=0.3)
    for number in range(1000):
        air.transmit(sender, number, phy_bytes=20, now_s=number * 10.0)
    air.timetable.run_until(1e6)
    assert 640 < len(listener.heard) < 760


def test_duplicates_and_late_packets_come_on_request(air: Air) -> None:
    sender, listener = stations(air, 2)
    air.faults = AirFaults(duplicate=0.2, reorder=0.2)
    for number in range(200):
        air.transmit(sender, number, phy_bytes=224, now_s=number * 2.0)
    air.timetable.run_until(1e6)
    order = [packet for packet, _ in listener.heard]
    assert set(order) == set(range(200))
    assert 220 < len(order) < 270
    first_seen = list(dict.fromkeys(order))
    assert first_seen != sorted(first_seen)


def test_the_channel_is_as_busy_as_the_last_minute_was(air: Air) -> None:
    (sender,) = stations(air, 1)
    airtime_s = air.transmit(sender, "packet", phy_bytes=224, now_s=100.0)
    assert air.utilisation(LONG_FAST, 110.0) == pytest.approx(airtime_s / 60.0)
    assert air.utilisation(LONG_FAST, 200.0) == 0.0
