"""Advice for a field: what tonight's cold does to a crop at its stage, and what to do by when.

`crops` (the published numbers) and `advice` (the verdict) are pure; `views` shows them. `city_advice` is what the
city has written for its villages. The forecast comes as the fact `forecast/frost`; this app does not know who made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from village_apps.app import AppContext, Card, VillageApp

if TYPE_CHECKING:
    from flask import Blueprint

    from kit.model.published import PublishedFile

PHRASES = Path(__file__).parent / "phrases"


def _blueprint(context: AppContext) -> Blueprint:
    from village_apps.agri.views import make_blueprint

    return make_blueprint(context)


def _card(context: AppContext, language: str) -> Card:
    from village_apps.agri.city_advice import KIND, advice_here
    from village_apps.phrases import phrases_in

    phrases = phrases_in(PHRASES)
    text, new = phrases.gettext(language, "What tonight's cold does to your crop, and what to do."), False
    if (context.home.content / KIND).is_dir():
        with context.open_database() as database:
            told = advice_here(database.connection, context.home.content)
        new = bool(told) and told[0].is_new(int(context.clock.now() * 1000))
        if new:
            text = phrases.gettext(language, "New advice from the city: %(title)s", title=told[0].title)
    return Card(
        title=phrases.gettext(language, "My field"),
        text=text,
        href="/agri/",
        picture="plant",
        urgency=1 if new else 2,
    )


def _prepare_advice(file: Path, before: Sequence[PublishedFile]) -> PublishedFile:
    from village_apps.agri.city_advice import prepare_advice

    del before  # advice has no versions: one of the same name is replaced
    return prepare_advice(file)


APP = VillageApp(
    name="agri",
    blueprint=_blueprint,
    card=_card,
    card_subjects=("received-files",),
    prepares={"advice": _prepare_advice},
    phrases=PHRASES,
)
