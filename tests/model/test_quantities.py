"""The table of quantities, units, and what a quality flag says."""

from __future__ import annotations

import pytest

from kit.model.quantities import QUANTITIES, convert, quantity_named, recognise_name, recognise_unit
from kit.model.readings import Quality, explain_quality, is_usable, quality_word


@pytest.mark.parametrize(
    ("value", "unit", "to", "result"),
    [
        (32, "degF", "Cel", 0),
        (212, "°F", "Cel", 100),
        (273.15, "K", "Cel", 0),
        (101325, "Pa", "hPa", 1013.25),
        (101.325, "kPa", "hPa", 1013.25),
        (1013.25, "mbar", "hPa", 1013.25),
        (29.92, "inHg", "hPa", 1013.207),
        (36, "km/h", "m/s", 10),
        (10, "mph", "m/s", 4.4704),
        (10, "kn", "m/s", 5.14444),
        (1, "in", "mm", 25.4),
        (0.5, "/", "%RH", 50),
        (20.5, "C", "Cel", 20.5),
        (20.5, "", "Cel", 20.5),
    ],
)
def test_units_are_converted(value: float, unit: str, to: str, result: float) -> None:
    assert convert(value, unit, to) == pytest.approx(result, rel=1e-5)


def test_an_unknown_unit_is_not_guessed() -> None:
    assert convert(1, "furlong", "m") is None


@pytest.mark.parametrize("name", ["temperature", "temp", "Temperature", "Air Temperature", "air-temperature", "TEMP"])
def test_temperature_is_recognised_by_many_names(name: str) -> None:
    assert recognise_name(name) == "temperature"


def test_an_unknown_name_is_recognised_by_its_unit() -> None:
    assert recognise_name("xyz") is None
    assert recognise_unit("degF") == "temperature"
    assert recognise_unit("%RH") == "humidity"
    assert recognise_unit("/") is None


def test_a_labelled_quantity_is_of_the_same_kind() -> None:
    assert quantity_named("temperature:probe2") is QUANTITIES["temperature"]


def test_every_quantity_has_sensible_limits() -> None:
    for quantity in QUANTITIES.values():
        assert quantity.low < quantity.high, quantity.name
        assert quantity.resolution > 0, quantity.name


def test_every_flag_has_a_word_and_a_sentence() -> None:
    for flag in Quality:
        assert quality_word(flag) != "good"
        assert len(explain_quality(flag)) == 1


def test_flags_are_joined_in_words() -> None:
    assert quality_word(0) == "good"
    assert quality_word(Quality.IMPOSSIBLE | Quality.TIME_GUESSED) == "impossible+time_guessed"


def test_an_impossible_value_is_not_usable_and_a_jump_is() -> None:
    assert not is_usable(Quality.IMPOSSIBLE)
    assert is_usable(Quality.STEP)
    assert is_usable(Quality.GOOD)
