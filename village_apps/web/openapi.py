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

SERIES = _object(
    id={"type": "integer"},
    device=TEXT,
    quantity=TEXT | {"description": "a label behind a colon tells several of one device apart"},
    unit=TEXT | {"description": "SenML symbol (RFC 8428, RFC 8798)"},
    definition=TEXT,
    limits={"type": ["object", "null"], "description": "what is physically possible, in the unit"},
    resolution={"type": ["number", "null"], "description": "the last digit worth showing"},
    converted_from={"type": "array", "items": TEXT, "description": "units that the kit converts into this one"},
    source=TEXT,
    raw_from=TIME | {"type": ["string", "null"], "description": "the oldest reading that is kept"},
    hourly_from=TIME | {"type": ["string", "null"], "description": "the oldest hour that is kept"},
    last=TIME | {"type": ["string", "null"]},
    last_value={"type": ["number", "null"]},
)

FLAG = _object(
    flag=TEXT,
    meaning=TEXT,
    left_out={"type": "boolean", "description": "whether such a reading is left out of minimum, mean and maximum"},
)

RETENTION = _object(
    raw_days={"type": "integer"},
    hourly_days={"type": "integer"},
    raw_from=TIME | {"type": ["string", "null"]},
    hourly_from=TIME | {"type": ["string", "null"]},
    too_late={"type": "integer", "description": "readings that came for an hour that was closed already"},
)

ROW = {
    **_object(time=TIME, device=TEXT, quantity=TEXT, unit=TEXT, value={"type": ["number", "null"]}, quality=TEXT),
    "description": "An hour or a day also has resolution, end, min, mean, max, count, usable, flagged and flags, and "
    "its value is the mean; a reading has none of these.",
}

ROWS = _object(
    series=SERIES,
    resolution={"type": "string", "enum": ["raw", "hour", "day"]},
    stand_ins={
        "type": "object",
        "description": "coarser resolutions that the rows begin with because the wanted one is gone, with their end",
    },
    rows={"type": "array", "items": ROW},
)

_SPAN = [
    {"name": "since", "in": "query", "required": False, "schema": TIME, "description": "from then on"},
    {"name": "until", "in": "query", "required": False, "schema": TIME, "description": "before then"},
    {
        "name": "resolution",
        "in": "query",
        "required": False,
        "schema": {"type": "string", "enum": ["raw", "hour", "day"], "default": "raw"},
        "description": "every reading, or hours or the village's days",
    },
    {
        "name": "format",
        "in": "query",
        "required": False,
        "schema": {"type": "string", "enum": ["json", "csv"], "default": "json"},
    },
]


def _part(name: str, schema: dict[str, Any], example: object) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema, "example": example}


def _rows_answer() -> dict[str, Any]:
    answer = _answer("The rows in the order of time, sent as they are read", ROWS)
    answer["200"]["content"]["text/csv"] = {"schema": TEXT}
    answer["400"] = {"description": "A parameter cannot be understood; `problem` says which"}
    answer["404"] = {"description": "There is no such series"}
    return answer


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
        "/api/v1/series": {
            "get": {
                "summary": "Everything that is measured, with what the numbers, units and flags mean",
                "responses": _answer(
                    "The data dictionary",
                    _object(
                        series={"type": "array", "items": SERIES},
                        flags={"type": "array", "items": FLAG},
                        retention=RETENTION,
                        licence=TEXT,
                    ),
                ),
            }
        },
        "/api/v1/series/{series}": {
            "get": {
                "summary": "The readings, hours or days of one series, as JSON or CSV",
                "parameters": [_part("series", {"type": "integer"}, 1), *_SPAN],
                "responses": _rows_answer(),
            }
        },
        "/api/v1/series/{device}/{quantity}": {
            "get": {
                "summary": "The same by names; of a device that has said the quantity in several units, the newest one",
                "parameters": [_part("device", TEXT, "field-1"), _part("quantity", TEXT, "temperature"), *_SPAN],
                "responses": _rows_answer(),
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
