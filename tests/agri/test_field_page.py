from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from village_apps.agri.crops import CROPS
from village_apps.web.pictures import symbols
from village_apps.web.trial import TrialKit, frosty_night


@pytest.fixture
def grower(kit: TrialKit) -> FlaskClient:
    return kit.app.test_client()


def test_the_grower_chooses_a_crop_by_its_picture(grower: FlaskClient) -> None:
    page = grower.get("/agri/").text
    for crop in CROPS:
        assert f'href="/agri/?crop={crop.key}"' in page
        assert crop.picture in symbols()


def test_then_its_stage(grower: FlaskClient) -> None:
    assert "/agri/?crop=apple&amp;stage=full-bloom" in grower.get("/agri/?crop=apple").text


def test_then_reads_what_the_night_does_and_what_to_do_by_when(kit: TrialKit, grower: FlaskClient) -> None:
    kit.put_forecast(frosty_night(kit.now_ms, tmin_c=-3.0))
    page = grower.get("/agri/?crop=apple&stage=full-bloom").text
    assert "tonight will kill about 5 of every 10 flowers" in page
    assert "WSU Extension EB0913" in page
    assert re.search(r"By 0\d:\d\d:", page)


def test_a_crop_with_one_stage_is_answered_at_once(kit: TrialKit, grower: FlaskClient) -> None:
    kit.put_forecast(frosty_night(kit.now_ms, tmin_c=-3.0))
    assert "tonight will kill nearly all leaves" in grower.get("/agri/?crop=potato").text


def test_a_new_forecast_changes_the_page_at_once(kit: TrialKit, grower: FlaskClient) -> None:
    kit.put_forecast(frosty_night(kit.now_ms, tmin_c=5.0))
    assert "not cold enough" in grower.get("/agri/?crop=potato").text
    kit.put_forecast(frosty_night(kit.now_ms, tmin_c=-3.0))
    assert "nearly all leaves" in grower.get("/agri/?crop=potato").text


def test_the_phone_remembers_the_field(kit: TrialKit, grower: FlaskClient) -> None:
    kit.put_forecast(frosty_night(kit.now_ms))
    grower.get("/agri/?crop=pear&stage=full-bloom")
    assert "Pear" in grower.get("/agri/").text
    assert "Which crop is it?" in grower.get("/agri/?crop=other").text


def test_without_a_forecast_the_page_says_so_and_shows_the_table(grower: FlaskClient) -> None:
    page = grower.get("/agri/?crop=apple&stage=full-bloom").text
    assert "There is no forecast for the coming night yet." in page
    assert "−2.2\xa0°C" in page


def test_the_forecast_of_a_night_that_is_over_is_no_forecast(kit: TrialKit, grower: FlaskClient) -> None:
    kit.put_forecast(frosty_night(kit.now_ms))
    kit.clock.advance(12 * 3600)
    assert "There is no forecast" in grower.get("/agri/?crop=potato").text


@pytest.mark.parametrize("query", ["crop=none", "crop=apple&stage=none", "crop=%00", "crop=" + "x" * 5000])
def test_a_wrong_address_leads_back_to_the_choice(grower: FlaskClient, query: str) -> None:
    answer = grower.get(f"/agri/?{query}")
    assert answer.status_code == 200
    assert "/agri/?crop=" in answer.text


def test_the_advice_is_read_in_swahili(kit: TrialKit, grower: FlaskClient) -> None:
    kit.put_forecast(frosty_night(kit.now_ms, tmin_c=-3.0))
    page = grower.get("/agri/?crop=apple&stage=full-bloom&lang=sw").text
    assert "katika kila maua 10" in page
    assert "Tufaha" in page
