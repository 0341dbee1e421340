"""Pages for machines: `/healthz`, `/metrics`, `/alerts.atom`, `/alerts/<identifier>.xml`, `/api/v1/…`."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request

from kit.alerts.atom import alerts_atom
from kit.errors import KitError
from kit.model.cap import to_cap_xml
from kit.model.forecast import FROST_FACT
from kit.store.facts import get_fact
from kit.store.readings import latest_readings, sensors
from village_apps.web.openapi import OPENAPI
from village_apps.web.reader import context, database, now_ms
from village_apps.web.warnings import alerts, standing_alerts

UNAVAILABLE = 503
LATEST_AT_MOST = 1000
"""Series in one answer; a kit has tens."""


def blueprint() -> Blueprint:
    """The routes."""
    routes = Blueprint("machine", __name__)
    routes.add_url_rule("/healthz", "healthz", _healthz)
    routes.add_url_rule("/metrics", "metrics", _metrics)
    routes.add_url_rule("/alerts.atom", "atom", _atom)
    routes.add_url_rule("/alerts/<identifier>.xml", "cap", _cap)
    routes.add_url_rule("/api/v1/openapi.json", "openapi", _openapi)
    routes.add_url_rule("/api/v1/alerts", "api_alerts", _api_alerts)
    routes.add_url_rule("/api/v1/forecast", "api_forecast", _api_forecast)
    routes.add_url_rule("/api/v1/readings/latest", "api_latest", _api_latest)
    return routes


def rfc3339(at_ms: int) -> str:
    """`2016-04-12T03:00:00Z`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
