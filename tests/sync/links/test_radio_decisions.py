"""The pure parts of the LoRa link: what waits, whether the radio lives, what a frame costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.clock import ManualClock
from sync.links.air_account import AirAccount
from sync.links.meshtastic import MeshtasticLink
from sync.links.outbox import Outbox, Outgoing
from sync.links.port import FrameTooLarge, LinkError
from sync.links.radio_watch import Pace, RadioWatch
from sync.protocol.airtime import frame_airtime_ms

REAL_TIME = Pace(1.0)


def outgoing(priority: int, frame: bytes = b"x") -> Outgoing:
    return Outgoing(frame, priority, None, 100.0)


def test_two_ordinary_frames_wait_and_an_alert_still_finds_room_in_front() -> None:
    box = Outbox()
    assert box.put(outgoing(4))
    assert box.put(outgoing(2))
    assert not box.put(outgoing(1))
    assert box.put(outgoing(0))
    order = []
    while first := box.first():
        box.remove(first)
        order.append(first.priority)
    assert order == [0, 2, 4]


@given(st.lists(st.integers(0, 5), max_size=40))
def test_the_outbox_never_grows_beyond_its_bounds_and_loses_nothing_it_took(priorities: list[int]) -> None:
    box = Outbox()
    taken = [priority for priority in priorities if box.put(outgoing(priority))]
    assert len(taken) <= 14
    given_out = []
    while first := box.first():
        box.remove(first)
        given_out.append(first.priority)
    assert sorted(given_out) == sorted(taken)


def test_a_radio_is_asked_for_a_sign_of_life_and_gone_after_two_silences() -> None:
    watch = RadioWatch(pace=REAL_TIME, connected_s=0.0)
    assert watch.heartbeat_at() == 45.0
    watch.asked(45.0)
    assert watch.heartbeat_at() == 60.0
    watch.asked(60.0)
    assert not watch.gone(60.0) or watch.gone(90.0)
    assert watch.gone(76.0)


def test_any_word_from_the_radio_ends_the_silence() -> None:
    watch = RadioWatch(pace=REAL_TIME, connected_s=0.0)
    watch.asked(45.0)
    watch.asked(60.0)
    watch.heard(75.0)
    assert not watch.gone(200.0)
    assert watch.heartbeat_at() == 120.0


def test_a_fast_clock_still_leaves_a_radio_real_time_to_answer() -> None:
    watch = RadioWatch(pace=Pace(1 / 1000.0), connected_s=0.0)
    assert watch.heartbeat_at() == 500.0  # half a real second
    watch.asked(500.0)
    assert watch.heartbeat_at() == 1500.0


def test_two_ordinary_frames_in_the_radio_are_enough_but_an_alert_goes_in() -> None:
    watch = RadioWatch(pace=REAL_TIME, connected_s=0.0)
    watch.queue_status(free=16, slots=16, now_s=0.0)
    watch.took()
    assert watch.has_room(priority=2)
    watch.took()
    assert not watch.has_room(priority=2)
    assert watch.has_room(priority=0)


def test_a_queue_that_stays_full_for_minutes_is_stuck() -> None:
    watch = RadioWatch(pace=REAL_TIME, connected_s=0.0)
    watch.queue_status(free=0, slots=16, now_s=0.0)
    watch.queue_status(free=0, slots=16, now_s=299.0)
    assert not watch.stuck(299.0)
    assert watch.stuck(301.0)
    watch.queue_status(free=1, slots=16, now_s=302.0)
    assert not watch.stuck(900.0)


@pytest.mark.parametrize(
    ("firmware", "direct", "bytes_more"), [("2.7.15.567b8ea", False, 0), ("2.8.0.abc", False, 66), ("2.8.0", True, 12)]
)
def test_a_frame_costs_what_the_firmware_adds_to_it(firmware: str, direct: bool, bytes_more: int) -> None:
    account = AirAccount(region="EU_868", preset="LONG_FAST", clock=ManualClock(), firmware=firmware)
    assert account.airtime_ms(100, direct=direct) == frame_airtime_ms(100 + bytes_more, "LONG_FAST")


def test_a_ledger_from_before_a_reboot_ages_by_the_wall_clock_only_if_that_is_trusted(tmp_path: Path) -> None:
    def account(clock: ManualClock) -> AirAccount:
        return AirAccount(region="UA_868", preset="LONG_FAST", clock=clock, ledger=tmp_path / "ledger.json")

    first = account(ManualClock(at_s=1_000_000.0, boot="one", up_s=5000.0))
    while first.spend(1911.0, priority=4):
        pass
    first.save()
    knows = account(ManualClock(at_s=1_004_000.0, boot="two", up_s=10.0))
    assert knows.has_air()
    does_not = account(ManualClock(at_s=0.0, boot="two", up_s=10.0, trusted=False))
    assert not does_not.has_air()


@pytest.mark.parametrize(
    "ledger", ["", "{", "[]", '{"boot": "x"}', '{"boot":"manual","monotonic_s":0,"spent":[["a"]]}']
)
def test_a_damaged_ledger_is_an_empty_one(tmp_path: Path, ledger: str) -> None:
    file = tmp_path / "ledger.json"
    file.write_text(ledger)
    assert AirAccount(region="EU_868", preset="LONG_FAST", clock=ManualClock(), ledger=file).has_air()


def test_what_is_left_of_the_hour_is_told_where_there_is_a_limit() -> None:
    limited = AirAccount(region="EU_868", preset="LONG_FAST", clock=ManualClock())
    assert limited.left_ms() == 360_000
    limited.spend(1911.0, priority=2)
    assert limited.left_ms() == 358_089
    assert limited.free_percent() == 99
    assert AirAccount(region="US", preset="LONG_FAST", clock=ManualClock()).left_ms() is None


def test_every_hop_spends_the_village_s_air_again_and_the_law_counts_one() -> None:
    account = AirAccount(region="US", preset="SHORT_FAST", clock=ManualClock(), hop_limit=3)
    frames = 0
    while account.spend(1000.0, priority=4):
        frames += 1
    assert frames == 900  # a quarter of the hour: the other three quarters are the repetitions
    assert account.spend(1000.0, priority=0)  # an alert does not ask


def test_the_hops_that_were_heard_are_counted_and_not_those_that_could_be() -> None:
    clock = ManualClock()
    account = AirAccount(region="US", preset="SHORT_FAST", clock=clock, hop_limit=3)
    assert account.hops == 3  # nothing heard yet: the worst is assumed
    account.heard_hops(0)
    assert account.hops == 0
    account.heard_hops(2)
    account.heard_hops(1)
    assert account.hops == 2
    clock.advance(3601)
    assert account.hops == 3


def test_in_europe_the_law_is_stricter_than_the_village_s_air() -> None:
    account = AirAccount(region="EU_868", preset="LONG_FAST", clock=ManualClock(), hop_limit=3)
    frames = 0
    while account.spend(1911.0, priority=4):
        frames += 1
    assert frames == 169


def test_what_the_air_can_still_carry_today_is_told_in_frames_and_bytes() -> None:
    account = AirAccount(region="EU_868", preset="LONG_FAST", clock=ManualClock(), hop_limit=3)
    whole_day, an_hour = account.today(200, hours=24.0), account.today(200, hours=1.0)
    assert an_hour["frames_now"] == an_hour["frames"] == 169
    assert whole_day["frames"] == pytest.approx(24 * 169, abs=24)
    assert whole_day["bytes"] == 200 * whole_day["frames"]
    assert whole_day["alert_frames"] == 18
    for _ in range(100):
        account.spend(1911.0, priority=4)
    assert account.today(200, hours=0.1)["frames"] == 69


def test_both_budgets_survive_a_restart(tmp_path: Path) -> None:
    def account() -> AirAccount:
        return AirAccount(
            region="US", preset="SHORT_FAST", clock=ManualClock(), hop_limit=3, ledger=tmp_path / "ledger.json"
        )

    first = account()
    while first.spend(1000.0, priority=4):
        pass
    first.save()
    assert not account().has_air()


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"region": "EU_868", "preset": "SHORT_TURBO"}, "wider than the band of EU_868"),
        ({"region": "US", "preset": "LONG_FAST"}, "MEDIUM_FAST"),
        ({"region": "EU_868", "preset": "LONG_FAST", "hop_limit": 8}, "0 to 7"),
        ({"region": "EU_868", "preset": "LONG_FAST", "channel": "a long channel name"}, "at most 11 bytes"),
    ],
)
def test_settings_that_no_radio_can_have_are_refused_with_what_would_do(settings: dict[str, Any], hint: str) -> None:
    with pytest.raises(LinkError, match=hint):
        MeshtasticLink(radio="tcp:radio:4403", clock=ManualClock(), **({"hop_limit": 3} | settings))


def test_where_the_law_limits_a_transmission_frames_are_shorter() -> None:
    link = MeshtasticLink(radio="tcp:r:1", clock=ManualClock(), region="US", preset="MEDIUM_FAST", hop_limit=3)
    assert 100 < link.mtu_bytes < 150
    with pytest.raises(FrameTooLarge, match=str(link.mtu_bytes)):
        link.send(bytes(link.mtu_bytes + 1), priority=0)
