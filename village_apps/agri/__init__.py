"""Advice for a field: what tonight's cold does to a crop at its stage, and what to do by when.

`crops` (the published numbers) and `advice` (the verdict) are pure; `views` shows them. The forecast comes as the fact
`forecast/frost`; this app does not know who made it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from village_apps.app import AppContext, VillageApp, standing_card

if TYPE_CHECKING:
    from flask import Blueprint

PHRASES = Path(__file__).parent / "phrases"


def _blueprint(context: AppContext) -> Blueprint:
    from village_apps.agri.views import make_blueprint

    return make_blueprint(context)


APP = VillageApp(
    name="agri",
    blueprint=_blueprint,
    card=standing_card(
        PHRASES,
        title="My field",
        text="What tonight's cold does to your crop, and what to do.",
        href="/agri/",
        picture="plant",
    ),
    phrases=PHRASES,
)
