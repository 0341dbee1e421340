"""What the app shows elsewhere: its card on the portal and its lines for the technician."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kit.model.forecast import FROST_FACT, NightForecast
from kit.store.facts import get_fact
from village_apps.app import AppContext, Card, StatusLine
from village_apps.frost.station_history import choose_device, thermometers
from village_apps.phrases import Phrase, phrase, phrases_in

if TYPE_CHECKING:
    import sqlite3

    from kit.store.database import Database

PHRASES = Path(__file__).parent / "phrases"
PROBLEM_FACT = "problem/frost"
AFTER_SUNRISE_MS = 3_600_000

MOST_NAMED = 4
"""Other thermometers that fit on a line."""

TITLE = phrase("Tonight's cold")


def make_card(context: AppContext, language: str) -> Card | None:
    """The card on the first page: the coming night, or why nothing is known; None before the first forecast."""
    from village_apps.frost import wording  # not for the technician's lines, which every `kit status` asks for

    say = phrases_in(PHRASES).say
    with context.open_database() as database:
        forecast, problem = coming_night(context, database), present_problem(database)
    title = say(language, TITLE)
    if problem is not None:
        return Card(title, say(language, problem), "/frost/", "thermometer", urgency=1)
    if forecast is None:
        return None
    text = say(language, wording.expectation(forecast, coldest_at=_clock(context, forecast.sunrise_ms)))
    return Card(title, text, "/frost/", "frost", urgency=0 if forecast.warning else 1)


def make_status_lines(context: AppContext) -> Sequence[StatusLine]:
    """Tonight's forecast for the technician."""
    with context.open_database() as database:
        forecast, problem = coming_night(context, database), present_problem(database)
        by = _by_which(database.connection, context.settings.frost.device)
    if problem is not None:
        return (StatusLine("frost", problem.msgid % dict(problem.values), ok=False), *by)
    if forecast is None:
        return (StatusLine("frost", "next forecast at 15:00"), *by)
    value = (
        f"{forecast.tmin_c:.1f} °C ({forecast.tmin_p10_c:.1f} to {forecast.tmin_p90_c:.1f}), "
        f"{forecast.p_frost:.0%} ≤ {forecast.threshold_c:g} °C{', WARNING' if forecast.warning else ''}"
    )
    learned = f"{forecast.nights_learned} radiation nights ({forecast.basis})"
    return (StatusLine("frost", value), *by, StatusLine("learned", learned))


def _by_which(connection: sqlite3.Connection, wished: str) -> Sequence[StatusLine]:
    """Which thermometer the forecast goes by, and what to set where the kit had to choose among several."""
    sensor = choose_device(connection, wished)
    if sensor is None:
        return ()
    others = [name for name in thermometers(connection) if name != sensor]
    if wished or not others:
        return (StatusLine("goes by", f"{sensor}{', as set in [frost] device' if wished else ''}"),)
    some = ", ".join(others[:MOST_NAMED]) + (" …" if len(others) > MOST_NAMED else "")
    return (StatusLine("goes by", f'{sensor}; another one: [frost] device = "NAME" ({some})'),)


def coming_night(context: AppContext, database: Database) -> NightForecast | None:
    """The forecast of the night that is coming or not yet over."""
    found = get_fact(database.connection, FROST_FACT)
    if found is None:
        return None
    forecast = NightForecast.from_fact(found[1])
    return forecast if context.clock.now() * 1000 <= forecast.sunrise_ms + AFTER_SUNRISE_MS else None


def present_problem(database: Database) -> Phrase | None:
    """Why there is no forecast, if there is none."""
    found = get_fact(database.connection, PROBLEM_FACT)
    return Phrase(found[1]["msgid"], found[1]["values"]) if found and found[1] else None


def _clock(context: AppContext, at_ms: int) -> str:
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(context.settings.unit.timezone)
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).strftime("%H:%M")
