"""Frost: tonight's minimum, its uncertainty, and the warning.

Declaring costs nothing: what is heavy (numpy, astral, Flask) is imported when a service or a page is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from village_apps.app import AppContext, AppService, Card, StatusLine, VillageApp

if TYPE_CHECKING:
    import argparse

    from flask import Blueprint

    from kit.store.migrations import Migration


def _blueprint(context: AppContext) -> Blueprint:
    from village_apps.frost.views import make_blueprint

    return make_blueprint(context)


def _card(context: AppContext, language: str) -> Card | None:
    from village_apps.frost.card import make_card

    return make_card(context, language)


def _status_lines(context: AppContext) -> Sequence[StatusLine]:
    from village_apps.frost.card import make_status_lines

    return make_status_lines(context)


def _services(context: AppContext) -> Sequence[AppService]:
    from village_apps.frost.service import FrostService

    return (FrostService(context),)


def _migrations() -> Sequence[Migration]:
    from village_apps.frost.tables import MIGRATIONS

    return MIGRATIONS


def _commands(parser: argparse.ArgumentParser) -> None:
    from village_apps.frost.command import add_commands

    add_commands(parser)


APP = VillageApp(
    name="frost",
    blueprint=_blueprint,
    card=_card,
    card_subjects=("forecast/frost", "problem/frost"),
    record_kinds={"forecast": "Tonight's expected minimum, its interval and the chance of frost (CBOR map)."},
    migrations=_migrations,
    services=_services,
    status_lines=_status_lines,
    commands=_commands,
    phrases=Path(__file__).parent / "phrases",
)
