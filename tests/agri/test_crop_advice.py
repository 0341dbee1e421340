from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.model.forecast import NightForecast
from village_apps.agri.advice import Level, degrees, judge_night, killed_share, out_of_ten, steps_left
from village_apps.agri.crops import CROPS, Crop, Stage, celsius, find_crop
from village_apps.phrases import Phrases
from village_apps.web.trial import EVENING_S, HOUR_MS, frosty_night

NOW_MS = int(EVENING_S * 1000)
STAGES = [(crop, stage) for crop in CROPS for stage in crop.stages]
ENGLISH = Phrases({})


def stage_of(crop_key: str, stage_key: str) -> tuple[Crop, Stage]:
    crop = find_crop(crop_key)
    assert crop is not None
    stage = crop.stage(stage_key)
    assert stage is not None
    return crop, stage


def night(tmin_c: float, spread_c: float = 1.0) -> NightForecast:
    return frosty_night(NOW_MS, tmin_c=tmin_c, spread_c=spread_c)


def test_an_apple_in_full_bloom_begins_to_die_at_28_fahrenheit() -> None:
    _, bloom = stage_of("apple", "full-bloom")
    assert bloom.t10_c == pytest.approx(-2.22, abs=0.005)
    assert bloom.t90_c == pytest.approx(-3.89, abs=0.005)


@pytest.mark.parametrize(("crop", "stage"), STAGES, ids=lambda value: value.key)
def test_the_curve_passes_through_both_published_points(crop: Crop, stage: Stage) -> None:
    assert stage.t90_c < stage.t10_c
    assert killed_share(stage, stage.t10_c) == pytest.approx(0.1)
    assert killed_share(stage, stage.t90_c) == pytest.approx(0.9)


@pytest.mark.parametrize("crop", CROPS, ids=lambda crop: crop.key)
def test_no_crop_gets_hardier_as_it_flowers(crop: Crop) -> None:
    t10s = [stage.t10_c for stage in crop.stages]
    assert t10s == sorted(t10s)


@given(place=st.sampled_from(STAGES), colder=st.floats(-60, 60), warmer=st.floats(-60, 60))
def test_a_colder_night_never_kills_less(place: tuple[Crop, Stage], colder: float, warmer: float) -> None:
    _, stage = place
    low, high = sorted((colder, warmer))
    assert 0.0 <= killed_share(stage, high) <= killed_share(stage, low) <= 1.0


@given(place=st.sampled_from(STAGES), tmin_c=st.floats(-25, 15), spread_c=st.floats(0.1, 5))
def test_every_night_gets_a_verdict_that_fits_its_numbers(
    place: tuple[Crop, Stage], tmin_c: float, spread_c: float
) -> None:
    crop, stage = place
    forecast = night(tmin_c, spread_c)
    verdict = judge_night(forecast, crop, stage)
    assert verdict.killed_warm <= verdict.killed <= verdict.killed_cold
    assert (verdict.level is Level.SAFE) == (forecast.tmin_p10_c > stage.t10_c)
    assert bool(verdict.steps) == (verdict.level is not Level.SAFE)
    assert verdict.start_ms is None or forecast.sunset_ms <= verdict.start_ms <= forecast.sunrise_ms
    assert "%(" not in ENGLISH.say("en", verdict.sentence) + ENGLISH.say("en", verdict.detail)


def test_a_night_that_just_touches_the_threshold_has_no_hour_to_begin_at() -> None:
    verdict = judge_night(night(-5e-324, 1.0), *stage_of("potato", "leaves"))
    assert (verdict.level, verdict.start_ms) == (Level.HARM, None)


def test_a_mild_night_is_safe_and_asks_for_nothing() -> None:
    verdict = judge_night(night(4.0), *stage_of("apple", "full-bloom"))
    assert verdict.level is Level.SAFE
    assert ENGLISH.say("en", verdict.sentence) == "Tonight is not cold enough to hurt this crop."


def test_a_night_that_may_be_too_cold_asks_to_be_ready() -> None:
    assert judge_night(night(-1.5), *stage_of("apple", "full-bloom")).level is Level.CARE


def test_a_cold_night_says_how_many_of_ten_flowers_die() -> None:
    verdict = judge_night(night(-3.0), *stage_of("apple", "full-bloom"))
    assert verdict.level is Level.HARM
    assert ENGLISH.say("en", verdict.sentence) == "If you do nothing, tonight will kill about 5 of every 10 flowers."


def test_a_night_beyond_t90_says_that_nearly_all_die() -> None:
    verdict = judge_night(night(-6.0), *stage_of("apple", "full-bloom"))
    assert verdict.level is Level.SEVERE
    assert ENGLISH.say("en", verdict.sentence) == "If you do nothing, tonight will kill nearly all flowers."


def test_the_same_night_spares_buds_that_are_still_closed() -> None:
    assert judge_night(night(-3.0), *stage_of("apple", "silver-tip")).level is Level.SAFE


def test_protection_starts_before_the_threshold_is_reached_where_the_crop_is_tenderer() -> None:
    forecast = night(-2.5)
    assert forecast.expected_below_ms is not None
    verdict = judge_night(forecast, *stage_of("potato", "leaves"))
    assert verdict.start_ms is not None
    # at 0 °C potato leaves begin to die; protection starts at +1 °C, which comes earlier
    assert forecast.sunset_ms < verdict.start_ms < forecast.expected_below_ms


def test_when_the_forecast_names_no_hour_none_is_invented() -> None:
    forecast = replace(night(-2.5), expected_below_ms=None)
    verdict = judge_night(forecast, *stage_of("potato", "leaves"))
    assert verdict.start_ms is None
    assert [step.by_ms for step in verdict.steps if step.by_ms] == [forecast.sunset_ms] * 2


def test_after_sunset_nobody_is_told_to_water_cold_soil() -> None:
    forecast = night(-2.5)
    steps = judge_night(forecast, *stage_of("potato", "leaves")).steps
    before = [step.picture for step in steps_left(steps, forecast.sunset_ms - 1)]
    after = [step.picture for step in steps_left(steps, forecast.sunset_ms)]
    assert before == ["water", *after]
    assert "cover" in after


def test_low_crops_are_covered_and_trees_are_not() -> None:
    potato = judge_night(night(-2.0), *stage_of("potato", "leaves"))
    pear = judge_night(night(-4.0), *stage_of("pear", "full-bloom"))
    assert "cover" in [step.picture for step in potato.steps]
    assert "cover" not in [step.picture for step in pear.steps]


def test_numbers_are_written_as_people_read_them() -> None:
    assert [degrees(value) for value in (-1.49, -0.04, 0.0, 12.0)] == [
        "−1.5\xa0°C",
        "0.0\xa0°C",
        "0.0\xa0°C",
        "12.0\xa0°C",
    ]
    assert [out_of_ten(share) for share in (0.0, 0.04, 0.05, 0.5, 0.96)] == [0, 0, 1, 5, 10]
    assert celsius(32) == 0
    assert HOUR_MS == 3_600_000
