"""The first page, the button "I have seen this", and the technician's page.

Everything a villager needs is one touch away from the first page; it is also what the captive-portal window shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from village_apps.app import AppContext, VillageApp, standing_card

if TYPE_CHECKING:
    from flask import Blueprint

PHRASES = Path(__file__).parent / "phrases"


def _blueprint(context: AppContext) -> Blueprint:
    from village_apps.portal.views import make_blueprint

    return make_blueprint(context)


APP = VillageApp(
    name="portal",
    blueprint=_blueprint,
    card=standing_card(
        PHRASES,
        title="Measured now",
        # without the values: the first page would have to be made anew for every reading
        text="Air, soil, rain and river, as the sensors measure them.",
        href="/now/",
        picture="thermometer",
    ),
    phrases=PHRASES,
)
