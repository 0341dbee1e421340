"""What people read on the pages of data, in their language."""

from __future__ import annotations

from pathlib import Path

import pytest

import village_apps.data
from kit.model.quantities import QUANTITIES, definition_of
from village_apps.data.words import NAMES, figure, meaning, plain_name, shown
from village_apps.phrases import Phrase, Phrases

DATA = Path(village_apps.data.__file__).parent


def english(said: object) -> str:
    return str(getattr(said, "msgid", said))


def test_every_quantity_that_the_kit_knows_has_a_name_to_be_translated() -> None:
    assert set(QUANTITIES) <= set(NAMES)
    assert plain_name("soil_temperature:probe2", english) == "soil temperature (probe2)"
    assert plain_name("toner_left", english) == "toner left"


@pytest.mark.parametrize(
    ("value", "quantity", "unit", "words"),
    [
        (-7.14, "temperature", "Cel", "−7.1\u00a0°C"),
        (-0.02, "temperature", "Cel", "0.0\u00a0°C"),
        (320.0, "wind_direction", "deg", "320°"),
        (3.0, "toner_left", "", "3.00"),
    ],
)
def test_a_value_is_written_as_people_write_it(value: float, quantity: str, unit: str, words: str) -> None:
    assert shown(value, quantity, unit) == words


@pytest.mark.parametrize("quantity", [*QUANTITIES, "toner_left", "temperature:probe2"])
def test_what_a_quantity_means_is_said_as_programs_are_told_it(quantity: str) -> None:
    said = meaning(quantity)
    told = said.values.get("meaning", said)
    assert isinstance(told, Phrase)
    assert told.msgid == definition_of(quantity.partition(":")[0])


def test_what_a_probe_measures_is_said_in_swahili_with_its_label() -> None:
    phrases = Phrases.load([DATA / "phrases"])
    assert phrases.say("sw", meaning("temperature")) == "halijoto ya hewa pale kihisi kilipo"
    assert "“probe2”" in phrases.say("sw", meaning("temperature:probe2"))


def test_no_value_is_a_dash() -> None:
    assert figure(None, "temperature") == "–"
