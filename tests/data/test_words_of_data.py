"""What people read on the pages of data, in their language."""

from __future__ import annotations

import pytest

from kit.model.quantities import QUANTITIES
from village_apps.data.words import NAMES, figure, plain_name, shown


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


def test_no_value_is_a_dash() -> None:
    assert figure(None, "temperature") == "–"
