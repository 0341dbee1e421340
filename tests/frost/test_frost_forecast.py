from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.errors import UsageError
from village_apps.frost.backtest import backtest, forecasts_as_csv, walk
from village_apps.frost.forecaster import REMEMBER_S, SiteForecaster
from village_apps.frost.place import NoNightError, Place, night_at, night_of
from village_apps.frost.prior import load_prior
from village_apps.frost.series import Observation, Series
from village_apps.frost.verdict import Rule, is_over, should_warn

HOUR = 3600


def rows_before(text: str, issued_s: float) -> list[str]:
    stamp = datetime.fromtimestamp(issued_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [line for line in text.splitlines()[1:] if line.split(",", 1)[0] <= stamp]


@pytest.fixture(scope="session")
def whole(shasta: Place, recorded: list[Observation]) -> str:
    return forecasts_as_csv(walk(recorded, place=shasta, prior=load_prior(), rule=Rule()))


@settings(max_examples=12, deadline=None)
@given(hour=st.integers(100, 1300))
def test_what_comes_later_changes_nothing_that_was_said(
    hour: int, shasta: Place, recorded: list[Observation], whole: str
) -> None:
    cut = recorded[:hour]
    again = forecasts_as_csv(walk(cut, place=shasta, prior=load_prior(), rule=Rule()))
    assert again.splitlines()[1:] == rows_before(whole, cut[-1].at_s)


@settings(max_examples=8, deadline=None)
@given(hour=st.integers(100, 1300), nonsense=st.floats(-90, 90))
def test_nonsense_in_the_future_changes_nothing_either(
    hour: int, nonsense: float, shasta: Place, recorded: list[Observation], whole: str
) -> None:
    spoilt = [*recorded[:hour], *(replace(one, temperature_c=nonsense) for one in recorded[hour:])]
    again = forecasts_as_csv(walk(spoilt, place=shasta, prior=load_prior(), rule=Rule()))
    until = recorded[hour - 1].at_s
    assert rows_before(again, until) == rows_before(whole, until)


def test_readings_one_by_one_and_all_at_once_give_the_same_forecasts(
    shasta: Place, recorded: list[Observation]
) -> None:
    slowly, at_once = (SiteForecaster(shasta, load_prior()) for _ in range(2))
    said = [one for row in recorded[:400] for one in slowly.advance([row], until_s=row.at_s)]
    assert said == at_once.advance(recorded[:400], until_s=recorded[399].at_s)


def test_who_forgets_all_but_the_last_days_says_the_same_as_who_remembers_everything(
    shasta: Place, recorded: list[Observation]
) -> None:
    """With a gap longer than what is remembered, after which nothing of before is left but what was learned."""
    gap = [row for number, row in enumerate(recorded) if not 700 <= number < 1000]
    for rows in (recorded, gap):
        knows_all = SiteForecaster(shasta, load_prior())
        forgets = SiteForecaster(shasta, load_prior(), remember_s=REMEMBER_S)
        until_s = rows[-1].at_s
        assert forgets.advance(rows, until_s=until_s) == knows_all.advance(rows, until_s=until_s)
        held = len(forgets.series.temperature)
        assert held <= 2 * REMEMBER_S / HOUR + 1 < len(knows_all.series.temperature)


def test_a_sensor_that_shows_noise_every_minute_for_three_months_fills_no_memory() -> None:
    series = Series(remember_s=REMEMBER_S)
    for minute in range(90 * 24 * 60):
        noise = math.sin(minute * 12.9898) * 43758.5453 % 1
        series.append(Observation(at_s=minute * 60.0, temperature_c=5 + 9 * math.sin(minute / 229) + noise))
    assert len(series.temperature) <= 2 * REMEMBER_S / 60 + 1
    assert len(series._values) <= 2_001, "at most one for each hundredth of a degree"
    assert series.boundary_c(5.0) == pytest.approx(5.0, abs=0.01)


def test_every_night_is_forecast_hourly_from_three_in_the_afternoon_to_sunrise(
    shasta: Place, recorded: list[Observation]
) -> None:
    issued = walk(recorded, place=shasta, prior=load_prior(), rule=Rule())
    night = [one.forecast for one in issued if one.forecast.night.date == date(2015, 4, 3)]
    assert shasta.local(night[0].issued_s).strftime("%H:%M") == "15:00"
    assert {b.issued_s - a.issued_s for a, b in pairwise(night)} == {HOUR}
    assert 0 <= night[-1].hours_to_sunrise < 1
    assert all(one.tmin_p10_c <= one.tmin_c <= one.tmin_p90_c for one in night)
    assert all(one.tmin_p90_c <= one.temperature_c for one in night)


def test_the_shipped_night_is_warned_of_at_least_two_hours_before_it_freezes(
    shasta: Place, recorded: list[Observation]
) -> None:
    issued = walk(recorded, place=shasta, prior=load_prior(), rule=Rule())
    raised = next(one.forecast.issued_s for one in issued if one.alert and one.forecast.night.date == date(2015, 4, 3))
    froze = next(
        one.at_s for one in recorded if one.at_s > raised and one.temperature_c is not None and one.temperature_c <= 0
    )
    assert froze - raised >= 3 * HOUR


def test_a_warning_stands_until_the_sun_has_warmed_the_air(shasta: Place, recorded: list[Observation]) -> None:
    issued = walk(recorded, place=shasta, prior=load_prior(), rule=Rule())
    night = [one.alert for one in issued if one.forecast.night.date == date(2015, 4, 3)]
    assert night == sorted(night)
    assert night[-1]


@pytest.mark.parametrize("lost", ["dew_point_c", "wind_ms", "sky_oktas", "pressure_hpa", "everything"])
def test_no_sensor_but_the_thermometer_is_needed(lost: str, shasta: Place, recorded: list[Observation]) -> None:
    if lost == "everything":
        bare = [Observation(at_s=one.at_s, temperature_c=one.temperature_c) for one in recorded]
    else:
        bare = [replace(one, **{lost: None}) for one in recorded]  # type: ignore[arg-type]
    issued, scores = backtest(bare, place=shasta, prior=load_prior(), rule=Rule())
    assert len(issued) > 800
    assert scores.rmse_c is not None
    assert scores.rmse_c < 2.6
    assert all(math.isfinite(one.forecast.tmin_c) for one in issued)


def test_a_spike_does_not_move_the_forecast(shasta: Place, recorded: list[Observation]) -> None:
    spoilt = list(recorded)
    at = next(i for i, one in enumerate(spoilt) if one.at_s >= datetime(2015, 4, 3, 5, tzinfo=UTC).timestamp())
    spoilt[at] = replace(spoilt[at], temperature_c=-39.0)
    until = spoilt[at].at_s
    good, bad = SiteForecaster(shasta, load_prior()), SiteForecaster(shasta, load_prior())
    before = good.advance(recorded[: at + 1], until_s=until)[-1]
    after = bad.advance(spoilt[: at + 1], until_s=until)[-1]
    assert after.temperature_c == recorded[at - 1].temperature_c
    assert abs(after.tmin_c - before.tmin_c) < 2


def test_a_front_is_believed_as_soon_as_the_next_reading_confirms_it() -> None:
    series = Series([Observation(at_s=h * HOUR, temperature_c=t) for h, t in enumerate((20.0, 20.0, 5.0, 4.0))])
    assert [value for _, value in series.temperature.pairs(0, 9e9)] == [20.0, 20.0, 5.0, 4.0]
    series = Series(
        [Observation(at_s=h * HOUR, temperature_c=t) for h, t in enumerate((20.0, 85.0, 19.0, -127.0, 18.0))]
    )
    assert [value for _, value in series.temperature.pairs(0, 9e9)] == [20.0, 19.0, 18.0]


def test_a_thermometer_that_stands_still_for_a_day_is_no_longer_believed() -> None:
    series = Series(Observation(at_s=h * HOUR, temperature_c=3.0) for h in range(48))
    assert len(series.temperature) == 19


def test_a_coarse_thermometer_shows_frost_a_little_above_freezing() -> None:
    fahrenheit = Series(Observation(at_s=f * HOUR, temperature_c=round((f - 32) / 1.8, 1)) for f in range(28, 38))
    assert fahrenheit.boundary_c(0.0) == pytest.approx(0.3)
    fine = Series(Observation(at_s=t * HOUR, temperature_c=t / 10) for t in range(-20, 20))
    assert fine.boundary_c(0.0) == pytest.approx(0.05)
    assert Series([Observation(at_s=0, temperature_c=5.0)]).boundary_c(0.0) == 0.0


def test_a_silent_thermometer_gives_no_forecast(shasta: Place, recorded: list[Observation]) -> None:
    silent_from = datetime(2015, 4, 3, 2, tzinfo=UTC).timestamp()
    forecaster = SiteForecaster(shasta, load_prior())
    said = forecaster.advance((one for one in recorded if one.at_s < silent_from), until_s=silent_from + 12 * HOUR)
    assert max(one.issued_s for one in said) <= silent_from + 5 * HOUR
    assert forecaster.forecast_at(silent_from + 8 * HOUR) is None


@given(
    values=st.lists(
        st.one_of(st.none(), st.floats(-150, 150), st.sampled_from([0.0, 85.0, -127.0])), min_size=30, max_size=90
    ),
    step=st.sampled_from([600, 3600, 7000]),
)
@settings(max_examples=30, deadline=None)
def test_whatever_a_sensor_sends_the_forecast_stays_finite(
    values: list[float | None], step: int, shasta: Place
) -> None:
    start = datetime(2015, 3, 1, tzinfo=UTC).timestamp()
    rows = [Observation(at_s=start + i * step, temperature_c=v, dew_point_c=v) for i, v in enumerate(values)]
    for one in SiteForecaster(shasta, load_prior()).advance(rows, until_s=rows[-1].at_s):
        assert math.isfinite(one.tmin_c)
        assert one.tmin_p10_c <= one.tmin_c <= one.tmin_p90_c
        assert 0 <= one.p_frost <= 1


def test_an_early_warning_needs_more_certainty_than_one_at_the_last_moment(
    shasta: Place, recorded: list[Observation]
) -> None:
    one = walk(recorded, place=shasta, prior=load_prior(), rule=Rule())[-1].forecast
    rule = Rule(probability=0.35)
    assert not should_warn(replace(one, temperature_c=9.0, p_frost=0.5), rule)
    assert should_warn(replace(one, temperature_c=9.0, p_frost=0.7), rule)
    assert should_warn(replace(one, temperature_c=2.0, p_frost=0.4), rule)
    assert not is_over(0.2, rule)
    assert is_over(0.8, rule)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"latitude": 91.0}, "latitude 91 is not possible"),
        ({"longitude": 181.0}, "longitude 181 is not possible"),
        ({"elevation_m": 9000.0}, "elevation 9000 is not possible"),
        ({"timezone": "Mars/Olympus"}, "'Mars/Olympus' is no time zone"),
        ({"timezone": "../etc/passwd"}, "is no time zone"),
        ({"longitude": 122.33}, "check its sign"),
    ],
)
def test_a_place_that_cannot_be_is_refused_with_a_reason(
    change: dict[str, object], sentence: str, shasta: Place
) -> None:
    with pytest.raises(UsageError, match=sentence):
        replace(shasta, **change)  # type: ignore[arg-type]


def test_where_the_sun_does_not_set_there_is_no_night() -> None:
    tromso = Place(latitude=69.65, longitude=18.96, elevation_m=10, timezone="Europe/Oslo")
    with pytest.raises(NoNightError, match="does not rise and set"):
        night_of(tromso, date(2015, 6, 21))


def test_the_night_of_a_clock_change_has_an_hour_less(shasta: Place) -> None:
    night = night_of(shasta, date(2015, 3, 8))
    first, last = shasta.local(night.issues()[0]), shasta.local(night.issues()[-1])
    assert first.strftime("%d %H:%M") == "07 15:00"
    assert last.strftime("%d %H") == "08 07"
    assert len(night.issues()) == 16
    assert night_at(shasta, night.sunrise_s + 2 * HOUR).date == date(2015, 3, 9)


@pytest.mark.parametrize(
    ("latitude", "longitude", "zone"),
    [(-0.37, 36.32, "Africa/Nairobi"), (27.7, 85.3, "Asia/Kathmandu"), (-33.4, -70.6, "America/Santiago")],
)
def test_nights_near_the_equator_in_the_south_and_off_the_hour_have_their_sunset_before_their_sunrise(
    latitude: float, longitude: float, zone: str
) -> None:
    place = Place(latitude=latitude, longitude=longitude, elevation_m=1500, timezone=zone)
    for month in range(1, 13):
        night = night_of(place, date(2024, month, 15))
        assert night.first_issue_s < night.sunset_s < night.sunrise_s
        assert 9 < night.length_h < 15
        assert place.local(night.first_issue_s).strftime("%H:%M") == "15:00"
