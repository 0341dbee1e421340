"""Open data: whatever was measured, to look at and to take away. The same for programs is `/api/v1/series`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from village_apps.app import AppContext, VillageApp, standing_card

if TYPE_CHECKING:
    from flask import Blueprint

PHRASES = Path(__file__).parent / "phrases"


def _blueprint(context: AppContext) -> Blueprint:
    from village_apps.data.views import make_blueprint

    return make_blueprint(context)


APP = VillageApp(
    name="data",
    blueprint=_blueprint,
    card=standing_card(
        PHRASES,
        title="Measured data",
        text="Everything that was measured, to look at and to take away.",
        href="/data/",
        picture="thermometer",
    ),
    phrases=PHRASES,
)
