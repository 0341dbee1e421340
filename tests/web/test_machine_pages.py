from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from flask.testing import FlaskClient

from kit.alerts.lifecycle import Alerts
from kit.certificates import authority_file, broker_context
from kit.model.alert import Alert, AlertText, Area, Severity
from village_apps.web.trial import HOUR_MS, TrialKit, frosty_night


@pytest.fixture
def program(kit: TrialKit) -> FlaskClient:
    kit.put_forecast(frosty_night(kit.now_ms))
    with kit.store() as database:
        alerts = Alerts(database, kit.clock, sender="kit@village-kit", area="ol-kalou")
        alerts.raise_alert(
            Alert(
                identifier="frost-1",
                sender="kit@village-kit",
                sent_ms=kit.now_ms,
                event="frost",
                severity=Severity.SEVERE,
                expires_ms=kit.now_ms + 12 * HOUR_MS,
                area=Area("ol-kalou"),
                infos=(AlertText(language="en", event="Frost", headline="Frost tonight"),),
            )
        )
        alerts.confirm("frost-1", person="Amina", channel="web")
        with database.atomic() as connection:
            connection.execute("INSERT INTO series VALUES (1, 'field-1', 'temperature', 'Cel')")
            connection.execute("INSERT INTO latest_readings VALUES (1, ?, 3.5, 0, ?, ?, 3.5)", (kit.now_ms,) * 3)
    return kit.app.test_client()


def check(value: Any, schema: dict[str, Any], where: str) -> None:
    """As much of JSON Schema as the description uses."""
    if "anyOf" in schema:
        assert any(_fits(value, option) for option in schema["anyOf"]), where
        return
    assert _fits(value, schema), f"{where}: {value!r} is no {schema}"


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    kinds = {"object": dict, "array": list, "string": str, "number": (int, float), "integer": int, "boolean": bool}
    wanted = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if value is None:
        return "null" in wanted
    if not any(isinstance(value, kinds[kind]) for kind in wanted if kind != "null"):  # type: ignore[arg-type]
        return False
    for name in schema.get("required", ()):
        check(value[name], schema["properties"][name], name)
    for item in value if isinstance(value, list) else ():
        check(item, schema["items"], "item")
    return "enum" not in schema or value in schema["enum"]


def test_every_address_of_the_description_answers_as_described(program: FlaskClient) -> None:
    description = program.get("/api/v1/openapi.json").json
    assert description is not None
    for path, methods in description["paths"].items():
        schema = methods["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        parts = {part["name"]: part.get("example") for part in methods["get"].get("parameters", ())}
        check(program.get(path.format(**parts)).json, schema, path)


def test_alerts_are_told_without_the_names_of_people(program: FlaskClient) -> None:
    answer = program.get("/api/v1/alerts")
    assert answer.json is not None
    assert answer.json["alerts"][0]["confirmed_by"] == 1
    assert "Amina" not in answer.text


def test_latest_readings_can_be_asked_for_one_device(program: FlaskClient) -> None:
    everything = program.get("/api/v1/readings/latest").json
    assert everything is not None
    assert everything["readings"][0]["value"] == 3.5
    none = program.get("/api/v1/readings/latest?device=other").json
    assert none == {"readings": []}


def test_without_a_forecast_the_answer_is_null(kit: TrialKit) -> None:
    assert kit.app.test_client().get("/api/v1/forecast").json == {"forecast": None}


def test_an_unknown_address_of_the_api_answers_in_json(program: FlaskClient) -> None:
    answer = program.get("/api/v1/nothing")
    assert answer.status_code == 404
    assert answer.json is not None
    assert answer.json["advice"]


def test_the_feed_and_the_message_are_xml(program: FlaskClient) -> None:
    feed = ET.fromstring(program.get("/alerts.atom").data)
    assert feed.tag == "{http://www.w3.org/2005/Atom}feed"
    message = program.get("/alerts/frost-1.xml")
    assert message.mimetype == "application/cap+xml"
    assert ET.fromstring(message.data).tag == "{urn:oasis:names:tc:emergency:cap:1.2}alert"
    assert program.get("/alerts/none.xml").status_code == 404


def test_metrics_are_prometheus_text(program: FlaskClient) -> None:
    lines = program.get("/metrics").text.splitlines()
    assert 'kit_alerts_active{unit="kit-trial"} 1' in lines
    assert 'kit_alerts_unconfirmed{unit="kit-trial"} 0' in lines
    assert all(line.startswith("#") or line.rsplit(" ", 1)[1] for line in lines)


def test_a_device_can_fetch_the_kits_authority_where_there_is_one(kit: TrialKit) -> None:
    client = kit.app.test_client()
    assert client.get("/ca.pem").status_code == 404
    broker_context(kit.home, unit="kit-1", names=["kit.local"])
    answer = client.get("/ca.pem")
    assert answer.data == authority_file(kit.home).read_bytes()
    assert b"PRIVATE" not in answer.data
