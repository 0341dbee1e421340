"""Lessons with a quiz. The words are data below `lessons/`; results stay here, and only a digest of them is synced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from village_apps.app import AppContext, AppService, Card, VillageApp

if TYPE_CHECKING:
    from flask import Blueprint

    from kit.store.migrations import Migration

PHRASES = Path(__file__).parent / "phrases"


def _blueprint(context: AppContext) -> Blueprint:
    from village_apps.learning.views import make_blueprint

    return make_blueprint(context)


def _card(context: AppContext, language: str) -> Card:
    from village_apps.phrases import phrases_in

    del context
    phrases = phrases_in(PHRASES)
    return Card(
        title=phrases.gettext(language, "Learn"),
        text=phrases.gettext(language, "When frost comes: a lesson with pictures and five questions."),
        href="/learn/",
        picture="book",
    )


def _migrations() -> Sequence[Migration]:
    from village_apps.learning.results import MIGRATIONS

    return MIGRATIONS


def _services(context: AppContext) -> Sequence[AppService]:
    from village_apps.learning.service import DigestService

    return (DigestService(context),)


APP = VillageApp(
    name="learning",
    blueprint=_blueprint,
    card=_card,
    record_kinds={
        "quiz": (
            "Attempts at a lesson's quiz since the last digest: lesson, version, since_ms, until_ms, attempts, "
            "questions, mean_score, right (per question); nobody is named."
        )
    },
    migrations=_migrations,
    services=_services,
    phrases=PHRASES,
)
