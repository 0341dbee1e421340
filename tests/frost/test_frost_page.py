from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from village_apps.frost.curve import HEIGHT, WIDTH, draw, thin
from village_apps.frost.wording import degrees, tenths

if TYPE_CHECKING:
    from tests.frost.conftest import Village


def page(village: Village, language: str = "en") -> str:
    answer = village.kit.app.test_client().get("/frost/", headers={"Accept-Language": language})
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_before_the_first_forecast_the_page_says_when_it_comes(village: Village) -> None:
    assert "It comes every hour from 15:00 until sunrise" in page(village)


def test_a_calm_evening_says_that_there_is_no_warning(village: Village) -> None:
    village.to(2)
    text = page(village)
    assert "There is no frost warning." in text
    assert "11.7 °C" in text
    assert "Learned from" in text


def test_a_warning_stands_on_top_with_what_to_do_and_that_nobody_has_confirmed_it(village: Village) -> None:
    village.to(8)
    text = page(village)
    assert "NOBODY HAS CONFIRMED" in text
    assert "Cover seedlings" in text
    assert re.search(r'<form method="post" action="/alerts/frost-kit-trial-2015-04-03[-\d]*/seen">', text)
    assert "Tonight it may fall to −" in text


def test_after_somebody_has_seen_it_their_name_stands_there(village: Village) -> None:
    village.to(8)
    with village.kit.store() as database:
        alerts = village.alerts(database)
        alerts.confirm(alerts.active()[0].alert.identifier, person="Wanjiru <b>", channel="web")
    text = page(village)
    assert "Wanjiru &lt;b&gt;" in text
    assert "NOBODY HAS CONFIRMED" not in text


def test_the_page_speaks_swahili(village: Village) -> None:
    village.to(8)
    text = page(village, "sw")
    assert "HAKUNA MTU ALIYETHIBITISHA" in text
    assert "Nimeona hili" in text
    assert "Funika miche" in text


def test_in_the_morning_it_says_that_the_frost_is_over_and_how_cold_it_was(village: Village) -> None:
    village.to(19)
    text = page(village)
    assert "The frost of this night is over" in text
    assert "The lowest reading was −3.9 °C." in text
    assert "NOBODY" not in text


def test_a_silent_thermometer_is_told_instead_of_a_forecast(village: Village) -> None:
    village.to(3)
    village.to(8, reporting=False)
    text = page(village)
    assert "has been silent for" in text
    assert "Tonight it" not in text
    assert "This is an old reading" in text


@pytest.mark.parametrize("hours", [1, 8, 14, 19])
def test_the_drawing_is_well_formed_and_needs_no_style_that_the_page_forbids(village: Village, hours: int) -> None:
    village.to(hours)
    text = page(village)
    assert "style=" not in text
    svg = re.search(r'<svg class="night-curve".*?</svg>', text, re.DOTALL)
    assert svg is not None
    drawing = ET.fromstring(svg.group())
    for line in drawing.iter("polyline"):
        for pair in line.attrib["points"].split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT


points = st.lists(st.tuples(st.floats(0, 6e7), st.floats(-40, 45)), max_size=30).map(sorted)


@given(observed=points, expected=points)
def test_any_night_fits_its_drawing(observed: list[tuple[float, float]], expected: list[tuple[float, float]]) -> None:
    curve = draw(
        observed=thin(observed),
        expected=expected,
        coldest=expected,
        warmest=expected,
        threshold_c=0.0,
        start_ms=0,
        end_ms=6e7,
        now_ms=3e7,
        hour_of=lambda at: int(at // 3_600_000) % 24,
        degrees=degrees,
    )
    assert curve.top <= curve.threshold_y <= curve.bottom
    assert all(curve.top <= label.y <= curve.bottom for label in curve.degrees)


def test_degrees_are_rounded_to_the_cold_side_and_have_a_real_minus() -> None:
    assert [degrees(v) for v in (-0.4, 0.4, -2.0, 0.97, 3.0)] == ["−1 °C", "0 °C", "−2 °C", "1 °C", "3 °C"]
    assert [tenths(v) for v in (-0.04, -3.94, 7.25)] == ["0.0 °C", "−3.9 °C", "7.2 °C"]
