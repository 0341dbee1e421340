"""Open data: whatever was measured, to look at and to take away. The same for programs is `/api/v1/series`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from village_apps.app import AppContext, Card, VillageApp

if TYPE_CHECKING:
    from flask import Blueprint

PHRASES = Path(__file__).parent / "phrases"


def _blueprint(context: AppContext) -> Blueprint:
    from village_apps.data.views import make_blueprint

    return make_blueprint(context)


def _card(context: AppContext, language: str) -> Card:
    from village_apps.phrases import phrases_in

    del context
    phrases = phrases_in(PHRASES)
    return Card(
        title=phrases.gettext(language, "Measured data"),
        text=phrases.gettext(language, "Everything that was measured, to look at and to take away."),
        href="/data/",
        picture="thermometer",
    )


APP = VillageApp(name="data", blueprint=_blueprint, card=_card, phrases=PHRASES)
