"""A phone's time for a kit that has none: the offer on the first page, and the technician's button.

A form cannot know the phone's time, so one small script fills it in (`village_apps.web.safety`); without it the time is
typed. One phone is a better guess, two that agree are trusted: see `kit.timekeeping`.
"""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, make_response, redirect, request, url_for

from kit.collect.timekeeper import tell_time
from kit.health.words import zone_of
from kit.timekeeping import believable, unlikely_ahead_s
from kit.unit_clock import UnitClock, describe_clock
from village_apps.app import AppContext
from village_apps.web.reader import context, database, now_ms
from village_apps.web.safety import PHONE_TIME_SCRIPT

WAIT_S = 4.0
"""Real seconds for the keeper of the time to consider what was said; it looks every second."""

STEP_S = 0.2
TOLD_PER_MINUTE = 20
"""By all phones together: each costs a commit, and two are enough."""

PROBLEMS = ("taken", "thanks", "known", "bad", "later", "many", "ahead")
LONGEST_FIELD = 40


class _Brake:
    """How often the time was told lately."""

    def __init__(self) -> None:
        self._told: deque[float] = deque()
        self._lock = threading.Lock()

    def may(self, now_s: float) -> bool:
        """Whether another one may be taken now; counts it."""
        with self._lock:
            while self._told and not 0 <= now_s - self._told[0] < 60:  # noqa: PLR2004 - a minute
                self._told.popleft()
            if len(self._told) >= TOLD_PER_MINUTE:
                return False
            self._told.append(now_s)
            return True


def add_time_routes(routes: Blueprint, own: AppContext) -> None:
    """Add `/time` to the portal's blueprint."""
    brake = _Brake()

    def take() -> Response:
        return make_response(redirect(url_for("portal.first", time=_take(own, brake)) + "#time", 303))

    routes.add_url_rule("/time", "take_time", take, methods=["POST"])
    routes.add_url_rule("/time", "time_again", lambda: redirect(url_for("portal.first"), 303))


def _take(own: AppContext, brake: _Brake) -> str:
    if not asks_phones(own):
        return "known"
    wall_s = typed_time(own)
    if wall_s is None:
        return "bad"
    if not brake.may(own.clock.monotonic()):
        return "many"
    number = told_time(own, source="phone", who=request.remote_addr or "", wall_s=wall_s)
    return wait_until_considered(own, number, source="phone")


def typed_time(own: AppContext) -> float | None:
    """The time of the form, Unix seconds: the phone's own, else the typed one in the village's time zone."""
    ms, at = request.form.get("ms", "")[:LONGEST_FIELD], request.form.get("at", "")[:LONGEST_FIELD]
    try:
        if ms:
            wall_s = int(ms) / 1000
        else:
            wall_s = datetime.fromisoformat(at).replace(tzinfo=zone_of(own.settings.unit.timezone)).timestamp()
    except (ValueError, OverflowError):
        return None
    return wall_s if believable(wall_s) and wall_s < 2**36 else None


def years_ahead(own: AppContext, wall_s: float) -> bool:
    """Whether a time is so far after the last one known that a person must say that it is meant."""
    clock = own.clock
    if not isinstance(clock, UnitClock):
        return False
    clock.look_again()
    return unlikely_ahead_s(clock.state, wall_s) > 0


def told_time(own: AppContext, *, source: str, who: str, wall_s: float) -> int:
    """Hand it to the keeper of the time."""
    return tell_time(database(), own.clock, source=source, who=who, wall_s=wall_s)


def wait_until_considered(own: AppContext, number: int, *, source: str) -> str:
    """What became of it: "taken", "thanks" (a guess so far), "known" (the kit knows better) or "later"."""
    clock = own.clock
    if not isinstance(clock, UnitClock):
        return "known"
    for _ in range(round(WAIT_S / STEP_S)):
        clock.look_again()
        if clock.state.heard >= number:
            if clock.state.source == source:
                return "taken" if clock.trusted else "thanks"
            return "known" if clock.trusted else "bad"
        clock.sleep(STEP_S)
    return "later"


def asks_phones(own: AppContext) -> bool:
    """Whether the kit would like to be told the time."""
    return own.settings.clock.ask_phones and not own.clock.trusted


def time_offer(*, told: str) -> dict[str, Any] | None:
    """What the first page asks of people; None where the kit knows the time and nobody has just told it."""
    own = context()
    asks = asks_phones(own)
    if not asks and told not in ("taken", "known"):
        return None
    return {"asks": asks, "told": told if told in PROBLEMS else "", "now_ms": now_ms(), "script": PHONE_TIME_SCRIPT}


def clock_words(own: AppContext, *, told: str) -> dict[str, Any]:
    """What the technician's page says of the clock."""
    return {
        **describe_clock(own.clock),
        "told": told if told in PROBLEMS else "",
        "now_ms": now_ms(),
        "script": PHONE_TIME_SCRIPT,
        "can_set": isinstance(own.clock, UnitClock),
    }
