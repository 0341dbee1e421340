from __future__ import annotations

import pytest

from hardware.ports import HardwareError
from hardware.simulated.weather_station import SimulatedWeatherStation
from kit.clock import ManualClock
from kit.weather_file import WeatherRow

HOUR = 3600


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(at_s=10 * HOUR)


@pytest.fixture
def station(clock: ManualClock) -> SimulatedWeatherStation:
    rows = [
        WeatherRow(at_s=h * HOUR, air_temp_c=20.0 - h, dew_point_c=0.0, wind_dir_deg=10.0 * h) for h in range(9, 14)
    ]
    rows[2] = WeatherRow(at_s=11 * HOUR)
    return SimulatedWeatherStation(rows, clock)


def temperature(station: SimulatedWeatherStation, at_s: float | None = None) -> float:
    return next(one.value for one in station.measure(at_s) if one.quantity == "temperature")


def test_between_two_hours_it_measures_what_lies_between_even_across_a_missing_hour(
    station: SimulatedWeatherStation,
) -> None:
    assert temperature(station) == 10.0
    assert temperature(station, 10.5 * HOUR) == 9.5
    assert temperature(station, 11 * HOUR) == 9.0


def test_a_direction_is_not_blended(station: SimulatedWeatherStation) -> None:
    values = {one.quantity: one.value for one in station.measure(9.9 * HOUR)}
    assert values["wind_direction"] == 90.0


def test_outside_the_recording_nothing_is_made_up(station: SimulatedWeatherStation) -> None:
    assert station.measure(8 * HOUR) == ()
    assert station.measure(14 * HOUR) == ()


def test_across_a_long_gap_nothing_is_made_up(clock: ManualClock) -> None:
    rows = [WeatherRow(at_s=0, air_temp_c=1.0), WeatherRow(at_s=10 * HOUR, air_temp_c=2.0)]
    assert SimulatedWeatherStation(rows, clock).measure(5 * HOUR) == ()


def test_an_unplugged_station_says_which_lead_to_check(station: SimulatedWeatherStation) -> None:
    station.unplug()
    with pytest.raises(HardwareError, match="plug"):
        station.measure()
    station.plug_in()
    assert temperature(station) == 10.0


def test_a_stuck_station_repeats_itself_until_healed(station: SimulatedWeatherStation, clock: ManualClock) -> None:
    station.stick()
    clock.advance(2 * HOUR)
    assert temperature(station) == 10.0
    station.heal()
    assert temperature(station) == 8.0


def test_a_spike_spoils_one_measurement(station: SimulatedWeatherStation) -> None:
    station.spike(75.0)
    assert [temperature(station), temperature(station)] == [85.0, 10.0]


def test_a_drifting_thermometer_is_wrong_by_more_every_hour(
    station: SimulatedWeatherStation, clock: ManualClock
) -> None:
    station.drift(24.0)
    clock.advance(2 * HOUR)
    assert temperature(station) == 10.0


def test_an_empty_recording_is_refused(clock: ManualClock) -> None:
    with pytest.raises(HardwareError, match="no recording"):
        SimulatedWeatherStation([], clock)
