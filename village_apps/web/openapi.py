"""The description of `/api/v1/…` (OpenAPI 3.1), served at `/api/v1/openapi.json`; a test holds the answers to it."""

from __future__ import annotations

from typing import Any


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"200": {"description": description, "content": {"application/json": {"schema": schema}}}}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


TIME = {"type": "string", "format": "date-time", "description": "RFC 3339, UTC"}
TEXT = {"type": "string"}
NUMBER = {"type": "number"}

READING = _object(
    time=TIME,
    device=TEXT,
    quantity=TEXT,
    unit=TEXT,
    value=NUMBER,
    quality=TEXT | {"description": '"good" or flags'},
    quality_words={"type": "array", "items": TEXT, "description": "a sentence for each flag"},
    qc=TEXT | {"description": "MADIS: S = passed, Q = questioned, X = rejected"},
)

ALERT = _object(
    identifier=TEXT,
    event=TEXT,
    severity=TEXT,
    expires=TEXT,
    state={"type": "string", "enum": ["unconfirmed", "confirmed", "ended"]},
    confirmed_by={"type": "integer", "description": "people; 0 = nobody has confirmed it"},
)

FORECAST = _object(
    issued=TIME,
    night={"type": "string", "format": "date"},
    device=TEXT,
    sunset=TIME,
    sunrise=TIME,
    tmin_c=NUMBER,
    tmin_p10_c=NUMBER,
    tmin_p90_c=NUMBER,
    p_frost=NUMBER | {"minimum": 0, "maximum": 1},
    threshold_c=NUMBER,
    expected_below={"type": ["string", "null"], "format": "date-time"},
    basis={"type": "string", "enum": ["prior", "site"]},
    nights_learned={"type": "integer"},
    warning={"type": "boolean"},
)

OPENAPI: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Village kit",
        "version": "1",
        "description": "What one kit knows, on its own Wi-Fi. Fields may be added, never renamed.",
        "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
    },
    "paths": {
        "/api/v1/alerts": {
            "get": {
                "summary": "The warnings that hold now, the worst first, with who has confirmed them",
                "responses": _answer("Alerts", _object(alerts={"type": "array", "items": ALERT})),
            }
        },
        "/api/v1/forecast": {
            "get": {
                "summary": "The forecast of the coming night's minimum; null while there is none",
                "responses": _answer("Forecast", _object(forecast={"anyOf": [FORECAST, {"type": "null"}]})),
            }
        },
        "/api/v1/readings/latest": {
            "get": {
                "summary": "The newest reading of every sensor's every quantity",
                "parameters": [
                    {"name": "device", "in": "query", "required": False, "schema": TEXT, "description": "only this one"}
                ],
                "responses": _answer("Readings", _object(readings={"type": "array", "items": READING})),
            }
        },
    },
}
