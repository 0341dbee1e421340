"""Lessons with a quiz; results stay here, and only a digest of them is synced.

The words are data: below `lessons/` those that came with the kit, below the home's `content/lesson` those that the city
has published since.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from village_apps.app import AppContext, AppService, Card, StatusLine, VillageApp

if TYPE_CHECKING:
    import argparse

    from flask import Blueprint

    from kit.model.published import PublishedFile
    from kit.store.migrations import Migration

PHRASES = Path(__file__).parent / "phrases"
PROBLEMS_FACT = "lesson-problems"
"""{file below `content/lesson`: why it is not shown}."""


def _blueprint(context: AppContext) -> Blueprint:
    from village_apps.learning.views import make_blueprint

    return make_blueprint(context)


def _card(context: AppContext, language: str) -> Card:
    from village_apps.learning.card import make_card

    return make_card(context, language)


def _status_lines(context: AppContext) -> Sequence[StatusLine]:
    if not (context.home.content / "lesson").is_dir():
        return ()
    from kit.store.facts import get_fact

    # as the unit itself judged them: reading every lesson would keep a technician waiting
    with context.open_database() as database:
        told = get_fact(database.connection, PROBLEMS_FACT)
    files = {} if told is None else told[1]
    return [StatusLine("lessons", f"content/lesson/{file} {why}", ok=False) for file, why in files.items()]


def _prepare_lesson(file: Path, before: Sequence[PublishedFile]) -> PublishedFile:
    from village_apps.learning.publishing import prepare_lesson

    return prepare_lesson(file, before)


def _commands(parser: argparse.ArgumentParser) -> None:
    from village_apps.learning.command import add_commands

    add_commands(parser)


def _migrations() -> Sequence[Migration]:
    from village_apps.learning.results import MIGRATIONS

    return MIGRATIONS


def _services(context: AppContext) -> Sequence[AppService]:
    from village_apps.learning.service import DigestService, LessonWatch

    return (DigestService(context), LessonWatch(context))


APP = VillageApp(
    name="learning",
    blueprint=_blueprint,
    card=_card,
    card_subjects=("received-files",),
    record_kinds={
        "quiz": (
            "Attempts at a lesson's quiz since the last digest: lesson, version, since_ms, until_ms, attempts, "
            "questions, mean_score, right (per question); nobody is named."
        )
    },
    migrations=_migrations,
    services=_services,
    status_lines=_status_lines,
    commands=_commands,
    command="lessons",
    prepares={"lesson": _prepare_lesson},
    phrases=PHRASES,
)
