"""Pages for machines: `/healthz`, `/metrics`, `/ca.pem`, `/alerts.atom`, `/alerts/<identifier>.xml`, `/api/v1/…`."""

from __future__ import annotations

import sqlite3
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request

from kit.alerts.atom import alerts_atom
from kit.alerts.lifecycle import UnknownAlertError
from kit.certificates import authority_file
from kit.errors import KitError
from kit.health.series_view import row_json
from kit.model.alert import rfc3339
from kit.model.cap import to_cap_xml
from kit.model.forecast import FROST_FACT, NightForecast
from kit.store.facts import get_fact
from kit.store.readings import latest_readings
from village_apps.web import series_api
from village_apps.web.metrics import metrics_text
from village_apps.web.openapi import OPENAPI
from village_apps.web.reader import context, database, frame, now_ms
from village_apps.web.warnings import alerts, standing_alerts

UNAVAILABLE = 503
NAME_CHARACTERS = 100
FEED_AT_MOST = 50
"""Messages in the feed; a night makes about a dozen."""


def blueprint() -> Blueprint:
    """The routes."""
    routes = Blueprint("machine", __name__)
    routes.add_url_rule("/healthz", "healthz", _healthz)
    routes.add_url_rule("/metrics", "metrics", _metrics)
    routes.add_url_rule("/ca.pem", "authority", _authority)
    routes.add_url_rule("/alerts.atom", "atom", _atom)
    routes.add_url_rule("/alerts/<identifier>.xml", "cap", _cap)
    routes.add_url_rule("/api/v1/openapi.json", "openapi", lambda: jsonify(OPENAPI))
    routes.add_url_rule("/api/v1/alerts", "api_alerts", _api_alerts)
    routes.add_url_rule("/api/v1/forecast", "api_forecast", _api_forecast)
    routes.add_url_rule("/api/v1/readings/latest", "api_latest", _api_latest)
    series_api.add_routes(routes)
    return routes


def _healthz() -> Response:
    """Whether pages can be made at all: the store answers."""
    told: dict[str, Any] = {"unit": context().unit, "time": rfc3339(now_ms())}
    try:
        database().connection.execute("SELECT COUNT(*) FROM changes").fetchone()
    except (sqlite3.Error, KitError) as error:
        response = jsonify(told | {"ok": False, "problem": f"the store cannot be read: {error}"})
        response.status_code = UNAVAILABLE
        return response
    return jsonify(told | {"ok": True})


def _metrics() -> Response:
    text = metrics_text(
        database().connection,
        unit=context().unit,
        now_ms=now_ms(),
        alerts=standing_alerts(),
        pages_rendered=frame().cache.rendered,
    )
    return Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")


def _authority() -> Response:
    """The certificate that a device needs to trust the broker's encrypted listener; public, see `kit.certificates`."""
    try:
        text = authority_file(context().home).read_bytes()
    except OSError:
        abort(404)
    return Response(text, content_type="application/x-pem-file")


def _atom() -> Response:
    """The feed. It names the kit by the address under which the reader reached it."""
    body = alerts_atom(
        alerts().list(limit=FEED_AT_MOST), base_url=request.host_url.rstrip("/"), now=context().clock.now()
    )
    return Response(body, content_type="application/atom+xml; charset=utf-8")


def _cap(identifier: str) -> Response:
    try:
        state = alerts().get(identifier)
    except UnknownAlertError:
        abort(404)
    return Response(to_cap_xml(state.alert), content_type="application/cap+xml; charset=utf-8")


def _api_alerts() -> Response:
    return jsonify({"alerts": [_without_names(state.as_json(now_ms())) for state in standing_alerts()]})


def _without_names(told: dict[str, Any]) -> dict[str, Any]:
    """A program needs to know how many have confirmed, not who; the page shows one first name to the neighbours."""
    return {name: value for name, value in told.items() if name != "receipts"}


def _api_forecast() -> Response:
    found = get_fact(database().connection, FROST_FACT)
    return jsonify({"forecast": None if found is None else forecast_json(NightForecast.from_fact(found[1]))})


def forecast_json(forecast: NightForecast) -> dict[str, Any]:
    """As people's programs read it: RFC 3339 times instead of milliseconds."""
    told: dict[str, Any] = {}
    for name, value in forecast.as_fact().items():
        if name.endswith("_ms"):
            told[name.removesuffix("_ms")] = None if value is None else rfc3339(value)
        else:
            told[name] = value
    return told


def _api_latest() -> Response:
    device = request.args.get("device", "")[:NAME_CHARACTERS] or None
    rows = latest_readings(database().connection, device=device)
    return jsonify({"readings": [row_json(row) for row in rows]})
