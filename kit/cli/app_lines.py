"""What the apps add to the status. An app that fails in it costs its own line, never the status."""

from __future__ import annotations

from typing import Any

from kit.cli.unit import Unit
from kit.health.status import unit_name
from kit.store.database import Database
from village_apps.app import AppContext, VillageApp, find_apps


def app_lines(unit: Unit) -> list[dict[str, Any]]:
    """{label, value, ok} from every app that has something to say; none before the unit has a store."""
    if not unit.home.database.exists():
        return []
    context = AppContext(
        home=unit.home,
        settings=unit.settings,
        clock=unit.clock,
        unit=unit_name(unit.home) or "",
        open_database=lambda: Database(unit.home.database, read_only=True),
    )
    return [line for app in find_apps() for line in _lines_of(app, context)]


def _lines_of(app: VillageApp, context: AppContext) -> list[dict[str, Any]]:
    if app.status_lines is None:
        return []
    try:
        told = app.status_lines(context)
    except Exception as error:  # noqa: BLE001 - a third party's app may fail in any way
        return [{"label": app.name, "value": f"cannot tell its status: {error}", "ok": False}]
    return [{"label": line.label, "value": line.value, "ok": line.ok} for line in told]
