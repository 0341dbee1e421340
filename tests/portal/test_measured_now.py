"""What devices of every kind say over MQTT is what a villager reads on the page of what is measured now."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from captured import CAPTURES, Capture
from kit_broker import PATIENCE_S, Door, Ear, broker_of
from paho.mqtt.client import Client
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from kit.collect.dialects import OWN
from kit.store.readings import find_readings
from village_apps.web.trial import TrialKit


@pytest.fixture
def door(kit: TrialKit) -> Iterator[Door]:
    with broker_of(kit) as opened:
        yield opened


def test_a_captured_message_of_every_family_goes_through_the_broker_and_stands_on_the_page(
    kit: TrialKit, door: Door
) -> None:
    # a device's own time must not lie ahead of the kit's, so the days of the captures are lived through in their order
    for number, capture in enumerate(sorted(CAPTURES, key=lambda capture: capture.time_s or 0)):
        name, place = f"device-{number}", f"Place {number}"
        door.let_in(name, capture.kind, base=capture.base, place=place)
        if capture.time_s is not None and capture.time_s > kit.clock.now():
            kit.clock.advance(capture.time_s + 60 - kit.clock.now())
        door.publish(name, capture.messages)
        assert _stored(kit, name) == {
            (name + (f"/{v.part}" if v.part else ""), v.quantity, v.value) for v in capture.values
        }
        kit.clock.advance(30)
        page = kit.app.test_client().get("/now/").text
        assert _expected_words(capture) <= set(re.findall(r"<strong>([^<]+)</strong>", _panel(page, place)))


def _stored(kit: TrialKit, device: str) -> set[tuple[str, str, float]]:
    with kit.store() as database:
        rows = [row for row in find_readings(database.connection) if row.device.partition("/")[0] == device]
    return {(row.device, row.quantity, row.value) for row in rows}


def _panel(page: str, place: str) -> str:
    found = re.search(rf"<h2>{place}</h2>(.*?)</section>", page, re.DOTALL)
    return found[1] if found else ""


def _expected_words(capture: Capture) -> set[str]:
    words = {
        ("temperature", "Cel"): "{:,.1f}\u00a0°C",
        ("humidity", "%RH"): "{:,.0f}\u00a0%",
        ("pressure", "hPa"): "{:,.1f}\u00a0hPa",
    }
    return {
        words[value.quantity, value.unit].format(value.value).replace("-", "−")
        for value in capture.values
        if (value.quantity, value.unit) in words
    }


def test_the_first_page_leads_there_and_it_speaks_swahili(kit: TrialKit, door: Door) -> None:
    door.let_in("pump", "tasmota", place="Pump house")
    door.publish("pump", [("tele/pump/SENSOR", '{"AM2301":{"Temperature":77.0},"TempUnit":"F"}')])
    client = kit.app.test_client()
    assert 'href="/now/"' in client.get("/").text
    page = client.get("/now/", headers={"Accept-Language": "sw"}).text
    assert "Pump house" in page
    assert "25.0\u00a0°C" in page
    assert "Hewa" in page


def test_a_doubtful_value_is_called_doubtful(kit: TrialKit, door: Door) -> None:
    door.let_in("pump", "native", place="River bank")
    door.publish(
        "pump", [("sensors/pump", '[{"n":"temperature","u":"Cel","v":99},{"n":"water_level","u":"m","v":1.5}]')]
    )
    page = kit.app.test_client().get("/now/").text
    assert "This cannot be right. The sensor needs a look." in page
    assert "1.50\u00a0m" in page


def test_a_sensor_that_is_silent_for_long_is_called_old_and_then_left_out(kit: TrialKit, door: Door) -> None:
    door.let_in("pump", "native", place="River bank")
    door.publish("pump", [("sensors/pump", '[{"n":"water_level","u":"m","v":1.5}]')])
    kit.clock.advance(4 * 3600)
    assert '<span class="bad-word">4 h ago</span>' in kit.app.test_client().get("/now/").text
    kit.clock.advance(8 * 86_400)
    assert "No sensor has measured anything lately." in kit.app.test_client().get("/now/").text


@pytest.mark.parametrize("kind", [dialect.name for dialect in OWN])
def test_a_device_of_no_kind_can_speak_for_another(kit: TrialKit, door: Door, kind: str) -> None:
    own = {dialect.name: dialect for dialect in OWN}
    door.let_in("thief", kind)
    for other in own:
        door.let_in(f"victim-{other}", other)
    targets = [
        f.replace("#", "x") for other in own for f in own[other].grants(own[other].base(f"victim-{other}")).publish
    ]
    targets += [
        "alerts/village",
        "status/broker",
        "commands/victim-native/x",
        "sensors",
        "tele",
        "$SYS/x",
    ]
    refused: dict[int, bool] = {}
    done = threading.Event()
    with door.client("kit-test") as witness, door.client("thief", v5=True) as thief:

        def answered(_client: Client, _userdata: object, mid: int, reason: ReasonCode, _properties: object) -> None:
            refused[mid] = reason.is_failure
            if len(refused) == len(targets):
                done.set()

        listener = Ear(witness)
        witness.subscribe("#", qos=1)
        thief.on_publish = answered
        for topic in targets:
            thief.publish(topic, b"1", qos=1, retain=True)
        assert done.wait(PATIENCE_S)
        assert all(refused.values())
        for heard in own[kind].grants(own[kind].base("thief")).hear:
            # heard, and handed to nobody: neither now nor as a retained message
            forged = heard.replace("#", "sensor/forged/config")
            thief.publish(forged, b"{}", qos=1, retain=True).wait_for_publish(PATIENCE_S)
    assert [topic for topic, _ in listener.heard] == []
    with kit.store() as database:
        assert list(find_readings(database.connection)) == []
        assert database.connection.execute("SELECT count(*) FROM mqtt_retained").fetchone()[0] == 0


def test_an_old_client_that_speaks_for_another_is_thrown_out(door: Door) -> None:
    door.let_in("gate", "zigbee2mqtt")
    door.let_in("other", "zigbee2mqtt")
    gone = threading.Event()
    with door.client("gate") as client:
        client.on_disconnect = lambda *_: gone.set()
        client.publish("zigbee2mqtt/other/kitchen", b'{"temperature":1}', qos=1)
        assert gone.wait(PATIENCE_S)


@pytest.mark.parametrize("kind", [dialect.name for dialect in OWN])
def test_a_device_of_no_kind_can_read_what_another_is_told(door: Door, kind: str) -> None:
    door.let_in("spy", kind)
    filters = [
        "#",
        "+/victim/#",
        "commands/#",
        "commands/victim/#",
        "sensors/victim/#",
        "cmnd/victim/#",
        "tele/#",
        "homie/#",
    ]
    answered: list[bool] = []
    done = threading.Event()
    with door.client("spy") as client:

        def granted(_client: Client, _userdata: Any, _mid: int, reasons: list[ReasonCode], _: Properties) -> None:
            answered.extend(reason.is_failure for reason in reasons)
            done.set()

        client.on_subscribe = granted
        client.subscribe([(wanted, 1) for wanted in filters])
        assert done.wait(PATIENCE_S)
    assert answered == [True] * len(filters)
