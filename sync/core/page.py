"""The core's one page: each kit, when it was last heard and how, its warnings and who confirmed them.

It shows what the store knows and nothing more: a warning that no person has confirmed says so in red. No JavaScript;
the page asks for itself again every few seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.health.times import rfc3339
from kit.health.words import age_words
from kit.model.alert_state import AlertState, Standing
from sync.core.store import CoreStore, EnrolledKit, ForecastRow, QuizRow, SeriesRow

if TYPE_CHECKING:
    from flask import Flask

    from sync.core.setup import Core

REFRESH_S = 10
RECENT_MS = 6 * 3_600_000
"""A warning that has ended is still shown for six hours: the morning after, one wants to see who had confirmed it."""

QUIET_S = 3 * 3600
"""A kit that was not heard for three hours (twelve beacons) is shown as quiet."""

SHOWN_PROBLEMS = 20


@dataclass(frozen=True, kw_only=True)
class AlertView:
    """A warning in words."""

    state: Standing
    title: str
    expected: str
    holds: str
    seen: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class KitView:
    """A kit in words."""

    kit: EnrolledKit
    heard: tuple[str, ...]
    quiet: bool
    alerts: tuple[AlertView, ...]
    forecast: str
    series: tuple[SeriesRow, ...]
    quizzes: tuple[QuizRow, ...]


def make_app(core: Core) -> Flask:
    """The WSGI application."""
    from flask import Flask, jsonify, render_template

    app = Flask("sync.core")

    @app.get("/")
    def page() -> str:
        with core.open_store() as store:
            return render_template(
                "core.html",
                core=core,
                now=clock_words(core.now_ms()),
                refresh_s=REFRESH_S,
                kits=[view_kit(store, kit, core.now_ms()) for kit in store.kits()],
                invites=store.open_invites(now_ms=core.now_ms()),
                undecodable=store.undecodable(limit=SHOWN_PROBLEMS),
                refused=store.refused(limit=SHOWN_PROBLEMS),
                clock_words=clock_words,
                value_words=value_words,
            )

    @app.get("/healthz")
    def healthz() -> Any:
        with core.open_store() as store:
            return jsonify(state="ok", core=core.identity.unit, records=store.counts().taken)

    @app.get("/api/v1/kits")
    def kits() -> Any:
        with core.open_store() as store:
            return jsonify([kit_as_json(store, kit, core.now_ms()) for kit in store.kits()])

    return app


def view_kit(store: CoreStore, kit: EnrolledKit, now_ms: int) -> KitView:
    """What the page says of a kit."""
    last = kit.last_heard
    return KitView(
        kit=kit,
        heard=tuple(f"{ago(each.at_ms, now_ms)} over {each.link}" for each in kit.heard),
        quiet=last is None or now_ms - last.at_ms > QUIET_S * 1000,
        alerts=tuple(view_alert(state, now_ms) for state in store.alerts(kit.unit, until_after_ms=now_ms - RECENT_MS)),
        forecast=forecast_words(store.forecast(kit.unit)),
        series=tuple(store.series(kit.unit)),
        quizzes=tuple(store.quizzes(kit.unit)),
    )


def view_alert(state: AlertState, now_ms: int) -> AlertView:
    """What the page says of a warning."""
    alert = state.alert
    onset = f", from about {clock_words(alert.onset_ms)}" if alert.onset_ms is not None else ""
    return AlertView(
        state=state.standing(now_ms),
        title=f"{alert.event.capitalize()} warning for {alert.area.name}",
        expected=_expected(alert.parameters),
        holds=f"raised {clock_words(alert.sent_ms)}{onset}, until {clock_words(alert.expires_ms)}",
        seen=tuple(
            f"{receipt.person or 'somebody'}, {clock_words(receipt.at_ms)}"
            for receipt in sorted(state.receipts, key=lambda receipt: receipt.at_ms)
        ),
    )


def forecast_words(row: ForecastRow | None) -> str:
    """The kit's latest forecast as a sentence; "" if there is none."""
    if row is None:
        return ""
    return (
        f"Night to {row.night}: {degrees(row.tmin_c)} expected "
        f"({degrees(row.tmin_p10_c)} to {degrees(row.tmin_p90_c)}), chance of frost {row.p_frost:.0%}; "
        f"issued {clock_words(row.issued_ms)}"
    )


def kit_as_json(store: CoreStore, kit: EnrolledKit, now_ms: int) -> dict[str, Any]:
    """A kit for programs."""
    return {
        "unit": kit.unit,
        "name": kit.name,
        "last_heard": {heard.link: rfc3339(heard.at_ms) for heard in kit.heard},
        "records": kit.records,
        "alerts": [state.as_json(now_ms) for state in store.alerts(kit.unit, until_after_ms=now_ms - RECENT_MS)],
    }


def ago(at_ms: int, now_ms: int) -> str:
    """`3 min ago`."""
    return f"{age_words((now_ms - at_ms) / 1000)} ago"


def clock_words(at_ms: int) -> str:
    """`24 Apr 04:15 UTC`."""
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%-d %b %H:%M} UTC"


def degrees(celsius: float) -> str:
    """`−1.5 °C`."""
    return f"{round(celsius, 1) + 0.0:.1f} °C".replace("-", "−")


def value_words(row: SeriesRow) -> str:
    """The newest value with its unit as people write it."""
    symbol = {"Cel": "°C", "%RH": "%", "deg": "°"}.get(row.unit_symbol, row.unit_symbol)
    return f"{row.latest_value:g} {symbol}".replace("-", "−")


def _expected(parameters: Any) -> str:
    minimum, low, high = (parameters.get(name) for name in ("tmin_c", "tmin_p10_c", "tmin_p90_c"))
    if not isinstance(minimum, float):
        return ""
    span = f" ({degrees(low)} to {degrees(high)})" if isinstance(low, float) and isinstance(high, float) else ""
    return f"{degrees(minimum)} expected{span}"
