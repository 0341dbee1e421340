from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.simulated import radio_phy
from sync.protocol.airtime import (
    DUTY_CYCLE,
    PRESETS,
    WINDOW_S,
    AirtimeBudget,
    duty_cycle,
    fits_band,
    frame_airtime_ms,
    largest_frame,
    phy_airtime_ms,
)
from sync.protocol.regions import REGIONS


@pytest.mark.parametrize(("preset", "measured_ms"), [("LONG_FAST", 1911), ("MEDIUM_FAST", 570), ("SHORT_FAST", 181)])
def test_200_bytes_of_data_take_as_long_as_was_measured(preset: str, measured_ms: int) -> None:
    assert phy_airtime_ms(224, preset) == pytest.approx(measured_ms, abs=1.0)
    assert frame_airtime_ms(200, preset) == phy_airtime_ms(224, preset)


@given(preset=st.sampled_from(sorted(PRESETS)), phy_bytes=st.integers(16, 255))
def test_the_kit_and_the_simulated_radio_agree_on_the_physics(preset: str, phy_bytes: int) -> None:
    assert phy_airtime_ms(phy_bytes, preset) == pytest.approx(radio_phy.PRESETS[preset].airtime_ms(phy_bytes))


def test_the_duty_cycle_is_the_regions_and_without_one_all_the_hour_is_free() -> None:
    assert duty_cycle("EU_868") == 0.1
    assert duty_cycle("EU_866") == 0.025
    assert duty_cycle("US") == 1.0
    for region, share in DUTY_CYCLE.items():
        assert radio_phy.duty_cycle_percent(region) == pytest.approx(share * 100)


@given(
    steps=st.lists(st.tuples(st.floats(0, 600), st.floats(30, 4000), st.sampled_from([0, 1, 4])), max_size=200),
    share=st.sampled_from([0.001, 0.01, 0.025]),
)
def test_no_hour_ever_holds_more_airtime_than_the_law_allows(
    steps: list[tuple[float, float, int]], share: float
) -> None:
    budget, now, sent = AirtimeBudget(share), 0.0, []
    for pause_s, airtime_ms, priority in steps:
        now += pause_s
        if budget.spend(airtime_ms, priority=priority, now=now):
            sent.append((now, now + airtime_ms / 1000))
            now += airtime_ms / 1000  # one radio sends one thing at a time
    for hour_begins in [start for start, _ in sent] + [end - WINDOW_S for _, end in sent] + [end for _, end in sent]:
        in_it = sum(max(0.0, min(end, hour_begins + WINDOW_S) - max(start, hour_begins)) for start, end in sent)
        assert in_it <= share * WINDOW_S + 1e-6


def test_when_the_readings_have_used_their_share_an_alert_still_goes() -> None:
    budget = AirtimeBudget(duty_cycle("EU_868"))
    frames = 0
    while budget.spend(1911.0, priority=4, now=frames * 2.0):
        frames += 1
    assert not budget.spend(1911.0, priority=1, now=frames * 2.0)
    alerts = 0
    while budget.spend(1911.0, priority=0, now=frames * 2.0):
        alerts += 1
    assert alerts >= 15


def test_a_ledger_that_was_written_down_goes_on_where_it_stopped() -> None:
    before = AirtimeBudget(0.01)
    assert before.spend(30_000.0, priority=4, now=100.0)
    after = AirtimeBudget(0.01)
    after.restore(before.entries())
    assert after.left_ms(200.0) == before.left_ms(200.0)
    assert after.left_ms(100.0 + WINDOW_S + 31.0) == pytest.approx(32_400.0)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_in_the_us_no_frame_of_a_narrow_signal_is_longer_than_the_fcc_allows(preset: str) -> None:
    size = largest_frame("US", preset, most_bytes=214, extra_bytes=12)
    if PRESETS[preset].bandwidth_khz >= 500.0:
        assert size == 214
    elif size:
        assert frame_airtime_ms(size + 12, preset) <= 400.0
        assert size == 214 or frame_airtime_ms(size + 13, preset) > 400.0
    else:
        assert frame_airtime_ms(13, preset) > 400.0


def test_medium_fast_in_the_us_takes_shorter_frames_and_long_fast_none() -> None:
    assert largest_frame("US", "SHORT_FAST", most_bytes=214) == 214
    assert 100 < largest_frame("US", "MEDIUM_FAST", most_bytes=214) < 214
    assert largest_frame("US", "LONG_FAST", most_bytes=214) == 0
    assert largest_frame("EU_868", "LONG_FAST", most_bytes=214) == 214


def test_a_turbo_preset_is_wider_than_europe_s_band() -> None:
    assert not fits_band("EU_868", "SHORT_TURBO")
    assert fits_band("EU_868", "LONG_FAST")
    assert fits_band("US", "LONG_TURBO")
    assert fits_band("somewhere new", "LONG_TURBO")


def test_every_region_that_a_radio_can_be_set_to_is_known_or_may_send_always() -> None:
    from meshtastic.protobuf import config_pb2

    names = set(config_pb2.Config.LoRaConfig.RegionCode.keys())
    assert set(REGIONS) <= names
    assert all(region.from_mhz < region.to_mhz and 0 < region.duty <= 1 for region in REGIONS.values())
