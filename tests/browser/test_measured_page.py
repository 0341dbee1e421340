"""The page of what is measured now on a small phone: nothing runs out of its frame, every doubt is in words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kit_broker import broker_of
from playwright.sync_api import sync_playwright

from village_apps.web.trial import TrialKit

pytestmark = pytest.mark.browser

SAID = (
    (
        "pump",
        "tasmota",
        "Pump house",
        "tele/pump/SENSOR",
        '{"AM2301":{"Temperature":77.0,"Humidity":41},"TempUnit":"F"}',
    ),
    ("gate", "zigbee2mqtt", "", "zigbee2mqtt/gate/Upper field", '{"soil_moisture":31,"temperature":3.1,"battery":87}'),
    ("river", "native", "River bank", "sensors/river", '[{"n":"water_level","u":"m","v":1.52}]'),
    ("roof", "esphome", "School roof", "esphome/roof/sensor/wind_direction/state", "225"),
    ("shed", "native", "Seed store", "sensors/shed", '[{"n":"temperature","u":"Cel","v":-99}]'),
)


@pytest.mark.parametrize("language", ["en", "sw"])
def test_the_page_of_measurements_fits_a_small_phone(kit: TrialKit, tmp_path: Path, language: str) -> None:
    with broker_of(kit) as door:
        for name, kind, place, topic, told in SAID:
            door.let_in(name, kind, place=place)
            door.publish(name, [(topic, told)])
    with kit.served() as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page(viewport={"width": 320, "height": 568}, locale=language)
        page.goto(f"{address}/now/")
        folder = Path(os.environ.get("KIT_SCREENSHOTS", tmp_path))
        page.screenshot(path=folder / f"measured-now-{language}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        shown = page.locator("main").inner_text().replace("\u00a0", " ")
        page.goto(f"{address}/data/")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        cut = "[...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth).length"
        assert page.evaluate(cut) == 0, "no table of measured data has to be pushed aside"
        named = page.locator("main").inner_text()
        chromium.close()
    assert ("temperature" if language == "en" else "halijoto") in named
    assert ("25.0 °C" in shown, "1.52 m" in shown, "31 %" in shown) == (True, True, True)
    doubt = "cannot be right" if language == "en" else "haiwezi kuwa kweli"
    wind = "the south-west" if language == "en" else "kusini magharibi"
    assert doubt in shown
    assert wind in shown
